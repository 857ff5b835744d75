// Figures of requests: a protocol names the server and the client, in bounded words; nothing of a path gets in.
import { expect, test } from "bun:test";
import { requestFacts } from "../../test/support/request-facts.ts";
import { createLog } from "../observability/log.ts";
import { Metrics } from "../observability/metrics.ts";
import { ClientLabels } from "./client-label.ts";
import { type RequestLabels, Requests } from "./requests.ts";

function linesOf(
  labels: RequestLabels | undefined,
  ...asked: [Request, string | undefined, number][]
): string[] {
  const metrics = new Metrics();
  const requests = new Requests(metrics, createLog("silent"), labels);
  for (const [request, route, status] of asked)
    requests.finished(request, { ...requestFacts(), route }, status, 3);
  return metrics
    .render()
    .split("\n")
    .filter((line) => line.startsWith("http_requests_total"));
}

const clients = new ClientLabels(["phone"]);
const LABELS: RequestLabels = {
  app: "some-server",
  clientOf: ({ headers }) => clients.of(headers.get("x-some-client")),
};
const request = (method: string, client?: string) =>
  new Request("http://roost/secret?token=1", {
    method,
    headers: client === undefined ? {} : { "x-some-client": client },
  });

test("have the app and the client that a protocol names, and the route's template", () => {
  expect(
    linesOf(
      LABELS,
      [request("GET", "phone/1.2"), "/things/:id", 200],
      [request("GET", "phone/1.2"), "/things/:id", 200],
      [request("PROPFIND", "teapot"), undefined, 404],
      [request("OPTIONS"), undefined, 204],
    ),
  ).toEqual([
    'http_requests_total{app="some-server",method="GET",route="/things/:id",status="200",client="phone/1.2",client_type="phone"} 2',
    'http_requests_total{app="some-server",method="OTHER",route="unknown",status="404",client="other",client_type="other"} 1',
    'http_requests_total{app="some-server",method="OPTIONS",route="preflight",status="204",client="unknown",client_type="unknown"} 1',
  ]);
});

test("have names of their own where no protocol has a word", () => {
  expect(linesOf(undefined, [request("GET", "phone/1.2"), "/a", 200])).toEqual([
    'http_requests_total{app="roost",method="GET",route="/a",status="200",client="unknown",client_type="unknown"} 1',
  ]);
});

// The figures know a request by the template of its route.
import { expect, test } from "bun:test";
import { Hono } from "hono";
import { requestFacts } from "../../test/support/request-facts.ts";
import type { RequestFacts } from "../server/request-facts.ts";
import { routeName } from "./route-name.ts";

const api = new Hono<{ Bindings: RequestFacts }>();
api.use(routeName);
api.use("/things/*", (_c, next) => next());
api.get("/things/:id", (c) => c.text(c.req.param("id")));
api.post("/things/:id", () => {
  throw new Error("no");
});
const app = new Hono<{ Bindings: RequestFacts }>().route("/api", api);
app.onError((_error, c) => c.text("failed", 500));

test.each([
  ["GET", "/api/things/secret", 200, "/api/things/:id"],
  ["HEAD", "/api/things/secret", 200, "/api/things/:id"],
  ["POST", "/api/things/secret", 500, "/api/things/:id"],
  ["DELETE", "/api/things/secret", 404, undefined],
  ["GET", "/api/things/a/b", 404, undefined],
  ["GET", "/elsewhere", 404, undefined],
])("%s %s is %d of %p", async (method, path, status, route) => {
  const facts = requestFacts();
  const answer = await app.fetch(new Request(`http://roost${path}`, { method }), facts);
  expect([answer.status, facts.route]).toEqual([status, route]);
});

test("what answers every verb behind it takes no name from the route that answers", async () => {
  const all = new Hono<{ Bindings: RequestFacts }>();
  all.use(routeName);
  all.get("/things/:id", (c) => c.text("here"));
  all.all("/things/:id", (c) => c.text("not so", 405));
  all.all("/*", (c) => c.text("not here", 404));
  const asked = async (method: string, path: string) => {
    const facts = requestFacts();
    const { status } = await all.fetch(new Request(`http://roost${path}`, { method }), facts);
    return [status, facts.route];
  };
  expect(await asked("GET", "/things/secret")).toEqual([200, "/things/:id"]);
  expect(await asked("DELETE", "/things/secret")).toEqual([405, undefined]);
  expect(await asked("GET", "/secret")).toEqual([404, undefined]);
});

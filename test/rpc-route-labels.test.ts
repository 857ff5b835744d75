// The figures of requests know every path of the RPC room by its name, whoever it is that answers there, and no path that a client makes up.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { BASE } from "./support/rpc-room.ts";
import { type TestServer, testServer } from "./support/server.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

let server: TestServer;
beforeAll(async () => {
  server = await testServer({ rpcEnabled: true, rpcFixtures: true, metricsToken: "figures" });
});
afterAll(() => server.stop());

const POSTED = [
  "/rpc",
  "/rpc/stream",
  "/rpc/stream/control",
  ...["Call", "CallServerStream", "CallClientStream", "CallBidirectional"].map(
    (name) => `/AduibRpcService/${name}`,
  ),
  ...["Check", "Watch"].map((name) => `/HealthService/${name}`),
  ...["Submit", "Query", "Cancel", "Subscribe"].map((name) => `/TaskService/${name}`),
  ...["Register", "Renew", "Deregister", "List", "Resolve", "Watch"].map(
    (name) => `/DiscoveryService/${name}`,
  ),
].map((path) => `${BASE}${path}`);
const PATHS = [...POSTED, "/aduib_rpc", "/aduib_rpc/", `${BASE}/methods`];

/** How many requests each route of RPC has had, by status. */
async function counted(): Promise<Map<string, number>> {
  const page = await fetch(`${server.url}/metrics`, { headers: { authorization: "Bearer figures" } });
  const found = new Map<string, number>();
  for (const line of (await page.text()).split("\n")) {
    if (!line.startsWith("http_requests_total{")) continue;
    const [, route = ""] = /route="([^"]*)"/.exec(line) ?? [];
    const [, status = ""] = /status="([^"]*)"/.exec(line) ?? [];
    const name = `${route} ${status}`;
    found.set(name, (found.get(name) ?? 0) + Number(line.split(" ").at(-1)));
  }
  return found;
}

test("every path has its name, also where another verb is refused", async () => {
  for (const path of PATHS)
    for (const method of ["POST", "GET", "PUT", "OPTIONS"]) {
      // A body that is no message is refused before a stream begins.
      const answer = await fetch(`${server.url}${path}`, {
        method,
        ...(method === "POST" && { body: "[", headers: { "content-type": "application/json" } }),
      });
      await answer.body?.cancel();
    }
  const found = await counted();
  expect([...found.keys()].filter((name) => name.startsWith("unknown"))).toEqual([]);
  for (const path of PATHS) {
    const own = [...found].filter(([name]) => name.startsWith(`${path} `));
    expect([path, own.reduce((sum, [, count]) => sum + count, 0)]).toEqual([path, 4]);
    expect([path, found.get(`${path} 405`)]).toEqual([path, 3]);
  }
});

test("what is asked by another spelling, or with a query, has the same name", async () => {
  const before = await counted();
  const at = `${BASE}/rpc/stream`;
  for (const path of [`${at}?x=1`, `${at.replace("stream", "%73tream")}`])
    await (await fetch(`${server.url}${path}`, { method: "POST", body: "[" })).text();
  const after = await counted();
  const sum = (found: Map<string, number>) =>
    [...found].reduce((all, [name, count]) => (name.startsWith(`${at} `) ? all + count : all), 0);
  expect(sum(after) - sum(before)).toBe(2);
});

test("paths that are not served share one name", async () => {
  const before = (await counted()).size;
  for (let at = 0; at < 50; at++) {
    const path = at % 2 === 0 ? `${BASE}/rpc/stream/${at}` : `${BASE}/Made${at}Service/Up`;
    expect((await fetch(`${server.url}${path}`, { method: at % 3 === 0 ? "GET" : "POST" })).status).toBe(404);
  }
  const after = await counted();
  expect(after.get("unknown 404")).toBe(50);
  expect(after.size).toBe(before + 1);
});

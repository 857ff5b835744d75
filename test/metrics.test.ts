// What a scraper and an orchestrator see: who may read the figures, their names, that no client can grow the page without bound, and
// that readiness tells the truth.
import { afterEach, expect, test } from "bun:test";
import type { Config } from "./support/config.ts";
import { type Account, newAccount } from "./support/happy-client.ts";
import { holdLock } from "./support/lock-holder.ts";
import { type TestServer, testServer } from "./support/server.ts";
import { until } from "./support/until.ts";
import { withoutTable } from "./support/without-table.ts";

let server: TestServer;
afterEach(() => server.stop());

const TOKEN = "scraper-token";
const started = async (overrides: Partial<Config> = {}) => {
  server = await testServer(overrides);
  return server;
};
const scrape = (url: string, token = TOKEN) =>
  fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
const lines = async (token?: string) => (await (await scrape(server.url, token)).text()).split("\n");
/** The value of the one line that begins with the name and holds every part. */
async function figure(name: string, ...parts: string[]): Promise<number | undefined> {
  const found = (await lines()).filter(
    (line) =>
      (line.startsWith(`${name} `) || line.startsWith(`${name}{`)) &&
      parts.every((part) => line.includes(part)),
  );
  expect(found.length).toBeLessThanOrEqual(1);
  return found[0] === undefined ? undefined : Number(found[0].split(" ").at(-1));
}

test("without a token the main port has no metrics page; with one, only the token opens it", async () => {
  await started();
  const without = await scrape(server.url);
  expect(without.status).toBe(404);
  expect(await without.json()).toEqual({ error: "Not found", path: "/metrics", method: "GET" });
  await server.stop();
  await started({ metricsToken: TOKEN });
  for (const token of ["", "wrong", `${TOKEN}x`]) {
    const refused = await scrape(server.url, token);
    expect(refused.status).toBe(401);
    expect(await refused.text()).not.toContain("process_");
  }
  expect((await fetch(`${server.url}/metrics`)).status).toBe(401);
  expect((await fetch(`${server.url}/metrics`, { method: "POST" })).status).toBe(404);
  expect((await fetch(`${server.url}/metrics/x`)).status).toBe(404);
  const page = await scrape(server.url);
  expect(page.status).toBe(200);
  expect(page.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
});

test("METRICS_ENABLED=false closes the page, token or not", async () => {
  await started({ metricsToken: TOKEN, metricsEnabled: false });
  expect((await scrape(server.url)).status).toBe(404);
});

test("a second port serves /metrics, /ready and /health; one that is taken is no reason not to start", async () => {
  const taken = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("mine") });
  const metricsPort = taken.port ?? 0;
  const url = `http://127.0.0.1:${metricsPort}`;
  try {
    await started({ metricsPort });
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    expect(await (await fetch(url)).text()).toBe("mine");
    await server.stop();
  } finally {
    await taken.stop(true);
  }
  await started({ metricsPort });
  const page = await fetch(`${url}/metrics`);
  expect(page.status).toBe(200);
  expect(await page.text()).toContain("process_resident_memory_bytes ");
  expect(await (await fetch(`${url}/health`)).json()).toEqual({
    status: "ok",
    timestamp: expect.any(String),
  });
  expect((await fetch(`${url}/ready`)).status).toBe(200);
  expect((await fetch(`${url}/v1/sessions`)).status).toBe(404);
  // The main port has none all the same.
  expect((await scrape(server.url)).status).toBe(404);
});

test("the page has the contract's names with app, and the figures are right", async () => {
  await started({ metricsToken: TOKEN });
  const account = await newAccount(server.url);
  await fetch(`${server.url}/v1/sessions/private-id/messages`, {
    headers: { authorization: `Bearer ${account.token}`, "x-happy-client": "ios/1.7.0" },
  });
  const app = 'app="happy-server"';
  const phone = await account.connect({
    clientType: "user-scoped",
    happyClient: "ios/1.7.0",
    appState: "active",
  });
  const sid = await session(account);
  const agent = await account.connect({
    clientType: "session-scoped",
    sessionId: sid,
    happyClient: "cli-coding-session/2.0.0",
  });
  agent.socket.emit("session-alive", { sid, time: Date.now(), thinking: false });
  await agent.settled();

  expect(
    await figure(
      "http_requests_total",
      app,
      'route="/v1/sessions/:sessionId/messages"',
      'client="ios/1.7.0"',
    ),
  ).toBe(1);
  expect(await figure("http_request_duration_seconds_count", 'route="/v1/auth"', 'status="200"')).toBe(1);
  expect(await figure("http_request_duration_seconds_bucket", 'route="/v1/auth"', 'le="+Inf"')).toBe(1);
  const connected = (type: string, client: string) =>
    figure("websocket_connections_total", app, `type="${type}"`, `client="${client}"`);
  expect(await connected("user-scoped", "ios/1.7.0")).toBe(1);
  expect(await connected("session-scoped", "cli-coding-session/2.0.0")).toBe(1);
  expect(await figure("session_alive_events_total", app)).toBe(1);
  agent.socket.emit("session-alive", { sid, time: Date.now(), thinking: false });
  await agent.settled();
  const asked = (result: string) =>
    figure("session_cache_operations_total", app, 'operation="session_validation"', `result="${result}"`);
  expect([await asked("miss"), await asked("hit")]).toEqual([1, 1]);
  // The session was stored as active just now.
  expect(await figure("database_updates_skipped_total", app, 'type="session"')).toBe(2);
  expect(
    await figure(
      "websocket_events_total",
      app,
      'event_type="session-alive"',
      'client_type="cli-coding-session"',
    ),
  ).toBe(2);
  expect(await figure("database_records_total", app, 'table="accounts"')).toBe(1);
  expect(await figure("database_records_total", app, 'table="sessions"')).toBe(1);
  expect(await figure("roost_database_bytes", 'database="happy"')).toBeGreaterThanOrEqual(4_096);
  expect(await figure("roost_writer_depth", 'database="happy"')).toBe(0);
  expect(await figure("roost_socket_queued_bytes")).toBe(0);
  expect(await figure("process_resident_memory_bytes")).toBeGreaterThan(10_000_000);
  expect(await figure("roost_pushes_total", 'outcome="sent"')).toBe(0);
  const pushed = await account.call("POST", `/v1/sessions/${sid}/push-event`, {
    kind: "done",
    title: "t",
    body: "b",
  });
  expect(pushed.body).toMatchObject({ result: "suppressed" });
  expect(await figure("roost_pushes_total", 'outcome="suppressed"')).toBe(1);
  for (const name of ["roost_event_loop_delay_seconds_count", "roost_blob_bytes", "roost_build_info"])
    expect(await figure(name)).toBeNumber();
  const page = (await lines()).join("\n");
  for (const secret of [account.token, account.id, sid, "private-id"]) expect(page).not.toContain(secret);

  phone.close();
  agent.close();
  await until("it to be gone", async () => (await connected("user-scoped", "ios/1.7.0")) === undefined);
});

test("calls between clients are counted by method and result, and only methods that answered have a name", async () => {
  await started({ metricsToken: TOKEN });
  const account = await newAccount(server.url);
  const machine = await account.connect({ clientType: "machine-scoped", machineId: "m" });
  machine.socket.on("rpc-request", (_request: unknown, answer: (result: string) => void) => answer("done"));
  machine.socket.emit("rpc-register", { method: "m:bash" });
  await machine.until(({ event }) => event === "rpc-registered");
  machine.socket.emit("rpc-register", { method: "own words" });
  await machine.until(({ event, body }) => event === "rpc-registered" && body.method === "own words");
  const phone = await account.connect();
  expect(await phone.ask("rpc-call", { method: "m:bash", params: "x" })).toMatchObject({ ok: true });
  expect(await machine.ask("rpc-call", { method: "own words" })).toMatchObject({ ok: false });
  expect(await figure("rpc_calls_total", 'method="bash"', 'result="success"')).toBe(1);
  expect(await figure("rpc_call_duration_seconds_count", 'method="bash"')).toBe(1);
  expect(await figure("rpc_calls_total", 'method="other"', 'result="self_call"')).toBe(1);
  expect((await lines()).join("\n")).not.toContain("own words");
  phone.close();
  machine.close();
});

test("clients cannot grow the page with words of their own", async () => {
  await started({ metricsToken: TOKEN });
  const ask = (client: string) => fetch(`${server.url}/`, { headers: { "x-happy-client": client } });
  for (let index = 0; index < 100; index++) {
    await ask(`web/99.${index}`);
    await ask(`word-${index}/1.0.0`);
    await ask(`web/"quoted-${index}`);
    await fetch(`${server.url}/unknown/${index}`, { method: index % 2 === 0 ? "GET" : "DELETE" });
  }
  const page = (await lines()).filter((line) => line.startsWith("http_requests_total"));
  expect(page.length).toBeLessThan(30);
  expect(page.join("\n")).not.toMatch(/word-|quoted|unknown\/\d/);
  expect(await figure("http_requests_total", 'client="other"')).toBe(100);
  expect(await figure("http_requests_total", 'route="unknown"', 'method="DELETE"', 'status="404"')).toBe(50);
});

test("ready while the database answers and takes writes, and not ready when it does not", async () => {
  await started();
  const ready = await fetch(`${server.url}/ready`);
  expect(ready.status).toBe(200);
  expect(await ready.json()).toEqual({
    status: "ready",
    checks: { happy: "ok", hapi: "ok", "hapi-home": "ok" },
  });
  const holder = await holdLock(`${server.dataDir}/happy.db`);
  try {
    const blocked = await fetch(`${server.url}/ready`);
    expect(blocked.status).toBe(503);
    expect(await blocked.json()).toEqual({
      status: "not ready",
      checks: { happy: "failed", hapi: "ok", "hapi-home": "ok" },
      problems: {
        happy:
          "Another program holds the write lock of happy.db: nothing was stored. Try again when it has finished.",
      },
    });
  } finally {
    await holder.release();
  }
  expect((await fetch(`${server.url}/ready`)).status).toBe(200);
}, 20_000);

async function session(account: Account): Promise<string> {
  const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "bWV0YQ==" });
  return opened.body.session.id;
}

test("an answer to an unexpected failure has the id that the log has, and the others have none", async () => {
  await started();
  const account = await newAccount(server.url);
  expect((await account.call("GET", "/v1/sessions")).headers.has("x-request-id")).toBe(false);
  await withoutTable(server, "sessions", async () => {
    const failed = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
    expect(failed.status).toBe(500);
    expect(failed.headers.get("x-request-id")).toMatch(/^[0-9a-f]{6}-\w+$/);
  });
});

// `usage-report`: only the latest report of a key counts, a report without a session is kept too, and who hears of it.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Account, accountWith, newAccount } from "../../../../test/support/happy-client.ts";
import { TEST_SECRET, type TestServer, testServer } from "../../../../test/support/server.ts";
import { withoutTable } from "../../../../test/support/without-table.ts";
import { serverKeys } from "../../auth/server-keys.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const openSession = async (owner: Account): Promise<string> =>
  (await owner.call("POST", "/v1/sessions", { tag: "t", metadata: "m" })).body.session.id;
const used = (total: number) => ({
  tokens: { total, input: 1, output: 2, cache_creation: 3, cache_read: 4 },
  cost: { total: total / 100, input: 0, output: 0 },
});
const totals = async (owner: Account, body: unknown = {}) => {
  const { body: answer } = await owner.call("POST", "/v1/usage/query", body);
  return [answer.totalReports, answer.usage.map(({ tokens }: { tokens: { total: number } }) => tokens.total)];
};

test("a later report of the same key replaces the earlier one and keeps its creation time", async () => {
  const [me, other] = [await newAccount(server.url), await newAccount(server.url)];
  const sessionId = await openSession(me);
  const [phone, cli, stranger] = [
    await me.connect(),
    await me.connect({ clientType: "session-scoped", sessionId }),
    await other.connect(),
  ];
  const first = await cli.ask("usage-report", { key: "claude-session", sessionId, ...used(10) });
  expect(first).toEqual({
    success: true,
    reportId: expect.any(String),
    createdAt: expect.any(Number),
    updatedAt: first.createdAt,
  });
  const second = await cli.ask("usage-report", { key: "claude-session", sessionId, ...used(25) });
  expect(second).toEqual({ ...first, updatedAt: expect.any(Number) });
  expect(second.updatedAt).toBeGreaterThanOrEqual(first.updatedAt);
  const third = await cli.ask("usage-report", { key: "another", sessionId, ...used(100) });
  expect(third.reportId).not.toBe(first.reportId);
  expect(await totals(me, { sessionId })).toEqual([2, [125]]);
  await phone.settled();
  const usage = { type: "usage", id: sessionId };
  expect(phone.ephemerals).toEqual([
    { ...usage, key: "claude-session", ...used(10), timestamp: first.updatedAt },
    { ...usage, key: "claude-session", ...used(25), timestamp: second.updatedAt },
    { ...usage, key: "another", ...used(100), timestamp: third.updatedAt },
  ]);
  for (const listener of [cli, stranger]) {
    await listener.settled();
    expect(listener.ephemerals).toEqual([]);
  }
  for (const listener of [phone, cli, stranger]) listener.close();
});

test("reports without an acknowledgement, as the CLI sends them, are taken in order", async () => {
  const me = await newAccount(server.url);
  const sessionId = await openSession(me);
  const phone = await me.connect();
  for (let total = 1; total <= 20; total++)
    phone.socket.emit("usage-report", { key: "k", sessionId, ...used(total) });
  await phone.settled();
  expect(phone.ephemerals.map(({ tokens }) => tokens.total)).toEqual(
    Array.from({ length: 20 }, (_, n) => n + 1),
  );
  expect(await totals(me)).toEqual([1, [20]]);
  phone.close();
});

test.each([undefined, null, "", 0, false])(
  "with %j as session a report is kept but not announced",
  async (sessionId) => {
    const me = await newAccount(server.url);
    const inSession = await openSession(me);
    const phone = await me.connect();
    await phone.ask("usage-report", { key: "k", sessionId: inSession, ...used(1) });
    const first = await phone.ask("usage-report", { key: "k", sessionId, ...used(10) });
    expect(first).toMatchObject({ success: true, reportId: expect.any(String) });
    const second = await phone.ask("usage-report", { key: "k", sessionId, ...used(20) });
    expect(second).toMatchObject({ reportId: first.reportId, createdAt: first.createdAt });
    expect(await totals(me)).toEqual([2, [21]]);
    expect(await totals(me, { sessionId: inSession })).toEqual([1, [1]]);
    await phone.settled();
    expect(phone.ephemerals).toHaveLength(1);
    phone.close();
  },
);

test("amounts that only the reporter knows are kept and passed on", async () => {
  const me = await newAccount(server.url);
  const sessionId = await openSession(me);
  const phone = await me.connect();
  const report = { tokens: { total: 1, reasoning: 5 }, cost: { total: 2, tax: 0.5 } };
  await phone.ask("usage-report", { key: "k", sessionId, ...report });
  expect(await phone.untilEphemeral("usage")).toMatchObject(report);
  const { body } = await me.call("POST", "/v1/usage/query", {});
  expect(body.usage[0]).toMatchObject(report);
  phone.close();
});

test("deleting a session takes its reports along", async () => {
  const me = await newAccount(server.url);
  const sessionId = await openSession(me);
  const phone = await me.connect();
  await phone.ask("usage-report", { key: "k", sessionId, ...used(1) });
  await phone.ask("usage-report", { key: "k", ...used(2) });
  await me.call("DELETE", `/v1/sessions/${sessionId}`);
  expect(await totals(me)).toEqual([1, [2]]);
  phone.close();
});

test.each([
  [null, "Internal error"],
  [{}, "Invalid key"],
  ["text", "Invalid key"],
  [{ key: "" }, "Invalid key"],
  [{ key: 5, ...used(1) }, "Invalid key"],
  [{ key: "k" }, "Invalid tokens object - must include total"],
  [{ key: "k", tokens: { input: 1 } }, "Invalid tokens object - must include total"],
  [{ key: "k", tokens: 5, cost: { total: 1 } }, "Invalid tokens object - must include total"],
  [{ key: "k", tokens: { total: "1" }, cost: { total: 1 } }, "Invalid tokens object - must include total"],
  [{ key: "k", tokens: { total: 1 }, cost: null }, "Invalid cost object - must include total"],
  [{ key: "k", tokens: { total: 1 }, cost: { total: null } }, "Invalid cost object - must include total"],
  [{ key: "k", tokens: { total: 1e308 }, cost: { total: 1 } }, "Invalid tokens object - must include total"],
  [
    { key: "k", tokens: { total: 1, input: -1e16 }, cost: { total: 1 } },
    "Invalid tokens object - must include total",
  ],
  [{ key: "k", tokens: { total: 1 }, cost: { total: 2 ** 53 } }, "Invalid cost object - must include total"],
  [{ key: "k", sessionId: 5, ...used(1) }, "Invalid sessionId"],
  [{ key: "k", sessionId: {}, ...used(1) }, "Invalid sessionId"],
  [{ key: "k", sessionId: "no", ...used(1) }, "Session not found"],
])("%j is refused and leaves nothing", async (payload, error) => {
  const me = await newAccount(server.url);
  const phone = await me.connect();
  expect(await phone.ask("usage-report", payload)).toEqual({ success: false, error });
  await phone.settled();
  expect(phone.ephemerals).toEqual([]);
  expect(await totals(me)).toEqual([0, []]);
  phone.close();
});

test("a session of somebody else is not found, and an account that is not here can store nothing", async () => {
  const [me, other] = [await newAccount(server.url), await newAccount(server.url)];
  const sessionId = await openSession(me);
  const stranger = await other.connect();
  expect(await stranger.ask("usage-report", { key: "k", sessionId, ...used(1) })).toEqual({
    success: false,
    error: "Session not found",
  });
  const ghost = accountWith(server.url, await serverKeys(TEST_SECRET).bearer.issue({ account: "ghost" }));
  const lost = await ghost.connect();
  const failed = { success: false, error: "Failed to save usage report" };
  expect(await lost.ask("usage-report", { key: "k", ...used(1) })).toEqual(failed);
  await withoutTable(server, "usage_reports", async () => {
    expect(await stranger.ask("usage-report", { key: "k", ...used(1) })).toEqual(failed);
  });
  expect(await totals(me)).toEqual([0, []]);
  stranger.close();
  lost.close();
});

test("the largest amounts add up to a number, and JSON's infinite ones are refused", async () => {
  const me = await newAccount(server.url);
  const cli = await me.connect();
  const most = Number.MAX_SAFE_INTEGER;
  for (let n = 0; n < 20; n++) {
    const report = { key: `k${n}`, tokens: { total: most, input: -most }, cost: { total: most } };
    expect(await cli.ask("usage-report", report)).toMatchObject({ success: true });
  }
  const { body } = await me.call("POST", "/v1/usage/query", {});
  expect(body.usage[0]).toMatchObject({ tokens: { total: 20 * most, input: -20 * most }, reportCount: 20 });
  // JSON.stringify cannot say it, a client that writes its own frames can.
  const infinite = '{"key":"x","tokens":{"total":1e999},"cost":{"total":1}}';
  const answer = new Promise<string>((resolve, reject) => {
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/v1/updates/?EIO=4&transport=websocket`);
    socket.onerror = () => reject(new Error("no connection"));
    socket.onmessage = ({ data }) => {
      if (data.startsWith("0")) socket.send(`40${JSON.stringify({ token: me.token })}`);
      else if (data.startsWith("40")) socket.send(`420["usage-report",${infinite}]`);
      else if (data.startsWith("43")) {
        socket.close();
        resolve(data);
      }
    };
  });
  expect(await answer).toBe('430[{"success":false,"error":"Invalid tokens object - must include total"}]');
  cli.close();
});

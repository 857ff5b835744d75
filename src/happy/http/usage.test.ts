// What coding sessions reported, summed for whoever asks: filters, groups, and nothing of other accounts.
import { Database as Sqlite } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type Account, accountWith, call, newAccount } from "../../../test/support/happy-client.ts";
import { TEST_SECRET, type TestServer, testServer } from "../../../test/support/server.ts";
import { withoutTable } from "../../../test/support/without-table.ts";
import { serverKeys } from "../auth/server-keys.ts";

let server: TestServer;
let database: Sqlite;
let me: Account;
let session: string;
const START = new Date(2026, 2, 1, 10, 0, 0).getTime();
const HOUR = 3_600_000;
const seconds = (ms: number) => ms / 1000;
const DAY = seconds(new Date(2026, 2, 1).getTime());

beforeAll(async () => {
  server = await testServer();
  database = new Sqlite(join(server.dataDir, "happy.db"), { readwrite: true, strict: true });
  database.run("PRAGMA busy_timeout = 5000");
  me = await newAccount(server.url);
  const { body } = await me.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
  session = body.session.id;
  report(me, session, "a", START, 1);
  report(me, session, "b", START + 1000, 2);
  report(me, session, "c", START + HOUR, 4);
  report(me, null, "d", START + 24 * HOUR, 8);
  const other = await newAccount(server.url);
  report(other, null, "a", START, 1000);
});
afterAll(async () => {
  database.close();
  await server.stop();
});

function report(owner: Account, sessionId: string | null, key: string, at: number, total: number): void {
  database
    .query(
      `INSERT INTO usage_reports (id, account_pk, session_pk, key, data, created_at, updated_at)
       SELECT $id, pk, (SELECT pk FROM sessions WHERE id = $sessionId), $key, $data, $at, $at + 999999999
       FROM accounts WHERE id = $owner`,
    )
    .run({
      id: crypto.randomUUID(),
      sessionId,
      key,
      data: JSON.stringify({ tokens: { total, input: 1 }, cost: { total: total / 10 } }),
      at,
      owner: owner.id,
    });
}

const query = async (body: unknown, by = me) => {
  const answer = await by.call("POST", "/v1/usage/query", body);
  return [answer.status, answer.body];
};
const bucket = (timestamp: number, total: number, reportCount: number, cost = total / 10) => ({
  timestamp,
  tokens: { total, input: reportCount },
  cost: { total: expect.closeTo(cost) },
  reportCount,
});

test.each([
  ["nothing", () => ({}), "day", () => [bucket(DAY, 7, 3), bucket(DAY + 86_400, 8, 1)], 4],
  [
    "nulls",
    () => ({ sessionId: null, startTime: null, endTime: null, groupBy: null }),
    "day",
    () => [bucket(DAY, 7, 3), bucket(DAY + 86_400, 8, 1)],
    4,
  ],
  [
    "an empty session id",
    () => ({ sessionId: "" }),
    "day",
    () => [bucket(DAY, 7, 3), bucket(DAY + 86_400, 8, 1)],
    4,
  ],
  [
    "hours",
    () => ({ groupBy: "hour" }),
    "hour",
    () => [
      bucket(seconds(START), 3, 2),
      bucket(seconds(START + HOUR), 4, 1),
      bucket(seconds(START + 24 * HOUR), 8, 1),
    ],
    4,
  ],
  ["one session", () => ({ sessionId: session }), "day", () => [bucket(DAY, 7, 3)], 3],
  [
    "both ends, which count",
    () => ({ startTime: seconds(START + 1000), endTime: seconds(START + HOUR) }),
    "day",
    () => [bucket(DAY, 6, 2)],
    2,
  ],
  ["a start after all", () => ({ startTime: seconds(START + 25 * HOUR) }), "day", () => [], 0],
  ["an end before all", () => ({ endTime: seconds(START) - 1 }), "day", () => [], 0],
] as const)("asked for %s", async (_, body, groupBy, usage, totalReports) => {
  expect(await query(body())).toEqual([200, { usage: usage(), groupBy, totalReports }]);
});

test("a session of somebody else, or of nobody, is not found", async () => {
  const other = await newAccount(server.url);
  expect(await query({ sessionId: session }, other)).toEqual([404, { error: "Session not found" }]);
  expect(await query({ sessionId: "no", startTime: 9e15 })).toEqual([404, { error: "Session not found" }]);
  expect(await query({}, other)).toEqual([200, { usage: [], groupBy: "day", totalReports: 0 }]);
  const ghost = accountWith(server.url, await serverKeys(TEST_SECRET).bearer.issue({ account: "ghost" }));
  expect(await query({}, ghost)).toEqual([200, { usage: [], groupBy: "day", totalReports: 0 }]);
});

test("a time that is no date is that route's own 500; the last that is one works", async () => {
  const FAILED = [500, { error: "Failed to query usage reports" }];
  expect(await query({ startTime: 8_640_000_000_001 })).toEqual(FAILED);
  expect(await query({ endTime: 9_007_199_254_740_991 })).toEqual(FAILED);
  expect((await query({ endTime: 8_640_000_000_000 }))[0]).toBe(200);
  await withoutTable(server, "usage_reports", async () => {
    expect(await query({})).toEqual(FAILED);
  });
});

test.each([
  [{ startTime: 0 }, "body/startTime Too small: expected number to be >0"],
  [{ endTime: 1.5 }, "body/endTime Invalid input: expected int, received number"],
  [{ endTime: "1" }, "body/endTime Invalid input: expected number, received string"],
  [{ groupBy: "week" }, 'body/groupBy Invalid option: expected one of "hour"|"day"'],
  [{ sessionId: 5 }, "body/sessionId Invalid input: expected string, received number"],
])("%j is refused before the token is looked at", async (body, message) => {
  const answer = await call(server.url, undefined, "POST", "/v1/usage/query", body);
  expect([answer.status, answer.body]).toEqual([400, { error: "Error", message, statusCode: 400 }]);
});

test("reports are read in batches, and every one counts once, also those of one millisecond", async () => {
  const many = await newAccount(server.url);
  const count = 1_203;
  database.transaction(() => {
    for (let n = 0; n < count; n++) report(many, null, `k${n}`, START + Math.floor(n / 700), 1);
  })();
  const { body } = await many.call("POST", "/v1/usage/query", { groupBy: "hour" });
  expect(body.totalReports).toBe(count);
  expect(body.usage).toMatchObject([{ tokens: { total: count }, reportCount: count }]);
});

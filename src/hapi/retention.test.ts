// The operator's limits as the server applies them: what is old goes and is told, a limit of 0 keeps all, and without a clock that can be
// believed nothing goes at all.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { openTestHapiStore, type TestHapiStore } from "../../test/support/hapi-store.ts";
import { hapiRetention, type RetentionConfig, shortestOf } from "./retention.ts";

const DAY_MS = 86_400_000;
const NOW = Date.now();
const KEEPS_ALL: RetentionConfig = {
  hapiRetentionSessionsDays: 0,
  hapiRetentionMessagesDays: 0,
  hapiRetentionUsageDays: 0,
};

let all: TestHapiStore;
let gone: unknown[];
beforeEach(() => {
  all = openTestHapiStore();
  gone = [];
});
afterEach(() => all.close());

const of = (config: Partial<RetentionConfig>) =>
  hapiRetention({
    config: { ...KEEPS_ALL, ...config },
    store: all.store,
    gone: ({ namespace, id }) => gone.push([namespace, id]),
  });
const run = (config: Partial<RetentionConfig>, more: object = {}) =>
  of(config).run({ now: NOW, goOn: () => true, isShared: false, ...more });

/** With two messages and a usage event, last heard so many days ago. */
async function session(tag: string, daysAgo: number, namespace = "default"): Promise<string> {
  const id = await all.session(tag, namespace);
  for (const content of ["a", "b"])
    await all.store.appendMessage({ session: { namespace, id }, content, localId: null });
  const at = NOW - daysAgo * DAY_MS;
  await all.write("UPDATE sessions SET created_at = ?, updated_at = ? WHERE id = ?", at, at, id);
  await all.write(
    "INSERT INTO usage_events (session_id, source_key, source_seq, created_at, agent, kind) VALUES (?, 'k', 1, ?, 'claude', 'delta')",
    id,
    at,
  );
  return id;
}

const work = (id: string, expiresAt: number) =>
  all.write(
    "INSERT INTO events (id, ts, source_kind, source_ref, event_type, expires_at, namespace, principal_json) VALUES (?, 1, 'a', 'b', 'c', ?, 'default', '{}')",
    id,
    expiresAt,
  );
const count = (table: string) => all.sql<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)[0]?.n;

test("without limits all stays, but what says itself that it is over", async () => {
  await session("old", 10_000);
  await work("over", NOW - 1);
  await work("not-over", NOW + 1);
  expect(shortestOf(KEEPS_ALL)).toBe(Number.POSITIVE_INFINITY);
  expect(await of({}).plan(NOW)).toMatchObject([{ kind: "HAPI expired work events", count: 1 }]);
  expect(await run({})).toEqual({
    "HAPI sessions": 0,
    "HAPI messages": 0,
    "HAPI usage events": 0,
    "HAPI expired work events": 1,
  });
  expect([count("sessions"), count("messages"), count("usage_events"), count("events")]).toEqual([
    1, 2, 1, 1,
  ]);
});

test("old sessions go with all of theirs, as it was said, and their clients hear of each", async () => {
  const old = await session("old", 40, "team");
  await session("young", 20);
  const limits = { hapiRetentionSessionsDays: 30 };
  expect(shortestOf({ ...KEEPS_ALL, ...limits })).toBe(30 * DAY_MS);
  expect(await of(limits).plan(NOW)).toMatchObject([{ kind: "HAPI sessions", account: "team", count: 1 }]);
  expect(await run(limits)).toMatchObject({ "HAPI sessions": 1, "HAPI messages": 2 });
  expect(gone).toEqual([["team", old]]);
  expect([count("sessions"), count("messages"), count("usage_events")]).toEqual([1, 2, 1]);
  expect(await of(limits).plan(NOW)).toEqual([]);
});

test("messages and usage have limits of their own, and the sessions stay", async () => {
  await session("old", 40);
  await session("young", 2);
  expect(await run({ hapiRetentionMessagesDays: 30, hapiRetentionUsageDays: 1 })).toMatchObject({
    "HAPI sessions": 0,
    "HAPI messages": 2,
    "HAPI usage events": 2,
  });
  expect([count("sessions"), count("messages"), gone.length]).toEqual([2, 2, 0]);
});

test("nothing goes by a clock that nobody believes, nor after the stop", async () => {
  await session("old", 40);
  const limits = { hapiRetentionSessionsDays: 30, hapiRetentionUsageDays: 1 };
  for (const more of [{ now: undefined }, { goOn: () => false }]) {
    const removed = await run(limits, more);
    expect(Object.values(removed)).toEqual([0, 0, 0, 0]);
  }
  expect([count("sessions"), count("messages"), count("usage_events")]).toEqual([1, 2, 1]);
});

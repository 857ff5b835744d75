// What a message used is counted once however often it is scanned; the ledger keeps an idempotent event once.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { openTestHapiStore, type TestHapiStore } from "../../../test/support/hapi-store.ts";
import type { HapiStore } from "./contract.ts";
import type { UsageEvent, WorkEvent } from "./records.ts";
import type { MessageRow } from "./rows.ts";

let all: TestHapiStore;
let store: HapiStore;
let key: { namespace: string; id: string };
beforeEach(async () => {
  all = openTestHapiStore();
  store = all.store;
  key = { namespace: "default", id: await all.session("t") };
});
afterEach(() => all.close());

const none = {
  lastInputTokens: null,
  lastOutputTokens: null,
  lastCacheReadTokens: null,
  lastCacheCreationTokens: null,
};
const scanned: number[] = [];
function extract({ seq, content, createdAt }: MessageRow): UsageEvent[] {
  scanned.push(seq);
  const given = content.value as Partial<UsageEvent> | string;
  if (typeof given === "string") return [];
  const counts = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheCreationTokens: 0 };
  const event = {
    sourceKey: `${seq}`,
    sourceSeq: seq,
    createdAt,
    agent: "claude",
    model: null,
    ...counts,
    ...none,
  };
  return [{ ...event, kind: "delta", ...given }];
}
async function scan(): Promise<number[]> {
  scanned.length = 0;
  while (await store.scanUsage(extract));
  return [...scanned];
}
const append = (content: unknown) => store.appendMessage({ session: key, content, localId: null });
const summary = (to = Number.MAX_SAFE_INTEGER) =>
  store.usageSummary({ from: 0, to, dayOf: (at) => `day ${at >= 1_000 ? 2 : 1}` });

test("each message is looked at once, and once more when the history changed; nothing is counted twice", async () => {
  for (let more = 0; more < 250; more++) await append({ inputTokens: 2, outputTokens: 1 });
  expect((await scan()).length).toBe(250);
  expect(await scan()).toEqual([]);
  await append("nothing");
  expect(await scan()).toEqual([251]);
  await append({ inputTokens: 5 });
  await all.store.truncateMessages(key, undefined);
  await append({ inputTokens: 7 });
  expect(await scan()).toEqual([253]);
  expect((await summary()).totals).toEqual({
    inputTokens: 507,
    outputTokens: 250,
    cacheReadTokens: 0,
    cacheCreationTokens: 0,
    requests: 251,
    sessions: 1,
  });
});

test("a total counts what it has more than the one before it; the first by its own request; one that went back anew", async () => {
  const total = (inputTokens: number, lastInputTokens: number | null, createdAt: number) =>
    append({ kind: "cumulative", agent: "codex", model: "gpt", inputTokens, lastInputTokens, createdAt });
  await total(100, 40, 10);
  await total(150, null, 2_000);
  await total(30, 30, 2_001);
  await append({ inputTokens: 5, createdAt: 20 });
  await scan();
  const used = await summary();
  expect(used.totals).toMatchObject({ inputTokens: 40 + 50 + 30 + 5, requests: 4 });
  expect(used.daily.map(({ key: day, inputTokens }) => [day, inputTokens])).toEqual([
    ["day 2", 80],
    ["day 1", 45],
  ]);
  expect(used.byAgent.map(({ key: agent, inputTokens }) => [agent, inputTokens])).toEqual([
    ["codex", 120],
    ["claude", 5],
  ]);
  expect(used.byModel.map(({ key: model }) => model)).toEqual(["gpt", "claude"]);
  expect((await summary(1_000)).totals.inputTokens).toBe(45);
});

const event = (more: Partial<WorkEvent> = {}) => ({
  namespace: "default",
  ts: 5,
  sourceKind: "session",
  sourceRef: "s",
  sinkKind: null,
  sinkRef: null,
  eventType: "note",
  summary: null,
  payload: { a: 1 },
  artifactRefs: [],
  tags: ["t"],
  relatedSessionId: null,
  relatedEventId: null,
  provenance: null,
  idempotencyKey: null,
  dedupeKey: null,
  confidence: 0.5,
  severity: null,
  expiresAt: null,
  principal: { kind: "cli" },
  ...more,
});

test("an event is kept once for its idempotency key, listed to its namespace until it expires, with its links", async () => {
  const first = await store.appendWorkEvent(event({ idempotencyKey: "k" }));
  const again = await store.appendWorkEvent(event({ idempotencyKey: "k", summary: "other" }));
  expect([first.kind, again.kind, again.event.id]).toEqual(["stored", "known", first.event.id]);
  expect(again.event).toEqual(first.event);
  const related = await store.appendWorkEvent(event({ ts: 9, relatedSessionId: "s", eventType: "done" }));
  await store.appendWorkEvent(event({ expiresAt: 6 }));
  const ids = async (
    filter: { relatedSessionId?: string; eventType?: string; since?: number } = {},
    namespace = "default",
  ) => (await store.listWorkEvents(namespace, { ...filter, limit: 9 })).map(({ id }) => id);
  expect(await ids()).toEqual([related.event.id, first.event.id]);
  expect(await ids({ relatedSessionId: "s" })).toEqual([related.event.id]);
  expect(await ids({ eventType: "note" })).toEqual([first.event.id]);
  expect(await ids({}, "other")).toEqual([]);
  expect(await store.findWorkEvent("other", first.event.id)).toBeUndefined();
  const link = { namespace: "default", fromEventId: first.event.id, toEventId: related.event.id };
  const linked = await store.linkWorkEvents({ ...link, relationType: "r", metadata: null });
  expect(await store.listWorkLinks("default", related.event.id)).toEqual(
    linked === undefined ? [] : [linked],
  );
  expect(
    await store.linkWorkEvents({ ...link, namespace: "other", relationType: "r", metadata: null }),
  ).toBeUndefined();
  expect(await store.deleteExpiredWorkEvents(10)).toBe(1);
});

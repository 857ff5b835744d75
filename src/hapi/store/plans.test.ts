// However many messages there are, the list, presence and every page read what they show and nothing else: plans are looked at, times
// are only printed.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { loadavg } from "node:os";
import { rounds } from "../../../test/support/full.ts";
import { granted, openTestHapiStore, type TestHapiStore } from "../../../test/support/hapi-store.ts";
import { PAGES } from "./pages.ts";
import { QUEUES } from "./queue.ts";
import { LIST } from "./session-rows.ts";
import { unseen } from "./statement.ts";

const SESSIONS = 500;
/** Of each: half a million in all where the proof runs in full. */
const MESSAGES = rounds(100, 1_000);

let all: TestHapiStore;
let middle: { namespace: string; id: string };
beforeAll(async () => {
  all = openTestHapiStore();
  const ids = await Promise.all(
    Array.from({ length: SESSIONS }, (_, at) =>
      all.session(`t${at}`, "default", {
        path: `/home/dev/project-${at}`,
        host: "h",
        flavor: "claude",
        summary: { text: "s".repeat(80) },
      }),
    ),
  );
  middle = { namespace: "default", id: ids[250] ?? "" };
  // In the order of every index, so that filling takes a moment.
  await all.database.writer.run((db) => {
    db.$client.run("PRAGMA cache_size = -262144");
    db.$client
      .query(
        `INSERT INTO messages (id, session_id, content, created_at, seq, local_id, invoked_at)
         SELECT s.id || printf('-%06d', n.value), s.id, '{"role":"agent","content":"' || printf('%.*c', 120, 'x') || '"}', n.value,
           n.value, CASE WHEN n.value % 10 = 0 THEN printf('l%06d', n.value) END, n.value
         FROM (SELECT id FROM sessions ORDER BY id) s CROSS JOIN
           (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < ?) SELECT value FROM n) n`,
      )
      .run(MESSAGES);
  });
  await all.store.catchUp();
  await all.store.appendMessage({
    session: middle,
    content: "w",
    localId: "later",
    scheduledAt: Date.now() + 9e6,
  });
}, 120_000);
afterAll(() => all.close());

/** Each step of the plan, with the values of the statement. */
function planOf(text: string, values: Record<string, string | number>): string[] {
  const used = Object.fromEntries(Object.entries(values).filter(([name]) => text.includes(`$${name}`)));
  return all.database.reads.$client
    .query<{ detail: string }, [Record<string, string | number>]>(`EXPLAIN QUERY PLAN ${unseen(text)}`)
    .all(used)
    .map(({ detail }) => detail);
}

const values = () => ({
  session: middle.id,
  namespace: "default",
  now: 5,
  limit: 50,
  at: 500,
  seq: 500,
  untilAt: 900,
  untilSeq: 900,
  after: 400,
  among: "[]",
});

test("the list never touches a message row: what it counts of messages comes from an index alone, and it sorts nothing", () => {
  const plan = planOf(LIST, values());
  const messages = plan.filter((step) => step.includes("messages"));
  expect(messages.length).toBe(2);
  for (const step of messages) expect(step).toContain("USING COVERING INDEX roost_messages_scheduled");
  expect(plan.join()).not.toContain("TEMP B-TREE");
  expect(plan.join()).not.toContain("SCAN");
});

test.each([
  ["latest", "idx_messages_session_position"],
  ["before", "idx_messages_session_position"],
  ["after", "idx_messages_session_position"],
  ["waiting", "roost_messages_waiting"],
  ["backfill", "idx_messages_session"],
] as const)("the page %s goes along %s and sorts nothing", (name, index) => {
  const [step, ...more] = planOf(`SELECT * ${PAGES[name]}`, values());
  expect(step).toContain(`SEARCH messages USING INDEX ${index} (session_id=?`);
  expect(more).toEqual([]);
});

test.each([
  ["due", "idx_messages_scheduled_pending (scheduled_at"],
  ["next", "idx_messages_scheduled_pending (scheduled_at"],
  ["replay", "idx_messages_immediate_queued (session_id=?"],
] as const)("the queue %s goes along %s", (name, index) => {
  expect(planOf(QUEUES[name], values())[0]).toContain(index);
});

test("presence is stored and read without a message row", async () => {
  const small = openTestHapiStore();
  try {
    const key = { namespace: "default", id: await small.session("t") };
    // What would read one fails.
    await small.write("DROP TABLE messages");
    const presence = {
      active: true,
      activeAt: Date.now(),
      thinking: true,
      thinkingAt: 1,
      activeTurnStartedAt: null,
      backgroundTaskCount: 0,
      permissionMode: "plan",
      collaborationMode: null,
      copilotAgentMode: null,
    };
    await small.store.storePresence({ sessions: [{ id: key.id, presence }] });
    expect(await small.store.listPresent()).toMatchObject({ sessions: [{ id: key.id, presence }] });
    expect(await small.store.findSession(key)).toMatchObject({ presence });
  } finally {
    await small.close();
  }
});

test("how long it takes here", async () => {
  const timed = async (name: string, work: () => Promise<unknown>) => {
    const times: number[] = [];
    const used: number[] = [];
    const runs = rounds(60, 1_000);
    for (let run = 0; run < runs; run++) {
      const [from, cpu] = [performance.now(), process.cpuUsage()];
      await work();
      times.push(performance.now() - from);
      const { user, system } = process.cpuUsage(cpu);
      used.push((user + system) / 1_000);
    }
    // What others have of the machine is in the one and not in the other.
    const said = [times, used].map((all) => {
      all.sort((a, b) => a - b);
      return [0.5, 0.99].map((share) => all[Math.floor(share * runs)]?.toFixed(2)).join(" / ");
    });
    console.log(
      `${name}, ${SESSIONS * MESSAGES} messages, median / p99: ${said[0]} ms, of the processors ${said[1]} ms, load ${loadavg()[0]?.toFixed(1)}`,
    );
  };
  await timed("list of 500 sessions", () => all.store.listSessions("default"));
  await timed("page of 100", () => all.store.pageMessages(middle, { direction: "latest", limit: 100 }));
  expect(
    granted(await all.store.pageMessages(middle, { direction: "latest", limit: 100 })).page.hasMore,
  ).toBe(true);
  expect((await all.store.listSessions("default")).length).toBe(SESSIONS);
}, 300_000);

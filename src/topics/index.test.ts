// From one run of the server to the next: old events go at the start, ids and lists go on, and silence is noticed.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../../test/support/config.ts";
import type { TestServer } from "../../test/support/server.ts";
import { login, openRows, site, type TopicsUser, topicsServer } from "../../test/support/topics-client.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "roost-runs-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

async function run<T>(
  overrides: Partial<Config>,
  visit: (admin: TopicsUser, server: TestServer) => Promise<T>,
): Promise<T> {
  const server = await topicsServer({ dataDir, ...overrides });
  try {
    return await visit(await login(server.url), server);
  } finally {
    await server.stop();
  }
}

const create = (admin: TopicsUser, ...names: string[]) =>
  Promise.all(names.map((name) => admin.post("/websites/create", site(`${name}.example.com`))));
const asked = async (admin: TopicsUser, lastEventId: number) => {
  const heard = await admin.connect();
  const ack = await heard.ask("request:websites", { lastEventId });
  const ids = heard.all("websites:update").map(({ eventId }) => eventId);
  heard.close();
  return { reason: ack.reason, last: ack.lastEventId, ids };
};

test("after a restart the ids go on, what was missed is replayed, and nothing old is announced", async () => {
  await run({}, (admin) => create(admin, "a", "b"));
  await run({}, async (admin) => {
    const heard = await admin.connect();
    await create(admin, "c");
    await heard.until("websites:update");
    await heard.settled();
    expect(heard.all("websites:update").map(({ eventId }) => eventId)).toEqual([3]);
    heard.close();
    expect(await asked(admin, 1)).toEqual({ reason: "replay", last: 3, ids: [2, 3] });
  });
});

test("old events go when the server starts", async () => {
  await run({}, (admin) => create(admin, "a", "b", "c"));
  const rows = openRows({ dataDir });
  rows.run("UPDATE ws_events SET created_at = 1 WHERE id < 3");
  await run({}, async (admin) => {
    const left = () => rows.query<{ id: number }, []>("SELECT id FROM ws_events").all();
    const deadline = Date.now() + 5_000;
    while (left().length > 1 && Date.now() < deadline) await Bun.sleep(5);
    expect(left()).toEqual([{ id: 3 }]);
    expect((await asked(admin, 1)).reason).toBe("pruned");
    expect((await asked(admin, 2)).ids).toEqual([3]);
  });
  rows.close();
});

test("while realtime is off the log goes on, and replays what happened", async () => {
  await run({}, (admin) => create(admin, "a"));
  await run({ topicsRealtimeEnabled: false }, (admin) => create(admin, "b"));
  expect(await run({}, (admin) => asked(admin, 1))).toEqual({ reason: "replay", last: 2, ids: [2] });
});

test("what happened without a log is not hidden: whoever was up to date gets the whole list", async () => {
  await run({}, (admin) => create(admin, "a"));
  const silent = { topicsRealtimeEnabled: false, topicsLogEvents: false };
  await run(silent, async (admin) => {
    const [created] = await create(admin, "b");
    expect(created?.body.code).toBe(0);
    const rows = openRows({ dataDir });
    expect(rows.query("SELECT id FROM ws_events").all()).toEqual([{ id: 1 }]);
    rows.close();
  });
  expect((await run({}, (admin) => asked(admin, 1))).reason).toBe("gap");
  await run({}, async (admin) => {
    await create(admin, "c");
    expect(await asked(admin, 2)).toMatchObject({ reason: "up_to_date", last: 2 });
  });
});

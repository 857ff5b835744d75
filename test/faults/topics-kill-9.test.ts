// The process is killed in the middle of changes, again and again. Every change that was acknowledged is there with its event, every
// event with its change, and a subscriber that knows one event hears every later one exactly once, in order.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rounds } from "../support/full.ts";
import {
  openRows,
  signedToken,
  site,
  TOPICS_SECRET,
  type TopicsUser,
  userWith,
} from "../support/topics-client.ts";
import { until } from "../support/until.ts";
import { seeded } from "./random.ts";
import { startProcess } from "./server-process.ts";

const ROUNDS = rounds(5, 40);
const WRITERS = 4;

const dataDir = mkdtempSync(join(tmpdir(), "roost-topics-kill-"));
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

let lives = 0;

const start = () =>
  startProcess({
    dataDir,
    env: {
      // Each way of committing begins with what the other has left.
      ROOST_COMMIT: ++lives % 3 === 0 ? "blocking" : "pipelined",
      ROOST_LOG_LEVEL: "warn",
      JWT_SECRET: TOPICS_SECRET,
      ADMIN_USERNAME: "admin",
      ADMIN_PASSWORD: "admin123",
    },
  });

let next = 0;

/** Creates and deletes until the server is gone. */
async function write(admin: TopicsUser, created: Set<number>, deleted: Set<number>): Promise<void> {
  try {
    for (;;) {
      const answer = await admin.post("/websites/create", site(`w${++next}.example.com`));
      if (answer.body.code !== 0) return;
      const { id } = answer.body.data;
      created.add(id);
      if (next % 3 !== 0) continue;
      if ((await admin.post("/websites/delete", { ids: [id] })).body.code === 0) deleted.add(id);
    }
  } catch {
    // The server was killed.
  }
}

test(
  "no crash parts a change from its event",
  async () => {
    const random = seeded("topics-kill-9");
    const created = new Set<number>();
    const deleted = new Set<number>();
    let known = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const server = await start();
      const admin = userWith(server.url, await signedToken({ exp: Math.floor(Date.now() / 1000) + 600 }));
      const reader = await admin.connect();
      const ack = await reader.ask("request:websites", { lastEventId: known });
      const heard = reader.all("websites:update").map(({ eventId }) => eventId);
      if (known > 0 && ack.reason !== "overflow") {
        expect(heard).toEqual(
          Array.from({ length: ack.lastEventId - known }, (_, index) => known + 1 + index),
        );
      }
      known = ack.lastEventId;
      const before = created.size;
      const writers = Array.from({ length: WRITERS }, () => write(admin, created, deleted));
      // However slow the machine is: each life has acknowledged something.
      await until("a change to be acknowledged", () => created.size > before);
      await Bun.sleep(random.whole(20, 140));
      await server.end("SIGKILL");
      await Promise.all(writers);
      reader.close();
    }
    const rows = openRows({ dataDir });
    const ids = (sql: string) =>
      rows
        .query<{ id: number }, []>(sql)
        .all()
        .map(({ id }) => id);
    const added = ids(
      "SELECT payload ->> 'website_id' AS id FROM ws_events WHERE event_type = 'add' ORDER BY id",
    );
    const removed = ids("SELECT payload ->> 'website_id' AS id FROM ws_events WHERE event_type = 'delete'");
    const there = ids("SELECT id FROM websites ORDER BY id");
    const state = rows
      .query<{ version: number; published: number; last: number }, []>(
        "SELECT version, published, last_event_id AS last FROM ws_topic_state WHERE topic = 'websites'",
      )
      .get();
    const sound = rows.query<{ integrity_check: string }, []>("PRAGMA integrity_check").get();
    rows.close();
    expect(sound?.integrity_check).toBe("ok");
    expect(created.size).toBeGreaterThan(ROUNDS);
    expect([...created].filter((id) => !added.includes(id))).toEqual([]);
    expect([...deleted].filter((id) => !removed.includes(id))).toEqual([]);
    expect(there).toEqual(added.filter((id) => !removed.includes(id)).sort((a, b) => a - b));
    const events = added.length + removed.length;
    expect(state).toEqual({ version: events, published: events, last: events });
  },
  60_000 + ROUNDS * 3_000,
);

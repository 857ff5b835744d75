// The boundaries of the replay (topics contract, section 10), on a real database.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { createLog } from "../../observability/log.ts";
import type { Database } from "../../storage/database.ts";
import { topic } from "../topic.ts";
import { lastEventIdOf } from "../wire/updates.ts";
import { openTopicsDatabase } from "./database.ts";
import { EventLog } from "./events.ts";
import { readAnswer } from "./replay.ts";

const TOTAL = 510;
const nodes = topic({
  name: "nodes",
  itemKey: "id",
  snapshot: () => ({ items: [{ id: 1 }], total: 7 }),
  project: () => undefined,
});

let folder: string;
let database: Database;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "roost-replay-"));
  database = openTopicsDatabase(folder, createLog("silent"));
  const log = new EventLog(database, () => {}, true);
  await Promise.all(
    Array.from({ length: TOTAL }, (_, index) =>
      log.change(nodes, (_db, publish) => publish("add", { id: index + 1 })),
    ),
  );
});
afterAll(async () => {
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

/** `full reason` or `incremental reason count first..last`. */
async function answered(payload: unknown): Promise<string> {
  const answer = await readAnswer(database.reads, nodes, lastEventIdOf(payload));
  if (answer.mode === "full") return `full ${answer.reason}`;
  const span = answer.events.length === 0 ? "" : ` ${answer.events[0]?.id}..${answer.events.at(-1)?.id}`;
  return `incremental ${answer.reason} ${answer.events.length}${span}`;
}

const set = (change: string) =>
  database.writer.run((db) => db.run(sql.raw(`UPDATE ws_topic_state SET ${change}`)));

test.each([
  ["499 missed", { lastEventId: TOTAL - 499 }, "incremental replay 499 12..510"],
  ["500 missed", { lastEventId: TOTAL - 500 }, "incremental replay 500 11..510"],
  ["501 missed", { lastEventId: TOTAL - 501 }, "full overflow"],
  ["one missed", { lastEventId: TOTAL - 1 }, "incremental replay 1 510..510"],
  ["none missed", { lastEventId: TOTAL }, "incremental up_to_date 0"],
  ["ahead", { lastEventId: TOTAL + 1 }, "full ahead"],
  ["the largest number", { lastEventId: Number.MAX_SAFE_INTEGER }, "full ahead"],
  ["zero", { lastEventId: 0 }, "full initial"],
  ["negative", { lastEventId: -1 }, "full initial"],
  ["absent", {}, "full initial"],
  ["null", { lastEventId: null }, "full initial"],
  ["text", { lastEventId: "5" }, "full initial"],
  ["a fraction", { lastEventId: 1.5 }, "full initial"],
  ["above 2^53 - 1", { lastEventId: 2 ** 53 }, "full initial"],
  ["no payload", undefined, "full initial"],
  ["null as payload", null, "full initial"],
  ["a list as payload", [5], "full initial"],
  ["a number as payload", 5, "full initial"],
])("%s", async (_name, payload, expected) => {
  expect(await answered(payload)).toBe(expected);
});

test("at the pruned mark everything after it is there, below it not", async () => {
  await set("pruned_through_id = 400");
  expect(await answered({ lastEventId: 400 })).toBe("incremental replay 110 401..510");
  expect(await answered({ lastEventId: 399 })).toBe("full pruned");
  await set("pruned_through_id = 0");
});

test("at and below a gap the list is sent whole, even to who knows the last event", async () => {
  await set(`force_full_through = ${TOTAL}`);
  expect(await answered({ lastEventId: TOTAL })).toBe("full gap");
  expect(await answered({ lastEventId: TOTAL - 1 })).toBe("full gap");
  expect(await answered({ lastEventId: TOTAL + 1 })).toBe("full ahead");
  await set("force_full_through = 0");
});

test("when the events that should be there are gone, the list is sent whole", async () => {
  await set(`last_event_id = ${TOTAL + 5}`);
  expect(await answered({ lastEventId: TOTAL })).toBe("full gap");
  await set(`last_event_id = ${TOTAL}`);
});

test("a list says how many there are, how often they changed, and as of which event", async () => {
  expect(await readAnswer(database.reads, nodes, undefined)).toEqual({
    mode: "full",
    reason: "initial",
    items: [{ id: 1 }],
    total: 7,
    version: TOTAL,
    through: TOTAL,
  });
});

// Holds the answers of a store to what is durable: also those that only read, those that read again after a wait, those that are read while
// they are written, and refusals. Where nothing waits they cost nothing.
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { createLog } from "../observability/log.ts";
import { type Database, openDatabase } from "./database.ts";
import { durableStore } from "./durable-store.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

const migrations = [{ name: "1", up: "CREATE TABLE notes (text TEXT UNIQUE)", down: "" }];

let folder: string;
let database: Database;
let syncs: PromiseWithResolvers<void>[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "roost-durable-"));
  syncs = [];
  const syncing = {
    sync: () => {
      const sync = Promise.withResolvers<void>();
      syncs.push(sync);
      return sync.promise;
    },
    now: () => {},
    stop: () => {},
  };
  database = openDatabase({ path: join(folder, "a.db"), migrations, log: createLog("silent"), syncing });
});
afterEach(async () => {
  for (const sync of syncs) sync.resolve();
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

const notes = () =>
  database.reads.all<{ text: string }>(sql`SELECT text FROM notes ORDER BY rowid`).map(({ text }) => text);
const operations = {
  write: (text: string) => database.writer.run((db) => void db.run(sql`INSERT INTO notes VALUES (${text})`)),
  read: async () => notes(),
  readLater: async (waits: Promise<void>) => {
    await waits;
    return notes();
  },
  refuse: async () => {
    throw new Error(`there are ${notes().length}`);
  },
  refuseAtOnce: (): Promise<string[]> => {
    throw new Error(`there are ${notes().length}`);
  },
  heavy: async () => ({
    hasMore: false,
    isHeavy: true as const,
    rows: (async function* () {
      yield notes();
      yield notes();
    })(),
  }),
  within: async () => ({ count: notes().length, messages: await operations.heavy() }),
  batches: async () =>
    (async function* () {
      yield notes();
      yield notes();
    })(),
  barrier: () => database.writer.barrier(),
};
const turn = () => new Promise((resolve) => setImmediate(resolve));
const end = async () => {
  syncs.shift()?.resolve();
  await turn();
};

/** What became of it so far. */
function followed<T>(promise: Promise<T>): { readonly now: unknown } {
  const state: { now: unknown } = { now: "waits" };
  promise.then(
    (value) => {
      state.now = value;
    },
    (error: Error) => {
      state.now = error.message;
    },
  );
  return state;
}

test("where nothing waits for the disk, the very promise of the operation is handed through", async () => {
  const seen: Promise<unknown>[] = [];
  const noted = Object.fromEntries(
    Object.entries({ read: operations.read, refuse: operations.refuse }).map(([name, operation]) => [
      name,
      () => {
        const promise = operation() as Promise<string[]>;
        seen.push(promise);
        return promise;
      },
    ]),
  ) as Pick<typeof operations, "read" | "refuse">;
  const store = durableStore(database, noted);
  const [read, refuse] = [store.read(), store.refuse() as Promise<unknown>];
  refuse.catch(() => {});
  expect([read === seen[0], refuse === seen[1]]).toEqual([true, true]);
});

test("a read is told when what it may have seen is durable, and so is a refusal", async () => {
  const store = durableStore(database, operations);
  const written = followed(store.write("a"));
  await turn();
  const answers = [store.read(), store.refuse(), store.refuseAtOnce()].map(followed);
  await turn();
  expect([written.now, answers.map(({ now }) => now)]).toEqual(["waits", ["waits", "waits", "waits"]]);
  await end();
  expect(answers.map(({ now }) => now)).toEqual([["a"], "there are 1", "there are 1"]);
  expect(written.now).toBeUndefined();
});

test("what tells nothing of what is stored waits for nothing", async () => {
  const store = durableStore(database, operations, ["read"]);
  void store.write("a");
  await turn();
  expect(await store.read()).toEqual(["a"]);
  const other = followed(store.refuse());
  await turn();
  expect(other.now).toBe("waits");
  await end();
});

test("what is read after a wait counts too", async () => {
  const store = durableStore(database, operations);
  const waits = Promise.withResolvers<void>();
  const answer = followed(store.readLater(waits.promise));
  void store.write("a");
  await turn();
  waits.resolve();
  await turn();
  expect(answer.now).toBe("waits");
  await end();
  expect(answer.now).toEqual(["a"]);
});

for (const kind of ["heavy", "within", "batches"] as const)
  test(`rows that are read while they are written are given out when they are durable: ${kind}`, async () => {
    const store = durableStore(database, operations);
    const answer = await store[kind]();
    const listed = "messages" in answer ? answer.messages : answer;
    const rows = ("rows" in listed ? listed.rows : listed)[Symbol.asyncIterator]();
    expect((await rows.next()).value).toEqual([]);
    void store.write("a");
    await turn();
    const second = followed(rows.next());
    await turn();
    expect(second.now).toBe("waits");
    await end();
    expect(second.now).toEqual({ done: false, value: ["a"] });
    expect((await rows.next()).done).toBe(true);
  });

test("a write waits for its own group only, and answers leave in the order in which they were asked", async () => {
  const store = durableStore(database, operations);
  const said: string[] = [];
  const write = (text: string) => store.write(text).then(() => said.push(text));
  void write("a");
  await turn();
  void write("b");
  // The first sync ends within the turn in which two more are written.
  syncs.shift()?.resolve();
  await null;
  await null;
  void write("c");
  await turn();
  await turn();
  expect(said.splice(0)).toEqual(["a"]);
  void write("d");
  void store.barrier().then(() => said.push("barrier"));
  await turn();
  await end();
  expect(said.splice(0)).toEqual(["b", "c"]);
  await end();
  expect(said).toEqual(["d", "barrier"]);
});

test("a sync that failed refuses the answers that wait for it", async () => {
  const store = durableStore(database, operations);
  const written = followed(store.write("a"));
  await turn();
  const answers = [store.read(), store.refuse()].map(followed);
  syncs.shift()?.reject(Object.assign(new Error("EIO"), { code: "EIO" }));
  await turn();
  const refused = expect.stringContaining("The disk could not make the log of a.db durable (EIO)");
  expect([written.now, ...answers.map(({ now }) => now)]).toEqual([refused, refused, refused]);
});

test("after a sync that failed nothing tells of what was refused, whoever asks and whenever", async () => {
  const store = durableStore(database, operations);
  const written = followed(store.write("a"));
  await turn();
  // Asked in the very turn in which the sync fails, and again when the server is about to end.
  syncs.shift()?.reject(Object.assign(new Error("EIO"), { code: "EIO" }));
  const atOnce = followed(store.read());
  await turn();
  const later = [store.read(), store.refuse(), store.barrier()].map((one) => followed<unknown>(one));
  await turn();
  const refused = expect.stringContaining("The disk could not make the log of a.db durable (EIO)");
  expect([written.now, atOnce.now, ...later.map(({ now }) => now)]).toEqual(Array(5).fill(refused));
});

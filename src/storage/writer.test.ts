// Holds the writer to its line: while another program holds the lock operations wait in order and for a bounded time, none runs twice
// or overtakes another, and what does not fit is refused at once. The other program is a second connection here.
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { createLog } from "../observability/log.ts";
import { StorageError } from "./errors.ts";
import type { Db } from "./query.ts";
import { MAX_WAITING, MAX_WAITING_BYTES } from "./waiting-line.ts";
import { Writer, type WriterParts } from "./writer.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

let folder: string;
let sqlite: Database;
let foreign: Database;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "roost-writer-"));
  sqlite = new Database(join(folder, "a.db"), { create: true });
  sqlite.run("PRAGMA journal_mode = WAL");
  sqlite.run("PRAGMA busy_timeout = 0");
  sqlite.run("CREATE TABLE notes (text TEXT)");
  foreign = new Database(join(folder, "a.db"), { readwrite: true });
});
afterEach(() => {
  foreign.close();
  sqlite.close();
  rmSync(folder, { recursive: true, force: true });
});

const writerWith = (parts: Partial<WriterParts> = {}) =>
  new Writer({ sqlite, db: drizzle({ client: sqlite }), log: createLog("silent"), name: "a.db", ...parts });
const note = (text: string) => (db: Db) => {
  db.run(sql`INSERT INTO notes VALUES (${text})`);
  return text;
};
const notes = () =>
  foreign
    .query<{ text: string }, []>("SELECT text FROM notes ORDER BY rowid")
    .all()
    .map(({ text }) => text);
const hold = () => foreign.run("BEGIN IMMEDIATE");
const letGo = () => foreign.run("ROLLBACK");
const outcome = (promise: Promise<unknown>) =>
  promise.catch((error: unknown) => (error instanceof StorageError ? error.code : error));

test("what waits is stored in the order in which it came, before what comes later, and announced so", async () => {
  const writer = writerWith();
  const announced: string[] = [];
  hold();
  const waiting = ["a", "b", "c"].map((text) => writer.run(note(text), (done) => announced.push(done)));
  await Bun.sleep(100);
  expect([writer.depth, announced, notes()]).toEqual([3, [], []]);
  expect(writer.heldMs).toBeGreaterThan(50);
  letGo();
  waiting.push(writer.run(note("d"), (done) => announced.push(done)));
  expect(await Promise.all(waiting)).toEqual(["a", "b", "c", "d"]);
  expect([announced, notes()]).toEqual([
    ["a", "b", "c", "d"],
    ["a", "b", "c", "d"],
  ]);
  expect([writer.depth, writer.heldMs]).toEqual([0, 0]);
  writer.close();
});

test("the event loop goes on while operations wait, and a thousand of them are worked off in turns", async () => {
  const writer = writerWith();
  hold();
  const waiting = Array.from({ length: 1_000 }, (_, index) => writer.run(note(`${index}`)));
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 1);
  await Bun.sleep(300);
  letGo();
  await Promise.all(waiting);
  clearInterval(timer);
  expect(notes()).toEqual(Array.from({ length: 1_000 }, (_, index) => `${index}`));
  expect(longest).toBeLessThan(500);
  writer.close();
});

test("each waits its own time, then it is refused by name and nothing of it is stored", async () => {
  const writer = writerWith({ waitMs: 300 });
  hold();
  const early = outcome(writer.run(note("early")));
  await Bun.sleep(200);
  const late = writer.run(note("late"));
  expect(await early).toBe("held");
  letGo();
  expect(await late).toBe("late");
  expect(notes()).toEqual(["late"]);
  writer.close();
});

test("when one of a sender's operations is refused, those behind it are; those of others are not", async () => {
  const writer = writerWith({ waitMs: 300 });
  const [phone, cli] = [{}, {}];
  hold();
  const first = outcome(writer.run(note("cli 1"), undefined, { sender: cli }));
  await Bun.sleep(200);
  const second = outcome(writer.run(note("cli 2"), undefined, { sender: cli }));
  const other = outcome(writer.run(note("phone"), undefined, { sender: phone }));
  expect(await first).toBe("held");
  letGo();
  expect(await Promise.all([second, other])).toEqual(["held", "phone"]);
  expect(notes()).toEqual(["phone"]);
  writer.close();
});

test("a barrier waits for what its own sender has run, and for nobody else's while the lock is held", async () => {
  const writer = writerWith();
  const [phone, cli] = [{}, {}];
  hold();
  const waiting = writer.run(note("cli"), undefined, { sender: cli });
  await writer.barrier(phone);
  let passed = false;
  const barrier = writer.barrier(cli).then(() => {
    passed = true;
  });
  await Bun.sleep(50);
  expect(passed).toBe(false);
  letGo();
  await Promise.all([waiting, barrier]);
  expect(notes()).toEqual(["cli"]);
  writer.close();
});

test("what does not fit in the line is refused at once, by number and by bytes", async () => {
  const writer = writerWith();
  hold();
  const large = { content: "x".repeat(MAX_WAITING_BYTES / 2 + 1) };
  const kept = [writer.holding([large]).run(note("large"))];
  expect(await outcome(writer.holding([large]).run(note("too large")))).toBe("held");
  for (let n = 1; n < MAX_WAITING; n++) kept.push(writer.run(() => "small"));
  expect(await outcome(writer.run(note("too many")))).toBe("held");
  letGo();
  await Promise.all(kept);
  expect(notes()).toEqual(["large"]);
  writer.close();
});

test("a commit that meets a lock is tried again: nothing is stored twice, nothing is told before it is stored", async () => {
  let refusals = 5;
  const prepare = sqlite.prepare.bind(sqlite);
  sqlite.prepare = ((text: string) => {
    const statement = prepare(text);
    if (text !== "COMMIT") return statement;
    const run = statement.run.bind(statement);
    statement.run = () => {
      if (refusals-- > 0) throw Object.assign(new Error("database is locked"), { code: "SQLITE_BUSY" });
      return run();
    };
    return statement;
  }) as typeof sqlite.prepare;
  const writer = writerWith();
  const first = writer.run(note("first"));
  await new Promise((resolve) => setImmediate(resolve));
  const second = writer.run(note("second"));
  expect([notes(), refusals]).toEqual([[], 4]);
  expect(await Promise.all([first, second])).toEqual(["first", "second"]);
  expect([notes(), refusals < 0]).toEqual([["first", "second"], true]);
  writer.close();
});

test("a commit that meets a lock for too long is undone and refused, and the next one works", async () => {
  let isBusy = true;
  const prepare = sqlite.prepare.bind(sqlite);
  sqlite.prepare = ((text: string) => {
    const statement = prepare(text);
    if (text !== "COMMIT") return statement;
    const run = statement.run.bind(statement);
    statement.run = () => {
      if (isBusy) throw Object.assign(new Error("database is locked"), { code: "SQLITE_BUSY_SNAPSHOT" });
      return run();
    };
    return statement;
  }) as typeof sqlite.prepare;
  const writer = writerWith({ waitMs: 200 });
  expect(await outcome(writer.run(note("first")))).toBe("held");
  isBusy = false;
  expect(await writer.run(note("second"))).toBe("second");
  expect(notes()).toEqual(["second"]);
  writer.close();
});

test("closing stores what waits when the lock is free, and refuses it when it is not", async () => {
  const writer = writerWith();
  hold();
  const waiting = [outcome(writer.run(note("a"))), outcome(writer.run(note("b")))];
  letGo();
  writer.close();
  expect(await Promise.all(waiting)).toEqual(["a", "b"]);
  expect(await outcome(writer.run(note("c")))).toBe("closed");
  const other = writerWith();
  hold();
  const refused = outcome(other.run(note("d")));
  other.close();
  expect(await refused).toBe("held");
  letGo();
  expect(notes()).toEqual(["a", "b"]);
});

test("once the files are lost everything is refused: what was just committed, what waits, and what comes", async () => {
  const lost = new StorageError("replaced", "gone");
  const announced: string[] = [];
  const writer = writerWith({ whyLost: () => lost });
  expect(await outcome(writer.run(note("a"), (text) => announced.push(text)))).toBe("replaced");
  expect(await outcome(writer.run(note("b")))).toBe("replaced");
  writer.close();
  const other = writerWith();
  const open = outcome(other.run(note("c")));
  other.lose(lost);
  expect(await open).toBe("replaced");
  hold();
  expect(await outcome(other.run(note("d")))).toBe("replaced");
  letGo();
  expect([notes(), announced]).toEqual([["a"], []]);
  other.close();
});

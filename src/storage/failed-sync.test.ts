// What a start makes of a log whose sync failed in the run before, also while somebody reads it all the time, as a replicator does: then
// it goes on at its end, and must have no hole before that.
import { Database as Sqlite } from "bun:sqlite";
import { afterEach, beforeEach, expect, setDefaultTimeout } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onLinux } from "../../test/support/needs.ts";
import { until } from "../../test/support/until.ts";
import { createLog } from "../observability/log.ts";
import { type Database, openDatabase } from "./database.ts";
import { hasFailedSync, markFailedSync } from "./failed-sync.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

const migrations = [{ name: "1", up: "CREATE TABLE notes (text TEXT)", down: "" }];

let folder: string;
let path: string;
let open: { close(): unknown }[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "roost-failed-sync-"));
  path = join(folder, "a.db");
  open = [];
});
afterEach(async () => {
  for (const one of open.reverse()) await one.close();
  rmSync(folder, { recursive: true, force: true });
});

function opened(): Database {
  const database = openDatabase({ path, migrations, log: createLog("silent") });
  open.push(database);
  return database;
}

/** Bytes that this process has given to write calls so far. */
const written = () => Number(/^wchar: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);
const logBytes = () => statSync(`${path}-wal`).size;

onLinux.test(
  "a log that cannot start over is written again, whole, before anything is committed behind it",
  async () => {
    const before = opened();
    const write = ({ writer }: Database, text: string) =>
      writer.run((db) => void db.run(`INSERT OR REPLACE INTO notes (rowid, text) VALUES (1, '${text}')`));
    await write(before, "0");
    // One page in many versions: what a checkpoint moves of it is little. None is synced: five hundred syncs take a busy disk half a minute.
    const quick = new Sqlite(path, { readwrite: true });
    open.push(quick);
    for (const [name, value] of Object.entries({ synchronous: "OFF", wal_autocheckpoint: 0 }))
      quick.run(`PRAGMA ${name} = ${value}`);
    for (let n = 1; n < 500; n++) quick.run(`UPDATE notes SET text = '${n}' WHERE rowid = 1`);
    quick.close();
    const replicator = new Sqlite(path, { readwrite: true });
    open.push(replicator);
    replicator.run("BEGIN");
    replicator.query("SELECT * FROM notes").all();
    await before.close();
    open.splice(open.indexOf(before), 1);
    const log = logBytes();
    expect(log).toBeGreaterThan(2 ** 20);
    markFailedSync(path, "EIO");
    const from = written();
    const after = opened();
    // Before the look at every page, which runs beside this thread, can have answered.
    expect(hasFailedSync(path)).toBe(true);
    expect(written() - from).toBeGreaterThanOrEqual(log);
    expect(logBytes()).toBe(log);
    await write(after, "new");
    expect([logBytes() > log, after.holds("SELECT 1 FROM notes WHERE text = 'new'")]).toEqual([true, true]);
    expect(replicator.query("SELECT text FROM notes").all()).toEqual([{ text: "499" }]);
    await until("every page to be looked at, and the mark to go", () => !hasFailedSync(path));
  },
);

// Holds a database to working beside a replicator such as Litestream, which keeps a read transaction open, has tables of its own in
// the file, and takes the write lock for a moment now and then.
import { Database as Sqlite } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../observability/log.ts";
import { openDatabase } from "./database.ts";

const folder = mkdtempSync(join(tmpdir(), "roost-replicated-"));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const migrations = [{ name: "0001", up: "CREATE TABLE notes (text TEXT)", down: "" }];
const log = createLog("silent");

test("its log is not restarted under a reader, a stop does not wait for it, and nothing is lost", async () => {
  const path = join(folder, "a.db");
  const database = openDatabase({ path, migrations, log });
  const replicator = new Sqlite(path, { readwrite: true });
  replicator.run("PRAGMA busy_timeout = 5000");
  replicator.run("CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)");
  replicator.run("CREATE TABLE _litestream_lock (id INTEGER)");
  replicator.run("BEGIN");
  const rows = () => replicator.query<{ n: number }, []>("SELECT count(*) AS n FROM notes").get()?.n;
  expect(rows()).toBe(0);
  for (let n = 0; n < 50; n++)
    await database.writer.run((db) => db.run(`INSERT INTO notes VALUES ('${"x".repeat(1000)}')`));
  const logged = statSync(`${path}-wal`).size;
  const began = performance.now();
  await database.close();
  expect(performance.now() - began).toBeLessThan(2_000);
  expect(statSync(`${path}-wal`).size).toBe(logged);
  expect(rows()).toBe(0);
  replicator.run("COMMIT");
  expect(rows()).toBe(50);
  const again = openDatabase({ path, migrations, log });
  expect(again.reads.values("SELECT count(*) FROM notes")).toEqual([[50]]);
  await again.close();
  replicator.close();
});

// No database file is opened or copied past SQLite. POSIX locks belong to the process: closing any handle of the file drops every
// lock that SQLite believes to hold on it, and the next program that visits the file takes the write-ahead log away.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");

/** Calls that open a file for its bytes. Those that go by path alone, such as stat, rename and rm, open nothing. */
const NAMES =
  "copyFile|copyFileSync|cp|cpSync|open|openSync|openAsBlob|readFile|readFileSync|writeFile|writeFileSync|appendFile|appendFileSync|truncate|truncateSync|createReadStream|createWriteStream";
const OPENERS = new RegExp(`(?<![.\\w#])(${NAMES})\\(|\\bBun\\.(file|write|mmap)\\(`);

/** Whether the text has such a call from the system or Bun; a function of the project that is called `open` is none. */
function opensFiles(text: string): boolean {
  const imported = [...text.matchAll(/import (?:\* as \w+|\{([^}]*)\}) from "(?:node:)?fs(?:\/promises)?"/g)];
  return (
    imported.some(([, names]) => names === undefined || new RegExp(`\\b(${NAMES})\\b`).test(names)) ||
    /\bBun\.(file|write|mmap)\(|\bfs\.\w+\(|import\("(node:)?fs|require\("(node:)?fs/.test(text)
  );
}

/** Every file of the source that opens files, and what it opens. Whoever adds one says why it can be no database. */
const ALLOWED: Readonly<Record<string, string>> = {
  "src/admin/channel.ts": "the key and address of its own socket",
  "src/backup/create.ts": "copies that SQLite made in a folder of its own, single files and blobs by name",
  "src/backup/drill.ts": "an archive",
  "src/backup/file-sink.ts": "new files only: it refuses one that is there",
  "src/backup/folder.ts": "records beside archives",
  "src/backup/verify.ts": "an archive",
  "src/bus/cluster.ts": "certificates",
  "src/commands/follow-changes.ts": "the terminal",
  "src/commands/service.ts": "the executable and the unit",
  "src/config/config-file.ts": "the configuration",
  "src/doctor/this-machine.ts": "a file of its own that it makes and removes",
  "src/hapi/home/secret-files.ts": "the two secret files of a home by their names",
  "src/hapi/home/settings-file.ts": "the settings of a home",
  "src/hapi/web/copies.ts": "new files in a folder of its own, and notes beside them",
  "src/hapi/web/download.ts": "a new file in a temporary folder",
  "src/hapi/hub/abandoned-files.ts": "a small file of its own in the home, and the folders of notes",
  "src/hapi/hub/scratch-files.ts":
    "files of notes three folders down in one of their own, each by a name that begins with its id",
  "src/happy/client-logs.ts": "logs in a folder of their own",
  "src/http/static-site.ts":
    "the web app's folder, which may not hold the data folder (storage/private-folder.ts)",
  "src/observability/log-channel.ts": "standard output once more, when it is a pipe or a terminal",
  "src/ops/program-pages.ts": "what the kernel says of this process's memory",
  "src/retention/clock.ts": "a small file of its own",
  "src/rpc/document/file-provider.ts": "the document of calls, under no name that databases have",
  "src/rpc/observe/audit-file.ts": "the audit, under no name that databases have",
  "src/server/certificate.ts": "certificates",
  "src/server/descriptors.ts": "what the kernel says of this process",
  "src/server/own-address.ts": "the address in a file of its own",
  "src/server/paused-reading.ts":
    "what the kernel says of this process's event loops, under /proc/self/fdinfo",
  "src/server/tls-door-terms.ts": "certificates",
  "src/storage/durable-file.ts": "small files that it makes itself, and folders",
  "src/storage/local-blobs.ts": "blobs by their checked keys",
  "src/storage/log-sync.ts":
    "the one exception: the log, which carries no lock of SQLite's, to sync it (log-sync.test.ts)",
  "src/storage/lock.ts": "the number of the process; the lock itself is opened by SQLite only",
  "src/storage/master-secret.ts": "the master secret",
  "src/storage/snapshot.ts": "a copy that SQLite has made and closed",
};

const sources = [...new Bun.Glob("src/**/*.{ts,tsx}").scanSync({ cwd: ROOT })]
  .filter((name) => !/\.test\.tsx?$|\.d\.ts$/.test(name))
  .sort();

test("every file of the source that opens files is known, with what it opens", () => {
  const found = sources.filter((name) => opensFiles(readFileSync(join(ROOT, name), "utf8")));
  expect(found).toEqual(Object.keys(ALLOWED).sort());
});

test("no line of the source hands a database's name to such a call", () => {
  const lines = sources.flatMap((name) =>
    readFileSync(join(ROOT, name), "utf8")
      .split("\n")
      .filter((line) => OPENERS.test(line) && /\.db\b|-wal|-shm|database|roost\.lock/i.test(line))
      .map((line) => `${name}: ${line.trim()}`),
  );
  expect(lines).toEqual([]);
});

/** Lines of tests that touch a database's bytes, each while no SQLite of this process has it open. */
const TESTS: Readonly<Record<string, string>> = {
  "test/backup.test.ts": "its server, a process of its own, has ended",
  "test/faults/backup-killed.test.ts": "before anything opens it, and after a restore has ended",
  "test/faults/failed-sync.test.ts": "a mark beside it, before anything opens the database",
  "test/faults/held-lock.test.ts": "a fixture, before anything opens the copy",
  "test/faults/database-file.ts": "the server is another process, and is dead or only read",
  "test/faults/migrating-start.test.ts": "a fixture, before anything opens the copy",
  "test/migrate.test.ts": "a fixture, before anything opens the copy",
  "test/rpc-data.test.ts": "its server has not started, or has ended",
  "test/rpc-observability.test.ts": "the audit's file only",
  "test/promises/a-folder-of-its-own.test.ts": "compared byte by byte while no server runs",
  "test/upgrade-from-first-release.test.ts": "a fixture, before anything opens the copy",
  "src/storage/log-sync.test.ts": "a file under the log's name, while the log has another",
  "src/backup/restore.test.ts": "the restore has looked at it and closed it",
  "src/doctor/this-machine.test.ts": "before anything opens it",
};

test("tests that touch a database's bytes are known too", () => {
  const found = [...new Bun.Glob("{src,test,bench}/**/*.ts").scanSync({ cwd: ROOT })]
    .filter((name) => name.startsWith("test/") || name.startsWith("bench/") || name.endsWith(".test.ts"))
    .filter((name) => name !== "test/promises/database-files.test.ts")
    .filter((name) =>
      readFileSync(join(ROOT, name), "utf8")
        .split("\n")
        .some((line) => OPENERS.test(line) && /\.db\b|-wal\b|happy\.db|join\(dataDir, name\)/.test(line)),
    );
  expect(found.filter((name) => TESTS[name] === undefined)).toEqual([]);
});

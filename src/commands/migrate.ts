// `roost migrate`: brings the databases up to date without serving, says how they stand, or undoes the last step. The original's
// launcher runs it without a word before `serve`.
import { Database as Sqlite } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import type { Command } from "../cli/command.ts";
import { splitWords } from "../cli/words.ts";
import { UsageError } from "../config/usage.ts";
import { createLog } from "../observability/log.ts";
import type { DatabaseSpec } from "../protocol/database-spec.ts";
import { openOne } from "../protocol/open-databases.ts";
import type { Program } from "../protocol/program.ts";
import { currentVersion } from "../storage/identity.ts";
import { lockFolder } from "../storage/lock.ts";
import { undoLast } from "../storage/migrations.ts";
import { databasesOf, isThere, pathOf } from "./databases.ts";

const usageFor = (main: string) => `Usage:
  roost migrate [up]           brings the databases up to date; a copy of each older file is kept
  roost migrate status         says which version each database has
  roost migrate down [NAME]    undoes the last step of the database NAME (${main}), for going back to an older Roost
Settings such as --data-dir may follow.`;

export const migrate: Command<Program> = {
  about: "bring the databases up to date and exit; migrate status; migrate down",
  run: async (argv, program) => {
    const { words, flags } = splitWords(argv);
    const [action = "up", name, ...more] = words;
    const known = databasesOf(program);
    // The first is made here; the others are made by those who use them.
    const [main] = known;
    const usage = usageFor(main?.name ?? "");
    const chosen = name === undefined ? main : known.find((database) => database.name === name);
    if (more.length > 0 || (name !== undefined && action !== "down") || chosen === undefined)
      throw new UsageError(usage);
    const { config } = await program.load(flags);
    process.umask(0o077);
    if (action === "status") return status(known, config.dataDir);
    if (action === "up") return locked(config.dataDir, () => up(known, main, config));
    if (action === "down") return locked(config.dataDir, () => down(chosen, config.dataDir));
    throw new UsageError(usage);
  },
};

async function locked(dataDir: string, work: () => Promise<number>): Promise<number> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const lock = lockFolder(dataDir);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

async function up(
  known: readonly DatabaseSpec[],
  main: DatabaseSpec | undefined,
  { dataDir, logLevel }: { dataDir: string; logLevel: string },
): Promise<number> {
  for (const spec of known) {
    if (spec !== main && !isThere(dataDir, spec)) continue;
    const database = await openOne(spec, { dataDir, log: createLog(logLevel), commit: "blocking" });
    const { from, to, snapshot } = database.migration;
    await database.close();
    const what = spec === main ? "The database" : `The database of ${spec.name}`;
    const kept = snapshot === undefined ? "" : ` The old file is kept as ${snapshot}.`;
    process.stdout.write(
      from === to
        ? `${what} is at version ${to}, which is current.\n`
        : `${what} went from version ${from} to ${to}.${kept}\n`,
    );
  }
  return 0;
}

/** Nobody else waits for a command: it may wait for another program's lock. */
function openPatiently(path: string): Sqlite {
  const sqlite = new Sqlite(path, { readwrite: true, create: false });
  sqlite.run("PRAGMA busy_timeout = 5000");
  return sqlite;
}

async function status(known: readonly DatabaseSpec[], dataDir: string): Promise<number> {
  for (const spec of known) {
    if (!isThere(dataDir, spec)) {
      process.stdout.write(`${spec.name}: not there yet\n`);
      continue;
    }
    const path = pathOf(dataDir, spec);
    const migrations = await spec.migrations();
    using sqlite = openPatiently(path);
    const version = currentVersion(sqlite, path, spec.identity);
    process.stdout.write(`${spec.name}: version ${version}; this Roost knows ${migrations.length}\n`);
    migrations.forEach((migration, index) => {
      process.stdout.write(`  ${index < version ? "applied" : "pending"}  ${migration.name}\n`);
    });
  }
  return 0;
}

async function down(spec: DatabaseSpec, dataDir: string): Promise<number> {
  const path = pathOf(dataDir, spec);
  if (!isThere(dataDir, spec)) throw new Error(`There is no database ${path}.`);
  const migrations = await spec.migrations();
  using sqlite = openPatiently(path);
  sqlite.run("PRAGMA foreign_keys = ON");
  const { from, to, snapshot } = undoLast(sqlite, migrations, path, spec.identity);
  process.stdout.write(
    `The database of ${spec.name} went from version ${from} back to ${to}. The newer file is kept as ${snapshot}.\n` +
      "Start the older Roost now: this one would bring it up again.\n",
  );
  return 0;
}

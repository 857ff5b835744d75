// `roost migrate`: brings the databases up to date without serving, says how they stand, or undoes the last step. The original's
// launcher runs it without a word before `serve`.
import { Database as Sqlite } from "bun:sqlite";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "../cli/command.ts";
import { splitWords } from "../cli/words.ts";
import { loadConfig } from "../config/load.ts";
import { UsageError } from "../config/usage.ts";
import { createLog } from "../observability/log.ts";
import { openDatabase } from "../storage/database.ts";
import { lockFolder } from "../storage/lock.ts";
import { currentVersion, undoLast } from "../storage/migrations.ts";
import { type KnownDatabase, knownDatabases } from "./databases.ts";

const USAGE = `Usage:
  roost migrate [up]           brings the databases up to date; a copy of each older file is kept
  roost migrate status         says which version each database has
  roost migrate down [NAME]    undoes the last step of the database NAME (happy), for going back to an older Roost
Settings such as --data-dir may follow.`;

export const migrate: Command = {
  about: "bring the databases up to date and exit; migrate status; migrate down",
  run: async (argv) => {
    const { words, flags } = splitWords(argv);
    const [action = "up", name, ...more] = words;
    const known = await knownDatabases();
    const chosen = known.find((database) => database.name === (name ?? "happy"));
    if (more.length > 0 || (name !== undefined && action !== "down") || chosen === undefined)
      throw new UsageError(USAGE);
    const { config } = await loadConfig(flags);
    process.umask(0o077);
    if (action === "status") return status(known, config.dataDir);
    if (action === "up") return locked(config.dataDir, () => up(known, config));
    if (action === "down") return locked(config.dataDir, async () => down(chosen, config.dataDir));
    throw new UsageError(USAGE);
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
  known: readonly KnownDatabase[],
  { dataDir, logLevel }: { dataDir: string; logLevel: string },
): Promise<number> {
  for (const { name, file, migrations } of known) {
    const path = join(dataDir, file);
    // The others are made by those who use them.
    if (name !== "happy" && !existsSync(path)) continue;
    const database = openDatabase({ path, migrations, log: createLog(logLevel) });
    const { from, to, snapshot } = database.migration;
    await database.close();
    const what = name === "happy" ? "The database" : `The database of ${name}`;
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

function status(known: readonly KnownDatabase[], dataDir: string): number {
  for (const { name, file, migrations } of known) {
    const path = join(dataDir, file);
    if (!existsSync(path)) {
      process.stdout.write(`${name}: not there yet\n`);
      continue;
    }
    using sqlite = openPatiently(path);
    const version = currentVersion(sqlite, path);
    process.stdout.write(`${name}: version ${version}; this Roost knows ${migrations.length}\n`);
    migrations.forEach((migration, index) => {
      process.stdout.write(`  ${index < version ? "applied" : "pending"}  ${migration.name}\n`);
    });
  }
  return 0;
}

function down({ name, file, migrations }: KnownDatabase, dataDir: string): number {
  const path = join(dataDir, file);
  if (!existsSync(path)) throw new Error(`There is no database ${path}.`);
  using sqlite = openPatiently(path);
  sqlite.run("PRAGMA foreign_keys = ON");
  const { from, to, snapshot } = undoLast(sqlite, migrations, path);
  process.stdout.write(
    `The database of ${name} went from version ${from} back to ${to}. The newer file is kept as ${snapshot}.\n` +
      "Start the older Roost now: this one would bring it up again.\n",
  );
  return 0;
}

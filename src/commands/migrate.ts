// `roost migrate`: brings the databases up to date without serving, says how they stand, or undoes the last step. The original's
// launcher runs it without a word before `serve`.
import { Database as Sqlite } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import type { Command } from "../cli/command.ts";
import { splitWords } from "../cli/words.ts";
import { UsageError } from "../config/usage.ts";
import { createLog } from "../observability/log.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";
import { lockFolders } from "../protocol/lock-folders.ts";
import { openOne } from "../protocol/open-databases.ts";
import type { PlacedDatabase } from "../protocol/places.ts";
import type { Program } from "../protocol/program.ts";
import { currentVersion } from "../storage/identity.ts";
import { undoLast } from "../storage/migrations.ts";
import { databasesOf, isThere, placedDatabases } from "./databases.ts";

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
    const specs = databasesOf(program);
    const usage = usageFor(specs[0]?.name ?? "");
    const isKnown = name === undefined || specs.some((database) => database.name === name);
    if (more.length > 0 || (name !== undefined && action !== "down") || !isKnown) throw new UsageError(usage);
    const { config } = await program.load(flags);
    process.umask(0o077);
    const known = placedDatabases(program, config);
    // The first is made here; the others are made by those who use them.
    const [main] = known;
    const chosen = name === undefined ? main : known.find(({ spec }) => spec.name === name);
    if (action === "status") return status(known);
    if (action === "up") return locked(config, known, () => up(known, main, config));
    if (action === "down" && chosen !== undefined) return locked(config, known, () => down(chosen));
    throw new UsageError(usage);
  },
};

async function locked(
  { dataDir }: HouseConfig,
  known: readonly PlacedDatabase[],
  work: () => Promise<number>,
): Promise<number> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const lock = lockFolders(dataDir, known);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

async function up(
  known: readonly PlacedDatabase[],
  main: PlacedDatabase | undefined,
  { logLevel }: { logLevel: string },
): Promise<number> {
  for (const place of known) {
    if (place !== main && !isThere(place)) continue;
    const database = await openOne(place, { log: createLog(logLevel), commit: "blocking" });
    const { from, to, snapshot } = database.migration;
    await database.close();
    const what = place === main ? "The database" : `The database of ${place.spec.name}`;
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

async function status(known: readonly PlacedDatabase[]): Promise<number> {
  for (const place of known) {
    const { spec, path } = place;
    if (!isThere(place)) {
      process.stdout.write(`${spec.name}: not there yet\n`);
      continue;
    }
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

async function down(place: PlacedDatabase): Promise<number> {
  const { spec, path } = place;
  if (!isThere(place)) throw new Error(`There is no database ${path}.`);
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

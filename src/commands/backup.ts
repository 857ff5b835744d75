// `roost backup`: an archive of the data folder, also beside a running server, which notices nothing.
import { statSync } from "node:fs";
import { join } from "node:path";
import { createArchive } from "../backup/create.ts";
import { type Backup, backUpInto, listBackups } from "../backup/folder.ts";
import type { Command } from "../cli/command.ts";
import { inWords, progressOn } from "../cli/progress.ts";
import { table } from "../cli/table.ts";
import { splitWords } from "../cli/words.ts";
import { UsageError } from "../config/env.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";
import type { Program } from "../protocol/program.ts";
import { knownDatabases } from "./databases.ts";

const USAGE = `Usage:
  roost backup FILE    archives the data folder, such as: roost backup roost.tar.zst
  roost backup         makes one more backup in the folder of scheduled backups (--backup-dir), and drills it
  roost backup list    shows what can be restored from there
Settings such as --data-dir may follow.`;

export const backup: Command<Program> = {
  about: "archive the data folder of a running or stopped server: backup FILE; backup list",
  run: async (argv, program) => {
    const { words, flags } = splitWords(argv);
    const [word, ...more] = words;
    if (more.length > 0) throw new UsageError(USAGE);
    const { config } = await program.load(flags);
    process.umask(0o077);
    if (word === "list") return list(folderOf(config));
    if (word !== undefined) return toFile(program, config, word);
    return toFolder(program, config, folderOf(config));
  },
};

function folderOf({ backupDir }: HouseConfig): string {
  if (backupDir === undefined)
    throw new UsageError(`No folder of backups is set: name it with --backup-dir, or name a file.\n${USAGE}`);
  return backupDir;
}

async function toFile(program: Program, config: HouseConfig, file: string): Promise<number> {
  const { manifest, bytes } = await createArchive({
    dataDir: config.dataDir,
    file,
    notes: notesOf(config),
    known: await knownDatabases(program, config),
    progress: progressOn(),
  });
  const files = Object.keys(manifest.files).length;
  process.stdout.write(
    `${file} holds ${files} ${files === 1 ? "file" : "files"}, ${inWords(bytes)}. Keep it as safe as a password.\n`,
  );
  for (const note of manifest.notes) process.stdout.write(`Note: ${note}\n`);
  return 0;
}

async function toFolder(program: Program, config: HouseConfig, backupDir: string): Promise<number> {
  const { made, removed } = await backUpInto({
    dataDir: config.dataDir,
    backupDir,
    keep: { daily: config.backupKeepDaily, weekly: config.backupKeepWeekly },
    notes: notesOf(config),
    known: await knownDatabases(program, config),
    progress: progressOn(),
  });
  const path = join(backupDir, made.file);
  if (!made.drill.ok)
    throw new Error(`${path} was made, but it did not pass its drill: ${made.drill.problems[0]}`);
  process.stdout.write(
    `${path} was made (${inWords(made.bytes)}) and checked; ${removed.length} older ${removed.length === 1 ? "backup" : "backups"} went.\n`,
  );
  return 0;
}

/** What an operator must keep elsewhere to have everything. */
function notesOf({ masterSecret, s3Host, dataDir }: HouseConfig): string[] {
  const hasFile = statSync(join(dataDir, "master-secret"), { throwIfNoEntry: false }) !== undefined;
  return [
    ...(hasFile && masterSecret === undefined
      ? []
      : [
          "The master secret that is in use comes from the configuration and is not in this archive: keep it yourself.",
        ]),
    ...(s3Host === undefined ? [] : ["Attachments are in an S3 bucket and are not in this archive."]),
  ];
}

function list(backupDir: string): number {
  const backups = listBackups(backupDir);
  if (backups.length === 0) {
    process.stdout.write(`There is no finished backup in ${backupDir}.\n`);
    return 0;
  }
  process.stdout.write(table(["AS OF", "SIZE", "DRILL", "FILE"], backups.map(row)));
  return 0;
}

const row = ({ createdAt, bytes, drill, file }: Backup): string[] => [
  new Date(createdAt).toISOString(),
  inWords(bytes),
  drill.ok ? `passed (${drill.compared} compared)` : `FAILED: ${drill.problems[0] ?? "unknown"}`,
  file,
];

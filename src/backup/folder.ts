// The folder of scheduled backups. Each archive has a small record beside it: when, how large, and what the drill found. An archive
// without a record was not finished, and counts as nothing.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Progress } from "../cli/progress.ts";
import { syncFolder, writeFileDurably } from "../storage/durable-file.ts";
import { createArchive } from "./create.ts";
import { type Drill, drill, drillSchema } from "./drill.ts";
import { isDated, type Keep, superseded } from "./keep.ts";
import type { KnownDatabase } from "./known-database.ts";
import { momentSchema } from "./manifest.ts";
import { scratchFolder } from "./scratch.ts";

const ARCHIVE = /^roost-\d{8}-\d{9}Z\.tar\.zst$/;
const RECORD = ".json";

const recordSchema = z.object({
  createdAt: momentSchema,
  bytes: z.int().min(0),
  roostVersion: z.string(),
  schemaVersions: z.record(z.string(), z.int()),
  notes: z.array(z.string()),
  drill: drillSchema,
});

export interface Backup extends z.output<typeof recordSchema> {
  readonly file: string;
}

export interface FolderBackupOptions {
  readonly dataDir: string;
  readonly backupDir: string;
  readonly keep: Keep;
  readonly notes: readonly string[];
  readonly known: readonly KnownDatabase[];
  readonly progress: Progress;
}

export interface FolderBackup {
  readonly made: Backup;
  /** Names of older archives that went. */
  readonly removed: readonly string[];
}

/** Makes an archive, drills it, records both, and lets go of what the new one supersedes. @throws Error with a sentence. */
export async function backUpInto({
  dataDir,
  backupDir,
  keep,
  notes,
  known,
  progress,
}: FolderBackupOptions): Promise<FolderBackup> {
  mkdirSync(backupDir, { recursive: true, mode: 0o700 });
  // 2026-01-31T12:34:56.789Z -> 20260131-123456789Z: sorts by time, and is allowed in file names everywhere.
  const stamp = new Date().toISOString().replace(/[-:.]/g, "").replace("T", "-");
  const name = `roost-${stamp}.tar.zst`;
  // Both in a folder of its own: what is left when the process is killed goes as a whole.
  using scratch = scratchFolder(backupDir);
  const file = join(scratch.path, name);
  const { manifest, bytes, bounds } = await createArchive({ dataDir, file, notes, known, progress });
  const result: Drill = await drill(file, bounds, known, progress);
  const { createdAt, roostVersion, schemaVersions } = manifest;
  const record = { createdAt, bytes, roostVersion, schemaVersions, notes: manifest.notes, drill: result };
  // The record comes first: an archive without one would never be looked at again.
  writeFileDurably(join(backupDir, `${name}${RECORD}`), `${JSON.stringify(record, null, 2)}\n`, 0o600);
  renameSync(file, join(backupDir, name));
  syncFolder(backupDir);
  const removed = superseded(listBackups(backupDir), keep, Date.now());
  for (const old of removed) {
    // The record goes last: an archive without one would never be looked at again.
    rmSync(join(backupDir, old), { force: true });
    rmSync(join(backupDir, `${old}${RECORD}`), { force: true });
  }
  return { made: { file: name, ...record }, removed };
}

/** Finished backups, newest first. What is not one of ours is not looked at. */
export function listBackups(backupDir: string): Backup[] {
  if (!existsSync(backupDir)) return [];
  return readdirSync(backupDir)
    .filter((name) => ARCHIVE.test(name))
    .flatMap((file) => {
      const record = readRecord(join(backupDir, `${file}${RECORD}`));
      return record === undefined ? [] : [{ file, ...shrunk(join(backupDir, file), record) }];
    })
    .sort((a, b) => b.createdAt - a.createdAt);
}

/** The newest good one, of those that say when they were made. */
export function newestGood(backups: readonly Backup[], now: number): Backup | undefined {
  return backups.find((backup) => backup.drill.ok && isDated(backup, now));
}

function readRecord(path: string): z.output<typeof recordSchema> | undefined {
  try {
    return recordSchema.safeParse(JSON.parse(readFileSync(path, "utf8"))).data;
  } catch {
    return undefined;
  }
}

/** A file that is no longer what was drilled is not restorable, whatever its record says. */
function shrunk(path: string, record: z.output<typeof recordSchema>): z.output<typeof recordSchema> {
  const size = statSync(path).size;
  if (size === record.bytes) return record;
  const problem = `The file has ${size} bytes instead of the ${record.bytes} that were checked.`;
  return { ...record, drill: { ...record.drill, ok: false, problems: [problem] } };
}

// What an archive says of itself: every file with its size and SHA-256, the version of each database, and what is not in it.
// It is the archive's last entry, because the hashes are known only after the files have passed.
import { z } from "zod";
import { isBlobKey } from "../storage/blobs.ts";

export const MANIFEST_NAME = "manifest.json";
/** Of the manifest as text: enough for millions of files, and a bound for what a restore holds in memory. */
export const MAX_MANIFEST_BYTES = 512 * 1024 ** 2;

/** Files beside the databases and blobs that belong to a server's data. */
export const SINGLE_FILES = ["master-secret", "roost.yaml"] as const;
export const BLOB_FOLDER = "files";
const NAME = "[a-z][a-z0-9-]{0,40}";
/** In the data folder, or in a folder of its own below it. */
const DATABASE = new RegExp(`^(?!${BLOB_FOLDER}/)(${NAME}/)?${NAME}\\.db$`);
/** Keys and settings beside a database in a folder of its own. */
const BESIDE = new RegExp(`^(?!${BLOB_FOLDER}/)${NAME}/${NAME}\\.json$`);
/** What says how a database of the data folder is served. */
const CONFIGURATION = new RegExp(`^${NAME}\\.yaml$`);
export const isDatabaseName = (name: string): boolean => DATABASE.test(name);
/** A secret or a configuration: never large. */
export const isSmallFile = (name: string): boolean =>
  (SINGLE_FILES as readonly string[]).includes(name) || BESIDE.test(name) || CONFIGURATION.test(name);

/** Of a file in a folder of a home: enough for what protocols name them, and no more than every file system takes. */
const MAX_PARTS = 8;
const MAX_PART_BYTES = 255;
const MAX_NAME_BYTES = 1_024;

/**
 * Whether a restore may write a file of this name into the data folder. Nothing else can be in an archive.
 * @param folders of homes, as archives call them
 */
export function isArchivedName(name: string, folders: readonly string[] = []): boolean {
  if (isDatabaseName(name) || isSmallFile(name)) return true;
  if (!isBlobKey(name) || /[\\\0]/.test(name)) return false;
  return name.startsWith(`${BLOB_FOLDER}/`) || folders.some((folder) => isBelow(name, folder));
}

function isBelow(name: string, folder: string): boolean {
  if (!name.startsWith(`${folder}/`) || Buffer.byteLength(name) > MAX_NAME_BYTES) return false;
  const parts = name.slice(folder.length + 1).split("/");
  return parts.length <= MAX_PARTS && parts.every((part) => Buffer.byteLength(part) <= MAX_PART_BYTES);
}

/** Unix ms of a day that a calendar has. */
export const momentSchema = z.int().min(0).max(8_640_000_000_000_000);

const fileSchema = z.object({ size: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
export type FileFacts = z.output<typeof fileSchema>;

export const manifestSchema = z.object({
  format: z.literal(1),
  roostVersion: z.string(),
  /** When the snapshot of the databases was begun. */
  createdAt: momentSchema,
  /** PRAGMA user_version of each database. */
  schemaVersions: z.record(z.string(), z.int().min(0)),
  /** Sentences about what the archive cannot bring back. */
  notes: z.array(z.string()),
  files: z.record(z.string(), fileSchema),
});
export type Manifest = z.output<typeof manifestSchema>;

export function parseManifest(text: string): Manifest {
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch {
    throw new Error("The archive's manifest is unreadable: it was not made by this Roost, or it is damaged.");
  }
}

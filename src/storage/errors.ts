// What can be wrong with the disk or the database, as codes that a door can turn into its own shape.

import { isOutOfDescriptors } from "./descriptor-wait.ts";

export type StorageProblem =
  | "disk-full"
  | "quota"
  | "failed"
  | "closed"
  | "held"
  | "replaced"
  | "unsynced"
  | "in-use"
  | "newer"
  | "foreign"
  | "damaged";

/** Nothing of the refused operation was stored. The message is a sentence for the person who runs the server. */
export class StorageError extends Error {
  constructor(
    readonly code: StorageProblem,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Keeps errors of the domain as they are and names those of SQLite and the disk. */
export function asStorageError(error: unknown): unknown {
  const code = codeOf(error);
  if (code === "SQLITE_FULL" || code === "ENOSPC" || code === "EDQUOT") {
    return new StorageError(
      "disk-full",
      "The disk is full: nothing was stored. Free some space and try again.",
      {
        cause: error,
      },
    );
  }
  if (code.startsWith("SQLITE_BUSY")) return heldError("the database", { cause: error });
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code))
    return new StorageError(
      "damaged",
      "The database is damaged: a part of it cannot be read. Its operator must restore a backup.",
      { cause: error },
    );
  if (/^SQLITE_IOERR_(SHORT_)?READ/.test(code))
    return new StorageError("failed", "The disk refused to read.", { cause: error });
  if (code.startsWith("SQLITE_IOERR"))
    return new StorageError("failed", "The disk refused to write: nothing was stored.", { cause: error });
  if (isOutOfDescriptors(error)) {
    const message = "The server has no file descriptor left: nothing was stored. Try again in a moment.";
    return new StorageError("failed", message, { cause: error });
  }
  return error;
}

/** `name` is the file, as people see it. */
export function heldError(name: string, options?: ErrorOptions): StorageError {
  return new StorageError(
    "held",
    `Another program holds the write lock of ${name}: nothing was stored. Try again when it has finished.`,
    options,
  );
}

/** The disk has refused to make durable what was written into the log of the database `name`. */
export function syncError(name: string, cause: unknown): StorageError {
  const code = codeOf(cause) || "no code";
  return new StorageError(
    "unsynced",
    `The disk could not make the log of ${name} durable (${code}): nothing is stored any more, and the server ends. Look at the disk, then start again: everything that was acknowledged before is there.`,
    { cause },
  );
}

/** SQLite's or the system's code. Statements that drizzle runs as raw SQL give SQLite's error as a cause. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  return "code" in error ? String(error.code) : codeOf(error.cause);
}

/** The file or folder is not there (any more). */
export const isAbsent = (error: unknown): boolean => ["ENOENT", "ENOTDIR"].includes(codeOf(error));

export const isBusy = (error: unknown): boolean => codeOf(error).startsWith("SQLITE_BUSY");

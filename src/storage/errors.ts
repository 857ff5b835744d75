// What can be wrong with the disk or the database, as codes that a door can turn into its own shape.

import { isOutOfDescriptors } from "./descriptor-wait.ts";

export type StorageProblem =
  | "disk-full"
  | "quota"
  | "failed"
  | "closed"
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
  if (code.startsWith("SQLITE_IOERR")) {
    return new StorageError("failed", "The disk refused to write: nothing was stored.", { cause: error });
  }
  if (isOutOfDescriptors(error)) {
    const message = "The server has no file descriptor left: nothing was stored. Try again in a moment.";
    return new StorageError("failed", message, { cause: error });
  }
  return error;
}

/** Statements that drizzle runs as raw SQL give SQLite's error as a cause. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  return "code" in error ? String(error.code) : codeOf(error.cause);
}

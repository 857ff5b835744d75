// Gives the room of deleted rows back to the file system, a few pages at a time, so that nobody waits for it.
import { sql } from "drizzle-orm";
import type { Database } from "../storage/database.ts";

/** 256 kB: a millisecond or two. */
const PAGES = 64;
/** Pages that may stay free, for what comes next: growing a file costs more than using one of its free pages. */
const KEPT_FREE = 256;

/** Resolves with the bytes by which the file will shrink. `pause` runs between two slices; false ends it early. */
export async function releaseFreePages(database: Database, pause: () => Promise<boolean>): Promise<number> {
  const pragma = (name: string) =>
    Number(database.reads.values<[number]>(sql.raw(`PRAGMA ${name}`))[0]?.[0] ?? 0);
  const pageSize = pragma("page_size");
  let pages = 0;
  for (let free = pragma("freelist_count"); free > KEPT_FREE; ) {
    const slice = Math.min(PAGES, free - KEPT_FREE);
    // `values` steps to the end; the pragma frees one page at each step.
    await database.writer.run((db) => db.values(sql.raw(`PRAGMA incremental_vacuum(${slice})`)));
    const left = pragma("freelist_count");
    // A file that was made without auto_vacuum cannot shrink.
    if (left >= free) break;
    pages += free - left;
    free = left;
    if (!(await pause())) break;
  }
  return pages * pageSize;
}

// Proves that an archive can be restored, by doing it: every hash, every database opened and checked, and the newest numbers
// compared with what the live database said when the snapshot was made.
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Progress } from "../cli/progress.ts";
import { checkCopy } from "./databases.ts";
import { fileSink } from "./file-sink.ts";
import { type Bounds, compareHighWater, highWater } from "./high-water.ts";
import { foldersIn, type KnownDatabase, knownAs } from "./known-database.ts";
import { isDatabaseName, momentSchema } from "./manifest.ts";
import { scratchFolder } from "./scratch.ts";
import { verifyArchive } from "./verify.ts";

export const drillSchema = z.object({
  at: momentSchema,
  ok: z.boolean(),
  /** Sentences; empty when it is ok. At most ten, so that one lost database does not fill a disk. */
  problems: z.array(z.string()),
  /** Sessions and topics whose numbers were compared. */
  compared: z.int().min(0),
  durationMs: z.int().min(0),
});
export type Drill = z.output<typeof drillSchema>;

const MAX_PROBLEMS = 10;

/** Never throws for a bad archive: what is wrong with it is the result. */
export async function drill(
  file: string,
  bounds: Readonly<Record<string, Bounds>>,
  known: readonly KnownDatabase[],
  progress: Progress,
): Promise<Drill> {
  const at = Date.now();
  // Not from the clock, which may be set meanwhile: less than nothing would be no duration.
  const began = performance.now();
  const problems: string[] = [];
  let compared = 0;
  try {
    using scratch = scratchFolder(dirname(file));
    progress.begin("checking the copy", (await Bun.file(file).stat()).size);
    // Blobs are only hashed: a drill needs room for the databases and no more.
    const manifest = await verifyArchive({
      file,
      folders: foldersIn(known),
      progress,
      sinkFor: async (name) =>
        isDatabaseName(name) ? fileSink(join(scratch.path, name), { durable: false }) : undefined,
    });
    for (const [name, bound] of Object.entries(bounds)) {
      if (manifest.files[name] === undefined) problems.push(`The copy lacks ${name}.`);
      else {
        const database = knownAs(known, name);
        checkCopy(join(scratch.path, name), database, (sqlite) => {
          compared += Object.keys(bound.before).length;
          problems.push(...compareHighWater(bound, highWater(sqlite, database.highWater)));
        });
      }
    }
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  } finally {
    progress.end();
  }
  return {
    at,
    ok: problems.length === 0,
    problems: problems.slice(0, MAX_PROBLEMS),
    compared,
    durationMs: Math.round(performance.now() - began),
  };
}

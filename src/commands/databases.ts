// The databases of all protocols of a program, as commands use them.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { KnownDatabase } from "../backup/known-database.ts";
import { type DatabaseSpec, fileOf } from "../protocol/database-spec.ts";
import type { Program } from "../protocol/program.ts";

export const databasesOf = ({ protocols }: Pick<Program, "protocols">): readonly DatabaseSpec[] =>
  protocols.flatMap(({ databases }) => databases);

/** For backup, drill and restore. */
export function knownDatabases(program: Pick<Program, "protocols">): Promise<KnownDatabase[]> {
  return Promise.all(
    databasesOf(program).map(async (spec) => ({
      file: fileOf(spec),
      identity: spec.identity,
      newest: (await spec.migrations()).length,
      highWater: spec.highWater,
    })),
  );
}

export const pathOf = (dataDir: string, spec: Pick<DatabaseSpec, "name">): string =>
  join(dataDir, fileOf(spec));

export const isThere = (dataDir: string, spec: Pick<DatabaseSpec, "name">): boolean =>
  existsSync(pathOf(dataDir, spec));

// The databases of all protocols of a program, as commands use them.
import { existsSync } from "node:fs";
import type { KnownDatabase } from "../backup/known-database.ts";
import { type DatabaseSpec, fileOf } from "../protocol/database-spec.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";
import { type PlacedDatabase, placesOf } from "../protocol/places.ts";
import type { Program } from "../protocol/program.ts";

export const databasesOf = ({ protocols }: Pick<Program, "protocols">): readonly DatabaseSpec[] =>
  protocols.flatMap(({ databases }) => databases);

/** Of protocols that are off too, where they are in the data folder. */
export const placedDatabases = (
  { protocols }: Pick<Program, "protocols">,
  config: HouseConfig,
): readonly PlacedDatabase[] => protocols.flatMap((protocol) => placesOf(protocol, config));

/** For backup, drill and restore. */
export function knownDatabases(
  program: Pick<Program, "protocols">,
  config: HouseConfig,
): Promise<KnownDatabase[]> {
  return Promise.all(
    placedDatabases(program, config).map(async ({ spec, home }) => ({
      file: home === undefined ? fileOf(spec) : `${home.name}/${fileOf(spec)}`,
      identity: spec.identity,
      newest: (await spec.migrations()).length,
      highWater: spec.highWater,
      configured: spec.configured,
      home,
    })),
  );
}

export const isThere = ({ path }: PlacedDatabase): boolean => existsSync(path);

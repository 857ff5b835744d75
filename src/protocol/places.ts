// Where each database of a protocol lies: in the data folder, in a folder of its own below it, or where a setting says.
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { flagName } from "../config/setting.ts";
import { type DatabaseSpec, fileOf, type HomeSpec } from "./database-spec.ts";
import type { HouseConfig } from "./house-settings.ts";
import type { ProtocolManifest } from "./manifest.ts";

export interface PlacedDatabase {
  readonly spec: DatabaseSpec;
  readonly folder: string;
  readonly path: string;
  /** Undefined in the data folder itself. */
  readonly home: PlacedHome | undefined;
}

export interface PlacedHome extends HomeSpec {
  readonly folder: string;
  /** Names another folder. */
  readonly flag: string;
  /** Not below the data folder: somebody has named it. */
  readonly isElsewhere: boolean;
}

type Placing<C extends HouseConfig> = Pick<ProtocolManifest<C>, "databases" | "isOn">;

/** A folder elsewhere counts only while the protocol is on: it is not the data folder's, and another program may be using it. */
export function placesOf<C extends HouseConfig>(protocol: Placing<C>, config: C): PlacedDatabase[] {
  return protocol.databases.map((spec) => {
    const home = spec.home && placedHome(spec.home, config, protocol.isOn(config));
    const folder = home?.folder ?? config.dataDir;
    return { spec, folder, path: join(folder, fileOf(spec)), home };
  });
}

function placedHome(home: HomeSpec, config: HouseConfig, isOn: boolean): PlacedHome {
  const named = isOn ? (config as unknown as Readonly<Record<string, unknown>>)[home.setting] : undefined;
  const isElsewhere = typeof named === "string";
  return {
    ...home,
    folder: isElsewhere ? resolve(named) : join(config.dataDir, home.name),
    flag: flagName(home.setting),
    isElsewhere,
  };
}

/** For the owner's eyes only where they are made now; what is there keeps its mode. */
export function makeHomes(places: readonly PlacedDatabase[]): void {
  for (const { folder, home } of places)
    if (home !== undefined && !existsSync(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 });
}

/** Of files that rows name, beside the databases. */
export const homeFolders = (places: readonly PlacedDatabase[]): readonly string[] =>
  places.flatMap(({ home }) => home?.folders?.map((name) => join(home.folder, name)) ?? []);

/** Of those that somebody has put elsewhere: a command that a server starts is told the same. */
export function homeFlags(places: readonly PlacedDatabase[]): Record<string, string> {
  return Object.fromEntries(
    places.flatMap(({ home }) => (home?.isElsewhere ? [[home.setting, home.folder] as const] : [])),
  );
}

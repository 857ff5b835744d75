// Everything that decides the configuration of one run, in the order that wins: flags, environment, roost.yaml, defaults.
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Catalogue } from "./catalogue.ts";
import { merge, type ParsedConfig, parseSettings } from "./config.ts";
import { readEnvironment, readFlags, readShared, UsageError } from "./env.ts";
import type { RawSettings } from "./raw.ts";
import { placeSettings } from "./settings.ts";

export interface Loaded extends ParsedConfig {
  /** What people gave, and where; a setting that is not in it has its default. */
  readonly given: RawSettings;
  /** The configuration file that was read. */
  readonly file: string | undefined;
  /** Where a configuration file is looked for, the first that is there wins. */
  readonly places: readonly string[];
}

/** @throws UsageError: one sentence that names the flag, the variable or the line of the file. */
export async function loadSettings(
  catalogue: Catalogue,
  argv: readonly string[],
  environment: Record<string, string | undefined> = process.env,
): Promise<Loaded> {
  const outside = merge(readFlags(catalogue, argv), readEnvironment(catalogue, environment));
  const places = placesOf(outside);
  const file = outside.config === undefined ? places.find((path) => existsSync(path)) : places[0];
  const inside = file === undefined ? {} : await insideOf(catalogue, file);
  const plain = merge(outside, inside);
  const given = merge(plain, readShared(catalogue, environment, plain));
  const parsed = parseSettings(catalogue, given);
  const dataDir = placeSettings.dataDir.schema.parse(parsed.config.dataDir);
  if (file !== undefined && file === inDataFolder(outside) && resolve(dataDir) !== dirname(file))
    throw new UsageError(
      `${inside.dataDir?.source} lies in a data folder and cannot name another one. Remove it there, or use --data-dir.`,
    );
  return { ...parsed, given, file, places };
}

/** The reader of YAML is loaded only by those who have a file. */
async function insideOf(catalogue: Catalogue, file: string): Promise<RawSettings> {
  const { readConfigFile } = await import("./config-file.ts");
  return readConfigFile(catalogue, file);
}

const NAME = "roost.yaml";

const inDataFolder = ({ dataDir }: RawSettings) =>
  resolve(placeSettings.dataDir.schema.catch("").parse(dataDir?.value), NAME);

const placesOf = (outside: RawSettings): string[] =>
  outside.config === undefined
    ? [...new Set([inDataFolder(outside), resolve(NAME)])]
    : [resolve(String(outside.config.value))];

// Everything that decides the configuration of one run, in the order that wins: flags, environment, roost.yaml, defaults.
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { merge, parseConfig } from "./config.ts";
import { type RawSettings, readEnvironment, readFlags, UsageError } from "./env.ts";
import { type Config, settings } from "./settings.ts";

export interface LoadedConfig {
  readonly config: Config;
  /** What people gave, and where; a setting that is not in it has its default. */
  readonly given: RawSettings;
  /** The configuration file that was read. */
  readonly file: string | undefined;
  /** Where a configuration file is looked for, the first that is there wins. */
  readonly places: readonly string[];
}

/** @throws UsageError: one sentence that names the flag, the variable or the line of the file. */
export async function loadConfig(
  argv: readonly string[],
  environment: Record<string, string | undefined> = process.env,
): Promise<LoadedConfig> {
  const outside = merge(readFlags(argv), readEnvironment(environment));
  const places = placesOf(outside);
  const file = outside.config === undefined ? places.find((path) => existsSync(path)) : places[0];
  const inside = file === undefined ? {} : await insideOf(file);
  const given = merge(outside, inside);
  const config = parseConfig(given);
  if (file !== undefined && file === inDataFolder(outside) && resolve(config.dataDir) !== dirname(file))
    throw new UsageError(
      `${inside.dataDir?.source} lies in a data folder and cannot name another one. Remove it there, or use --data-dir.`,
    );
  return { config, given, file, places };
}

/** The reader of YAML is loaded only by those who have a file. */
async function insideOf(file: string): Promise<RawSettings> {
  const { readConfigFile } = await import("./config-file.ts");
  return readConfigFile(file);
}

const NAME = "roost.yaml";

const inDataFolder = ({ dataDir }: RawSettings) =>
  resolve(settings.dataDir.schema.catch("").parse(dataDir?.value), NAME);

const placesOf = (outside: RawSettings): string[] =>
  outside.config === undefined
    ? [...new Set([inDataFolder(outside), resolve(NAME)])]
    : [resolve(String(outside.config.value))];

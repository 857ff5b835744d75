// Step two of three: raw values -> one typed Config through the zod schemas. Pure; says exactly what is wrong and where it came from.
import { z } from "zod";
import { type RawSettings, UsageError } from "./env.ts";
import { decideHub } from "./hub-switch.ts";
import type { Setting } from "./setting.ts";
import { type Config, flagName, type SettingName, settings } from "./settings.ts";

/** What each setting was given as; the first source that has it wins. */
export function merge(...sources: RawSettings[]): RawSettings {
  return Object.assign({}, ...sources.toReversed()) as RawSettings;
}

/**
 * Merges raw settings, first source wins, and parses every value.
 * @throws UsageError naming the flag, variable or place, the value's problem and, never for a secret, the value.
 */
export function parseConfig(...sources: RawSettings[]): Config {
  const raw = merge(...sources);
  const parsed: Record<string, unknown> = {};
  for (const name of Object.keys(settings) as SettingName[]) {
    const setting: Setting = settings[name];
    const result = z.safeParse(setting.schema, raw[name]?.value);
    if (!result.success) {
      const shown = setting.secret ? "" : ` ${JSON.stringify(raw[name]?.value ?? "")}`;
      const problem = result.error.issues[0]?.message ?? "it is not valid";
      throw new UsageError(`${raw[name]?.source ?? flagName(name)}${shown} is not usable: ${problem}.`);
    }
    parsed[name] = result.data;
  }
  const config = parsed as Config;
  for (const [given, missing] of [
    ["tlsCert", "tlsKey"],
    ["tlsKey", "tlsCert"],
  ] as const)
    if (config[given] !== undefined && config[missing] === undefined)
      throw new UsageError(`${raw[given]?.source} needs ${flagName(missing)} beside it.`);
  const { serverAddr } = config;
  const hub = decideHub(config, raw);
  if (serverAddr === undefined) return { ...config, ...hub };
  return {
    ...config,
    ...hub,
    host: raw.host === undefined ? serverAddr.host : config.host,
    port: raw.port === undefined ? serverAddr.port : config.port,
  };
}

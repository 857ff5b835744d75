// Step two of three: raw strings -> one typed Config through the zod schemas. Pure; says exactly what is wrong and where it came from.
import { z } from "zod";
import { type RawSettings, UsageError } from "./env.ts";
import { type Config, flagName, type Setting, type SettingName, settings } from "./settings.ts";

/**
 * Merges raw settings, first source wins, and parses every value.
 * @throws UsageError naming the flag or variable, the value's problem and, never for a secret, the value.
 */
export function parseConfig(...sources: RawSettings[]): Config {
  const config: Record<string, unknown> = {};
  for (const name of Object.keys(settings) as SettingName[]) {
    const raw = sources.map((source) => source[name]).find((value) => value !== undefined);
    const setting: Setting = settings[name];
    const parsed = z.safeParse(setting.schema, raw?.value);
    if (!parsed.success) {
      const shown = setting.secret ? "" : ` "${raw?.value ?? ""}"`;
      const problem = parsed.error.issues[0]?.message ?? "not valid";
      throw new UsageError(`${raw?.source ?? flagName(name)}${shown} is not usable: ${problem}.`);
    }
    config[name] = parsed.data;
  }
  const { serverAddr } = config as Config;
  if (serverAddr !== undefined) {
    for (const name of ["host", "port"] as const)
      if (sources.every((source) => source[name] === undefined)) config[name] = serverAddr[name];
  }
  return config as Config;
}

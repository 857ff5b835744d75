// Step two of three: raw values -> one typed configuration through the zod schemas. Pure; says exactly what is wrong and where it came
// from.
import { z } from "zod";
import type { Catalogue } from "./catalogue.ts";
import { UsageError } from "./env.ts";
import type { RawSettings } from "./raw.ts";
import { flagName } from "./setting.ts";

/** By the name of the setting; who reads it knows the types of its own list (`Values`). */
export type Parsed = Readonly<Record<string, unknown>>;

export interface ParsedConfig {
  readonly config: Parsed;
  /** Where a value came from that was given under the name of another setting, by the name of its own. */
  readonly origins: Readonly<Record<string, string>>;
}

/** What each setting was given as; the first source that has it wins. */
export function merge(...sources: RawSettings[]): RawSettings {
  return Object.assign({}, ...sources.toReversed()) as RawSettings;
}

/**
 * Merges raw settings, first source wins, and parses every value.
 * @throws UsageError naming the flag, variable or place, the value's problem and, never for a secret, the value.
 */
export function parseSettings({ settings, settle }: Catalogue, ...sources: RawSettings[]): ParsedConfig {
  const raw = merge(...sources);
  const config: Record<string, unknown> = {};
  for (const [name, { schema, secret }] of Object.entries(settings)) {
    const result = z.safeParse(schema, raw[name]?.value);
    if (!result.success) {
      const shown = secret ? "" : ` ${JSON.stringify(raw[name]?.value ?? "")}`;
      const problem = result.error.issues[0]?.message ?? "it is not valid";
      throw new UsageError(`${raw[name]?.source ?? flagName(name)}${shown} is not usable: ${problem}.`);
    }
    config[name] = result.data;
  }
  const origins: Record<string, string> = {};
  for (const { name, value, source } of settle(config, raw)) {
    config[name] = value;
    if (source !== undefined) origins[name] = source;
  }
  return { config, origins };
}

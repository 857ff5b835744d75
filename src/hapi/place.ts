// Where the home is, and what holds for it, for those who look at it from outside: before a start, after it, and the doctor.
import { join, resolve } from "node:path";
import { type KnownSettings, knownSettings } from "./home/known-settings.ts";
import { type InEffect, inEffect } from "./in-effect.ts";
import type { HapiConfig } from "./settings.ts";

export const homeOf = ({ hapiHome, dataDir }: Pick<HapiConfig, "hapiHome" | "dataDir">): string =>
  hapiHome === undefined ? join(dataDir, "hapi") : resolve(hapiHome);

export interface Place {
  readonly home: string;
  readonly known: KnownSettings;
  readonly inEffect: InEffect;
}

/** @throws Error with a sentence when its settings.json is not usable. */
export function placeOf(config: HapiConfig): Place {
  const home = homeOf(config);
  const known = knownSettings(home);
  return { home, known, inEffect: inEffect(config, known) };
}

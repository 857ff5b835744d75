// What one setting is: its type, default and meaning, and the names under which people may give it. Each part of the house lists its
// own in a file `settings.ts` beside its code.
import type { z } from "zod";

export interface Setting<T extends z.ZodType = z.ZodType> {
  /** Parses the raw text of a flag or variable, or a YAML value. */
  readonly schema: T;
  /** One line for a person: what it decides. */
  readonly about: string;
  /** Environment variables of the original servers that mean the same. */
  readonly legacy?: readonly string[];
  /** Names that it had in earlier releases: their flags, variables and keys still work, and are not listed. */
  readonly was?: readonly string[];
  /**
   * Variables that other programs of the same machine go by too, so that one of them alone says nothing about this server: they count
   * where the setting `onlyWith` is given, and only where this one is given nowhere else.
   */
  readonly shared?: { readonly variables: readonly string[]; readonly onlyWith: string };
  /** Never printed, never logged. */
  readonly secret?: boolean;
  /** Takes effect while the server runs. Its user reads it from the configuration at the time of use, or listens (live.ts). */
  readonly live?: boolean;
}

/** By name, in camelCase; the flag, the variable and the key of the file follow from it. */
export type Settings = Readonly<Record<string, Setting>>;

/** The configuration that a list of settings gives. */
export type Values<S extends Settings> = { readonly [K in keyof S]: z.output<S[K]["schema"]> };

export const setting = <T extends z.ZodType>(
  schema: T,
  about: string,
  more: Omit<Setting<T>, "schema" | "about"> = {},
): Setting<T> => ({ schema, about, ...more });

/** `dataDir` -> `--data-dir`. */
export const flagName = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** `dataDir` -> `ROOST_DATA_DIR`. */
export const variableName = (name: string): string =>
  `ROOST_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;

// What one setting is: its type, default and meaning, and the names under which people may give it.
import type { z } from "zod";

export interface Setting<T extends z.ZodType = z.ZodType> {
  /** Parses the raw text of a flag or variable, or a YAML value. */
  readonly schema: T;
  /** One line for a person: what it decides. */
  readonly about: string;
  /** Environment variables of the original servers that mean the same. */
  readonly legacy?: readonly string[];
  /** Never printed, never logged. */
  readonly secret?: boolean;
  /** Takes effect while the server runs. Its user reads it from the configuration at the time of use, or listens (live.ts). */
  readonly live?: boolean;
}

export const setting = <T extends z.ZodType>(
  schema: T,
  about: string,
  more: Omit<Setting<T>, "schema" | "about"> = {},
): Setting<T> => ({ schema, about, ...more });

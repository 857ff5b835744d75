// A setting in words: its value as a person would write it, and never a secret.
import { z } from "zod";
import type { RawValue } from "./raw.ts";
import type { Setting } from "./setting.ts";

/** What holds when nobody gives a value; undefined for nothing. */
export function describeDefault({ schema }: Setting): string | undefined {
  const written = prefault(schema);
  return written ?? describeValue(schema.safeParse(undefined).data);
}

/** As it was given, so that `3m` stays `3m`; else the value in effect. */
export function describeEffective(setting: Setting, given: RawValue | undefined, value: unknown): string {
  if (setting.secret && value !== undefined) return "(hidden)";
  if (given !== undefined) return describeValue(given.value) ?? "(not set)";
  return (
    (value === setting.schema.safeParse(undefined).data && describeDefault(setting)) ||
    describeValue(value) ||
    "(not set)"
  );
}

function describeValue(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  const text =
    Array.isArray(value) && value.every((entry) => typeof entry === "string")
      ? value.join(",")
      : typeof value === "object"
        ? JSON.stringify(value)
        : String(value);
  // A password may stand in an address.
  return text.replace(/\/\/[^/@\s]*@/g, "//(hidden)@");
}

/** The text of a default that is parsed like a given value, such as `30s`. */
function prefault(schema: z.ZodType): string | undefined {
  if (schema instanceof z.ZodPrefault) return describeValue(schema.def.defaultValue);
  return schema instanceof z.ZodPipe && schema.def.in instanceof z.ZodType
    ? prefault(schema.def.in)
    : undefined;
}

// Schemas of params: zod's, or JSON Schemas, with the errors of the contract: a field that is missing is told apart from one that is
// wrong (contract 5.3).
import { z } from "zod";
import { loadGuards } from "../../schema/guard.ts";
import { enforceable, type JsonSchema } from "../../schema/json-schema.ts";
import { detail, type ErrorDetail, MAX_DETAILS } from "../wire/rpc-error.ts";
import { boundLists, TooManyWrongKeys } from "./bounded-lists.ts";
import type { Data, ParamsSchema } from "./definition.ts";

/**
 * Of a JSON Schema, every word of which acts. The first problem is told: whoever writes the schema bounds no lists.
 * @throws Error with a sentence for a schema that is not enforceable, or is none of an object
 */
export async function jsonSchemaParams(schema: unknown): Promise<ParamsSchema> {
  const words = enforceable(schema);
  if (typeof words === "boolean" || words.type !== "object")
    throw new Error('its schema needs "type": "object": params are an object');
  const guard = (await loadGuards())(schema as JsonSchema);
  return {
    check: (data) => {
      const refusal = guard(data ?? {});
      if (refusal === undefined) return [];
      const { path, message } = refusal;
      return [isMissing(path, data) ? missing(path) : invalid(path, message)];
    },
    json: schema,
  };
}

/** Of a list or record, so many problems are told and no more looked for. */
export function zodParams(schema: z.ZodType): ParamsSchema {
  boundLists(schema, MAX_DETAILS);
  let json: unknown;
  return {
    check: (data) => {
      const parsed = parse(schema, data ?? {});
      if (parsed instanceof TooManyWrongKeys) return [invalid([], parsed.message)];
      return parsed.success
        ? []
        : parsed.error.issues.slice(0, MAX_DETAILS).map((issue) => asDetail(issue, data));
    },
    get json() {
      json ??= z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
      return json;
    },
  };
}

function parse(schema: z.ZodType, data: unknown): z.ZodSafeParseResult<unknown> | TooManyWrongKeys {
  try {
    return schema.safeParse(data);
  } catch (error) {
    if (error instanceof TooManyWrongKeys) return error;
    throw error;
  }
}

function asDetail({ path, message }: z.core.$ZodIssue, data: Data): ErrorDetail {
  return isMissing(path, data) ? missing(path) : invalid(path, message);
}

/** Keys that a client chose are in both. */
const MAX_TEXT = 1_024;

const fieldOf = (path: readonly PropertyKey[]): string =>
  ["data", ...path.map(String)].join(".").slice(0, MAX_TEXT);

const missing = (path: readonly PropertyKey[]): ErrorDetail =>
  detail("MissingField", "is required", { field: fieldOf(path) });

const invalid = (path: readonly PropertyKey[], reason: string): ErrorDetail =>
  detail("InvalidField", reason.slice(0, MAX_TEXT), { field: fieldOf(path) });

function isMissing(path: readonly PropertyKey[], data: Data): boolean {
  let value: unknown = data ?? {};
  for (const part of path) {
    if (typeof value !== "object" || value === null) return false;
    value = (value as Readonly<Record<PropertyKey, unknown>>)[part];
  }
  return path.length > 0 && value === undefined;
}

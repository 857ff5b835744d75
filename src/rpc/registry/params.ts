// Schemas of params: zod's, or JSON Schemas, with the errors of the contract: a field that is missing is told apart from one that is
// wrong (contract 5.3).
import { z } from "zod";
import { loadGuards } from "../../schema/guard.ts";
import { enforceable, type JsonSchema } from "../../schema/json-schema.ts";
import { detail, type ErrorDetail, MAX_DETAILS } from "../wire/rpc-error.ts";
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
      const field = ["data", ...refusal.path].join(".");
      return [
        isMissing(refusal.path, data)
          ? detail("MissingField", "is required", { field })
          : detail("InvalidField", refusal.message, { field }),
      ];
    },
    json: schema,
  };
}

export function zodParams(schema: z.ZodType): ParamsSchema {
  let json: unknown;
  return {
    check: (data) => {
      const parsed = schema.safeParse(data ?? {});
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

function asDetail({ path, message }: z.core.$ZodIssue, data: Data): ErrorDetail {
  const field = ["data", ...path.map(String)].join(".");
  return isMissing(path, data)
    ? detail("MissingField", "is required", { field })
    : detail("InvalidField", message, { field });
}

function isMissing(path: readonly PropertyKey[], data: Data): boolean {
  let value: unknown = data ?? {};
  for (const part of path) {
    if (typeof value !== "object" || value === null) return false;
    value = (value as Readonly<Record<PropertyKey, unknown>>)[part];
  }
  return path.length > 0 && value === undefined;
}

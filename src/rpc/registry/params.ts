// Schemas of params: zod's at the edge of a handler, with the errors of the contract: a field that is missing is told apart from one that is
// wrong (contract 5.3).
import { z } from "zod";
import { detail, type ErrorDetail, MAX_DETAILS } from "../wire/rpc-error.ts";
import type { Data, ParamsSchema } from "./definition.ts";

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

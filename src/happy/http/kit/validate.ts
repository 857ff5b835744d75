// Schema validation with the contract's error text (HTTP contract 1.5): parts in a fixed order, stopping at the first that fails.
import type { z } from "zod";
import { NOT_WELL_FORMED } from "../../../limits/identifier.ts";

export type Part = "params" | "body" | "querystring" | "headers";

/** Message such as `body/tag Invalid input: expected string, received undefined, ...`. */
export class ValidationProblem extends Error {}

/** @throws ValidationProblem */
export function validate(part: Part, schema: z.ZodType | undefined, value: unknown): unknown {
  if (schema === undefined) return value;
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(
    ({ path, message }) => `${part}/${path.map(String).join("/")} ${message}`,
  );
  throw new ValidationProblem(issues.join(", "));
}

/**
 * A query as the original reads it: a repeated key becomes an array, which then normally fails validation.
 * @throws ValidationProblem for percent sequences that are no UTF-8: two different texts would be read as the same one.
 */
export function queryOf(url: string): Record<string, string | string[]> {
  const start = url.indexOf("?");
  const query: Record<string, string | string[]> = {};
  if (start < 0) return query;
  const text = url.slice(start + 1);
  if (text.includes("%") && isIllFormed(text)) throw new ValidationProblem(`querystring/ ${NOT_WELL_FORMED}`);
  for (const [key, value] of new URLSearchParams(text)) {
    const known = Object.hasOwn(query, key) ? query[key] : undefined;
    if (known === undefined) query[key] = value;
    else query[key] = Array.isArray(known) ? [...known, value] : [known, value];
  }
  return query;
}

/** Whether reading it puts in replacement characters that the client did not send as such. */
function isIllFormed(query: string): boolean {
  const others = query.replace(/%EF%BF%BD|\ufffd/gi, "");
  return new URLSearchParams(others).toString().includes("%EF%BF%BD");
}

// Bodies and queries, parsed and refused in the contract's shapes (HTTP contract, 1 and E1).
import type { Context } from "hono";
import { z } from "zod";
import { bodyOf } from "./body.ts";
import type { OpenEnv } from "./env.ts";
import { Refused } from "./failure.ts";

export interface Wording {
  readonly error?: string;
  /** Whether the answer says which fields are at fault. */
  readonly hasIssues?: boolean;
}

/** @throws Refused 400; BodyRefused */
export async function validBody<S extends z.ZodType, E extends OpenEnv>(
  c: Context<E>,
  schema: S,
  { error = "Invalid body", hasIssues = false }: Wording = {},
): Promise<z.output<S>> {
  return valid(schema, await bodyOf(c), { error, hasIssues });
}

/** Where an empty body is as good as an empty object. */
export async function validOptionalBody<S extends z.ZodType, E extends OpenEnv>(
  c: Context<E>,
  schema: S,
): Promise<z.output<S>> {
  return valid(schema, (await bodyOf(c)) ?? {}, { error: "Invalid body" });
}

/** The same where clients are told of a body that is no JSON. */
export async function validJsonBody<S extends z.ZodType, E extends OpenEnv>(
  c: Context<E>,
  schema: S,
): Promise<z.output<S>> {
  const { body } = c.var as OpenEnv["Variables"];
  const given = body.isLeft ? await bodyOf(c) : {};
  if (given === null) throw new Refused(400, "Invalid JSON body");
  return valid(schema, given, { error: "Invalid body" });
}

/** @throws Refused 400 */
export function validQuery<S extends z.ZodType>(
  c: { readonly req: { query(): Record<string, string> } },
  schema: S,
  { error = "Invalid query", hasIssues = false }: Wording = {},
): z.output<S> {
  return valid(schema, c.req.query(), { error, hasIssues });
}

/** Of a body that was read already. @throws Refused 400 */
export function valid<S extends z.ZodType>(
  schema: S,
  given: unknown,
  { error, hasIssues }: Wording & { readonly error: string },
): z.output<S> {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  throw new Refused(400, error, { issues: hasIssues ? z.flattenError(result.error) : undefined });
}

/** A whole number of a query, which is text: an empty one is 0. */
export const wholeNumber = (least: number) => z.coerce.number().int().min(least);

// What requests name, parsed: bodies, ids in paths, pages of lists, and what is wrong with them in the words of the protocol.
import { z } from "zod";
import type { BodyRefused, RequestBody } from "../../http/request-body.ts";
import { MAX_JSON_DEPTH } from "../../limits/json-depth.ts";
import { badFormat, Problem } from "../problem.ts";

/** The body as JSON of this shape. @throws Problem 2002; BodyRefused */
export async function jsonBody<S extends z.ZodType>(
  { var: { body } }: { readonly var: { readonly body: RequestBody } },
  schema: S,
): Promise<z.output<S>> {
  return parsed(schema, await body.json());
}

/** What the client is told about a body that was not read to its end, or is no JSON. */
export function bodyProblem({ code, facts: { limitBytes = 0 } }: BodyRefused): Problem {
  if (code === "too-large") return badFormat(`body: more than ${sizeText(limitBytes)}`);
  if (code === "cut-short") return badFormat("body: cut short");
  if (code === "too-deep") return badFormat(`body: nested deeper than ${MAX_JSON_DEPTH} levels`);
  if (code === "late") return new Problem(2002, "body: did not arrive in time", 408);
  if (code === "busy") return new Problem(2003, "busy with other requests, try again", 503);
  if (code === "too-much-work") return new Problem(2003, "too many requests, try again in a minute", 429);
  return badFormat("body: not JSON");
}

const sizeText = (bytes: number) =>
  bytes < 1024 * 1024 ? `${bytes / 1024} KiB` : `${bytes / 1024 / 1024} MiB`;

/** @throws Problem 2002 naming the first thing that is wrong */
export function parsed<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const place = issue === undefined || issue.path.length === 0 ? "" : `${issue.path.map(String).join(".")}: `;
  throw badFormat(`${place}${issue?.message ?? "not valid"}`.toLowerCase());
}

const wholeNumber = z
  .string()
  .regex(/^-?\d{1,15}$/, "must be a whole number")
  .transform(Number);

/** A path parameter that names an item. */
export const idParam = z.object({ id: wholeNumber });

const PAGE_SIZE = 15;
const MAX_PAGE_SIZE = 1_000;
/** Far beyond any list, and small enough for exact arithmetic. */
const MAX_PAGE = 1_000_000_000;

/** `page` and `pageSize` of a list; what is not above 0 means the default. */
export const paging = z.object({
  page: wholeNumber.default(1).transform((page) => (page > 0 ? Math.min(page, MAX_PAGE) : 1)),
  pageSize: wholeNumber
    .default(PAGE_SIZE)
    .transform((size) => (size > 0 ? Math.min(size, MAX_PAGE_SIZE) : PAGE_SIZE)),
});

/** Bodies that name items to delete. */
export const idList = z.object({ ids: z.array(z.int()).min(1).max(10_000) });

// One endpoint as a value: where it is, what it takes, what it answers. The kit does the rest: token, body, schema, envelope.
import { z } from "zod";
import type { RequestFacts } from "../../../server/request-facts.ts";
import type { TopicsContext } from "../../context.ts";
import { badFormat } from "../../problem.ts";
import type { Claims } from "../../tokens.ts";

export interface EndpointSpec<B extends z.ZodType, Q extends z.ZodType, P extends z.ZodType> {
  readonly method: "GET" | "POST";
  /** Hono pattern below `/api/v1`. */
  readonly path: string;
  /** Answers without a token. */
  readonly open?: boolean;
  readonly body?: B;
  readonly query?: Q;
  readonly params?: P;
}

export interface Call<B, Q, P> {
  readonly context: TopicsContext;
  /** Whose token it is; of nobody where the endpoint is open. */
  readonly claims: Claims;
  readonly body: B;
  readonly query: Q;
  readonly params: P;
  readonly facts: RequestFacts;
}

/** An endpoint with its types folded away, ready to be mounted. */
export interface Endpoint extends EndpointSpec<z.ZodType, z.ZodType, z.ZodType> {
  /** Gives the `data` of a success. @throws Problem */
  readonly handle: (call: Call<unknown, unknown, unknown>) => unknown;
}

export function endpoint<
  B extends z.ZodType = z.ZodUnknown,
  Q extends z.ZodType = z.ZodUnknown,
  P extends z.ZodType = z.ZodUnknown,
>(
  spec: EndpointSpec<B, Q, P>,
  handle: (call: Call<z.output<B>, z.output<Q>, z.output<P>>) => unknown,
): Endpoint {
  return { ...spec, handle: handle as Endpoint["handle"] };
}

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

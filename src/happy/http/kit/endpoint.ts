// One HTTP endpoint as a value: where it is, what it takes, who may call it, what it does. The kit does the rest in the contract's
// order (HTTP contract 1.4): route, body, schema, token, handler.
import type { z } from "zod";
import type { BodyShare } from "../../../limits/body-budget.ts";
import type { RequestFacts } from "../../../server/request-facts.ts";
import type { LimitedKind } from "../../admission/rate-limits.ts";
import type { HappyContext } from "../../context.ts";

export type Method = "GET" | "POST" | "PUT" | "DELETE";

export interface EndpointSpec<
  P extends z.ZodType,
  B extends z.ZodType,
  Q extends z.ZodType,
  H extends z.ZodType,
> {
  readonly method: Method;
  /** Hono pattern, such as `/v1/sessions/:sessionId/messages`. */
  readonly path: string;
  readonly auth: "bearer" | "none";
  readonly params?: P;
  readonly body?: B;
  readonly query?: Q;
  readonly headers?: H;
  /** The handler reads the request's body itself; `body` is then not used. */
  readonly streams?: boolean;
  /** Keys whose long texts the handler takes as RawText where the body is large. */
  readonly rawTexts?: readonly string[];
  /** Longest decoded path parameter, where the contract's 100 characters are too few for what may be stored. */
  readonly maxParam?: number;
  /** Limited for each address, and for each account where there is one (HTTP contract, decisions). */
  readonly limit?: LimitedKind;
  /** Body of an unexpected failure where the contract has one of its own. */
  readonly failure?: Readonly<Record<string, unknown>>;
  /** Statuses whose generic error bodies shrink to `{error}` (HTTP contract 1.5, stripping quirk). */
  readonly bareErrors?: readonly number[];
}

export interface Call<P, B, Q, H> {
  readonly context: HappyContext;
  /** Account id of the caller; empty where `auth` is none. */
  readonly account: string;
  readonly params: P;
  readonly body: B;
  readonly query: Q;
  readonly headers: H;
  readonly request: Request;
  /** The invite's path that the client uses as part of the server's address, such as `/i/<code>`, else empty. */
  readonly mount: string;
  readonly facts: RequestFacts;
  /** Memory for a body that the handler reads itself; given back when the request is answered. */
  readonly share: BodyShare;
}

/** An endpoint with its types folded away, ready to be mounted. */
export interface Endpoint extends EndpointSpec<z.ZodType, z.ZodType, z.ZodType, z.ZodType> {
  readonly handle: (call: Call<unknown, unknown, unknown, unknown>) => Response | Promise<Response>;
}

export function endpoint<
  P extends z.ZodType = z.ZodUnknown,
  B extends z.ZodType = z.ZodUnknown,
  Q extends z.ZodType = z.ZodUnknown,
  H extends z.ZodType = z.ZodUnknown,
>(
  spec: EndpointSpec<P, B, Q, H>,
  handle: (call: Call<z.output<P>, z.output<B>, z.output<Q>, z.output<H>>) => Response | Promise<Response>,
): Endpoint {
  return { ...spec, handle: handle as Endpoint["handle"] };
}

/** The length is said outright so that HEAD, whose body is dropped on the way, says it too (HTTP contract 1.1). */
function sized(text: string, status: number, contentType: string): Response {
  const headers = { "content-type": contentType, "content-length": String(Buffer.byteLength(text)) };
  return new Response(text, { status, headers });
}

/** A JSON answer in the contract's shape. */
export function json(value: unknown, status = 200): Response {
  return jsonText(JSON.stringify(value), status);
}

export function jsonText(text: string, status = 200): Response {
  return sized(text, status, "application/json; charset=utf-8");
}

/** `{"error": text}` with a status. */
export function refusal(status: number, error: string): Response {
  return json({ error }, status);
}

/** Asks the client to come again after a time. */
export function later(answer: Response, waitMs: number): Response {
  answer.headers.set("retry-after", String(Math.max(1, Math.ceil(waitMs / 1_000))));
  return answer;
}

export function plain(text: string, status = 200): Response {
  return sized(text, status, "text/plain; charset=utf-8");
}

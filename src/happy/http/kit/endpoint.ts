// One HTTP endpoint as a value: where it is, what it takes, who may call it, what it does. The kit does the rest in the contract's
// order (HTTP contract 1.4): route, body, schema, token, handler.
import type { z } from "zod";
import type { BodyShare } from "../../../limits/body-budget.ts";
import type { RequestFacts } from "../../../server/request-facts.ts";
import type { LimitedKind } from "../../admission/rate-limits.ts";
import type { HappyContext } from "../../context.ts";

export type Method = "GET" | "POST" | "PUT" | "DELETE";

export interface EndpointSpec<P extends z.ZodType, B extends z.ZodType, Q extends z.ZodType> {
  readonly method: Method;
  /** Hono pattern, such as `/v1/sessions/:sessionId/messages`. */
  readonly path: string;
  readonly auth: "bearer" | "none";
  readonly params?: P;
  readonly body?: B;
  readonly query?: Q;
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

export interface Call<P, B, Q> {
  readonly context: HappyContext;
  /** Account id of the caller; empty where `auth` is none. */
  readonly account: string;
  readonly params: P;
  readonly body: B;
  readonly query: Q;
  readonly request: Request;
  /** The invite's path that the client uses as part of the server's address, such as `/i/<code>`, else empty. */
  readonly mount: string;
  readonly facts: RequestFacts;
  /** Memory for a body that the handler reads itself; given back when the request is answered. */
  readonly share: BodyShare;
}

/** An endpoint with its types folded away, ready to be mounted. */
export interface Endpoint extends EndpointSpec<z.ZodType, z.ZodType, z.ZodType> {
  readonly handle: (call: Call<unknown, unknown, unknown>) => Response | Promise<Response>;
}

export function endpoint<
  P extends z.ZodType = z.ZodUnknown,
  B extends z.ZodType = z.ZodUnknown,
  Q extends z.ZodType = z.ZodUnknown,
>(
  spec: EndpointSpec<P, B, Q>,
  handle: (call: Call<z.output<P>, z.output<B>, z.output<Q>>) => Response | Promise<Response>,
): Endpoint {
  return { ...spec, handle: handle as Endpoint["handle"] };
}

export const JSON_HEADERS = new Headers({ "content-type": "application/json; charset=utf-8" });
const TEXT_HEADERS = new Headers({ "content-type": "text/plain; charset=utf-8" });

/** The length is said outright so that HEAD, whose body is dropped on the way, says it too (HTTP contract 1.1). */
function sized(text: string, status: number, headers: Headers): Response {
  const answer = new Response(text, { status, headers });
  answer.headers.set("content-length", String(Buffer.byteLength(text)));
  return answer;
}

/** A JSON answer in the contract's shape. */
export function json(value: unknown, status = 200): Response {
  return jsonText(JSON.stringify(value), status);
}

export function jsonText(text: string, status = 200): Response {
  return sized(text, status, JSON_HEADERS);
}

/** `{"error": text}` with a status. */
export function refusal(status: number, error: string): Response {
  return json({ error }, status);
}

export function plain(text: string, status = 200): Response {
  return sized(text, status, TEXT_HEADERS);
}

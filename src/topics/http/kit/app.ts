// The Hono app of the topics protocol: mounts endpoints and gives every answer under its prefixes the envelope, also the refusals.
import { type Context, Hono } from "hono";
import { type BodyShare, OverBudget } from "../../../limits/body-budget.ts";
import { isTooDeep, MAX_JSON_DEPTH } from "../../../limits/json-depth.ts";
import { GivenUp } from "../../../limits/strangers.ts";
import { BodyCutShort, BodyTooLarge, readBody, SILENCE_SECONDS } from "../../../server/body.ts";
import type { RequestFacts } from "../../../server/request-facts.ts";
import type { TopicsContext } from "../../context.ts";
import { badFormat, notFound, Problem } from "../../problem.ts";
import { accountOf, type Claims } from "../../tokens.ts";
import { corsHeaders, preflight } from "./cors.ts";
import { type Endpoint, parsed } from "./endpoint.ts";
import { failure, problemOf, success } from "./envelope.ts";

type Env = { Bindings: RequestFacts };

const MAX_BODY_BYTES = 1024 * 1024;
const NOBODY: Claims = { uid: 0, username: "", role: "", exp: 0 };

export function topicsApp(context: TopicsContext, endpoints: readonly Endpoint[]) {
  const app = new Hono<Env>();
  for (const endpoint of endpoints) {
    app.on(endpoint.method, `/api/v1${endpoint.path}`, (c) => answer(context, endpoint, c));
  }
  app.notFound(() => failure(notFound("route")));
  app.onError((error) => failure(problemOf(error, context.log, {})));
  const origins = context.config.realtimeAllowedOrigins;
  return async (request: Request, facts: RequestFacts): Promise<Response> => {
    if (request.method === "OPTIONS") return preflight(request, origins);
    const response = await app.fetch(request, facts);
    for (const [name, value] of corsHeaders(request, origins)) response.headers.set(name, value);
    return response;
  };
}

async function answer(context: TopicsContext, endpoint: Endpoint, c: Context<Env>): Promise<Response> {
  const request = c.req.raw;
  const route = `/api/v1${endpoint.path}`;
  const { caller } = c.env;
  c.env.route = route;
  const share = context.bodies.share(c.env);
  try {
    // A stranger's body is not read.
    const claims = endpoint.open
      ? NOBODY
      : await authenticated(context, request.headers.get("authorization"));
    if (!endpoint.open) {
      caller.authenticated(accountOf(claims));
      share.authenticated();
    }
    const params = endpoint.params && parsed(endpoint.params, c.req.param());
    const query = endpoint.query && parsed(endpoint.query, c.req.query());
    const read = endpoint.open === true ? anybodysBody : jsonBody;
    const body = endpoint.body && parsed(endpoint.body, await read(context, request, share, c.env));
    return success(await endpoint.handle({ context, claims, body, query, params, facts: c.env }), context);
  } catch (error) {
    const refused = failure(problemOf(error, context.log, { route, request: c.env.id }));
    // What is left of a body that was not read must not be taken for the next request.
    if (request.body !== null && !request.bodyUsed) refused.headers.set("connection", "close");
    return refused;
  } finally {
    share.release();
  }
}

/** Case-sensitive "Bearer" and one space (topics contract, 3.2). @throws Problem 1001, 1002 or 1003 */
async function authenticated(context: TopicsContext, header: string | null): Promise<Claims> {
  if (header === null) throw new Problem(1001, "not logged in");
  const token = header.startsWith("Bearer ") ? header.slice(7) : "";
  if (token === "") throw new Problem(1001, "authorization header malformed");
  return context.tokens.verify(token);
}

/** As `jsonBody`, of a stranger: small, in time, and not from an address that costs too much. @throws Problem 2002 or 2003 */
async function anybodysBody(
  context: TopicsContext,
  request: Request,
  share: BodyShare,
  { caller: { address } }: RequestFacts,
): Promise<unknown> {
  const { rateLimits, maxAnonymousBodyBytes } = context.config;
  if (rateLimits && context.strangers.exceeded(address) !== undefined)
    throw new Problem(2003, "too many requests, try again in a minute", 429);
  const limitBytes = Math.min(MAX_BODY_BYTES, maxAnonymousBodyBytes);
  const text = await textOf(
    context.strangers.patiently(address, readBody(request, limitBytes, share)),
    limitBytes,
  );
  context.strangers.charge(address, { bytes: text.length });
  return jsonOf(context, text);
}

/** @throws Problem 2002 for anything but JSON of at most 1 MiB. */
async function jsonBody(
  context: TopicsContext,
  request: Request,
  share: BodyShare,
  facts: RequestFacts,
): Promise<unknown> {
  const arrived = () => facts.extendIdle(SILENCE_SECONDS);
  return jsonOf(context, await textOf(readBody(request, MAX_BODY_BYTES, share, arrived), MAX_BODY_BYTES));
}

async function textOf(reading: Promise<Uint8Array>, limitBytes: number): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await reading);
  } catch (error) {
    if (error instanceof BodyTooLarge) throw badFormat(`body: more than ${sizeText(limitBytes)}`);
    if (error instanceof BodyCutShort) throw badFormat("body: cut short");
    if (error instanceof GivenUp) throw new Problem(2002, "body: did not arrive in time", 408);
    if (error instanceof OverBudget) throw new Problem(2003, "busy with other requests, try again", 503);
    throw badFormat("body: not JSON");
  }
}

const sizeText = (bytes: number) =>
  bytes < 1024 * 1024 ? `${bytes / 1024} KiB` : `${bytes / 1024 / 1024} MiB`;

function jsonOf(context: TopicsContext, text: string): unknown {
  if (isTooDeep(text)) {
    context.bounds.refused("json-depth");
    throw badFormat(`body: nested deeper than ${MAX_JSON_DEPTH} levels`);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw badFormat("body: not JSON");
  }
}

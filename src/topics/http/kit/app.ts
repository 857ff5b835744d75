// The Hono app of the topics protocol: mounts endpoints and gives every answer under its prefixes the envelope, also the refusals.
import { type Context, Hono } from "hono";
import { BodyCutShort, BodyTooLarge, readBody } from "../../../server/body.ts";
import type { RequestFacts } from "../../../server/protocol.ts";
import { badFormat, notFound, Problem } from "../../problem.ts";
import type { TopicsRoom } from "../../room.ts";
import { accountOf, type Claims } from "../../tokens.ts";
import { corsHeaders, preflight } from "./cors.ts";
import { type Endpoint, parsed } from "./endpoint.ts";
import { failure, problemOf, success } from "./envelope.ts";

type Env = { Bindings: RequestFacts };

const MAX_BODY_BYTES = 1024 * 1024;
const NOBODY: Claims = { uid: 0, username: "", role: "", exp: 0 };

export function topicsApp(room: TopicsRoom, endpoints: readonly Endpoint[]) {
  const app = new Hono<Env>();
  for (const endpoint of endpoints) {
    app.on(endpoint.method, `/api/v1${endpoint.path}`, (context) => answer(room, endpoint, context));
  }
  app.notFound(() => failure(notFound("route")));
  app.onError((error) => failure(problemOf(error, room.log, {})));
  const origins = room.config.realtimeAllowedOrigins;
  return async (request: Request, facts: RequestFacts): Promise<Response> => {
    if (request.method === "OPTIONS") return preflight(request, origins);
    const response = await app.fetch(request, facts);
    for (const [name, value] of corsHeaders(request, origins)) response.headers.set(name, value);
    return response;
  };
}

async function answer(room: TopicsRoom, endpoint: Endpoint, context: Context<Env>): Promise<Response> {
  const request = context.req.raw;
  const route = `/api/v1${endpoint.path}`;
  context.env.route = route;
  try {
    // A stranger's body is not read.
    const claims = endpoint.open ? NOBODY : await authenticated(room, request.headers.get("authorization"));
    if (!endpoint.open) context.env.caller.authenticated(accountOf(claims));
    const params = endpoint.params && parsed(endpoint.params, context.req.param());
    const query = endpoint.query && parsed(endpoint.query, context.req.query());
    const body = endpoint.body && parsed(endpoint.body, await jsonBody(request));
    return success(await endpoint.handle({ room, claims, body, query, params, facts: context.env }));
  } catch (error) {
    const refused = failure(problemOf(error, room.log, { route, request: context.env.id }));
    // What is left of a body that was not read must not be taken for the next request.
    if (request.body !== null && !request.bodyUsed) refused.headers.set("connection", "close");
    return refused;
  }
}

/** Case-sensitive "Bearer" and one space (topics contract, 3.2). @throws Problem 1001, 1002 or 1003 */
async function authenticated(room: TopicsRoom, header: string | null): Promise<Claims> {
  if (header === null) throw new Problem(1001, "not logged in");
  const token = header.startsWith("Bearer ") ? header.slice(7) : "";
  if (token === "") throw new Problem(1001, "authorization header malformed");
  return room.tokens.verify(token);
}

/** @throws Problem 2002 for anything but JSON of at most 1 MiB. */
async function jsonBody(request: Request): Promise<unknown> {
  try {
    const bytes = await readBody(request, MAX_BODY_BYTES);
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
  } catch (error) {
    if (error instanceof BodyTooLarge) throw badFormat("body: more than 1 MiB");
    if (error instanceof BodyCutShort) throw badFormat("body: cut short");
    throw badFormat("body: not JSON");
  }
}

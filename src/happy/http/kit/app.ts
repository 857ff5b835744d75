// The Hono app of the Happy protocol: mounts endpoints, and gives every answer the contract's global behaviour (HTTP contract 1).
import { type Context, Hono } from "hono";
import { getPath } from "hono/utils/url";
import { bearerToken } from "../../../auth/tokens.ts";
import { OverBudget } from "../../../limits/body-budget.ts";
import { ValueTooLarge } from "../../../limits/value-sizes.ts";
import { discardBody } from "../../../server/body.ts";
import type { RequestFacts } from "../../../server/protocol.ts";
import { asStorageError, StorageError } from "../../../storage/errors.ts";
import type { LimitedKind } from "../../admission/rate-limits.ts";
import type { HappyRoom } from "../../room.ts";
import { BodyProblem, checkBody, parseBody } from "./body.ts";
import { type Endpoint, json, later, refusal } from "./endpoint.ts";
import { type Mounted, splitMount } from "./mount.ts";
import { queryOf, ValidationProblem, validate } from "./validate.ts";

type Env = { Bindings: RequestFacts };

/** Longest decoded path parameter; a longer one does not match its route. */
const MAX_PARAM = 100;
/** What somebody without a valid token may make the server read. */
const MAX_ANONYMOUS_BODY = 1024 * 1024;
/** What is still taken, and thrown away, of a request that is refused: the largest attachment. */
const MAX_REFUSED_BODY = 10 * 1024 * 1024;
const REFUSED_BODY_MS = 30_000;

export function happyApp(
  room: HappyRoom,
  endpoints: readonly Endpoint[],
  notFound: (request: Request, facts: RequestFacts) => Response | Promise<Response>,
) {
  const app = new Hono<Env>({
    strict: true,
    getPath: (request) => splitMount(collapseSlashes(getPath(request))).path,
  });
  for (const endpoint of [...endpoints].sort(staticFirst)) mount(app, room, endpoint, notFound);
  app.notFound((context) => notFound(context.req.raw, context.env));
  app.onError((error, context) => unexpected(room, error, undefined, context.env.id));
  return async (request: Request, facts: RequestFacts): Promise<Response> => {
    if (request.method === "OPTIONS") return preflight(request);
    const undecodable = badUrl(request.url);
    if (undecodable !== undefined) return undecodable;
    const answer = await app.fetch(request, facts);
    answer.headers.set("access-control-allow-origin", "*");
    return answer;
  };
}

function mount(
  app: Hono<Env>,
  room: HappyRoom,
  endpoint: Endpoint,
  notFound: (request: Request, facts: RequestFacts) => Response | Promise<Response>,
) {
  const handler = async (context: Context<Env>) => {
    const params = context.req.param() as Record<string, string>;
    context.env.route = endpoint.path;
    for (const name of endpoint.path.match(/:(\w+)/g) ?? []) params[name.slice(1)] ??= "";
    const longest = endpoint.maxParam ?? MAX_PARAM;
    if (Object.values(params).some((value) => value.length > longest))
      return notFound(context.req.raw, context.env);
    return answer(room, endpoint, context.req.raw, params, context.env);
  };
  app.on(endpoint.method, endpoint.path, handler);
  // An empty last parameter still matches (HTTP contract 1.2).
  const beforeLast = /^(.*\/):\w+$/.exec(endpoint.path)?.[1];
  if (beforeLast !== undefined) app.on(endpoint.method, beforeLast, handler);
}

async function answer(
  room: HappyRoom,
  endpoint: Endpoint,
  request: Request,
  rawParams: Record<string, string>,
  facts: RequestFacts,
): Promise<Response> {
  const share = room.bodies.share();
  try {
    const waitMs = endpoint.limit && limited(room, endpoint.limit, "address", facts.clientAddress);
    if (waitMs !== undefined) return await afterBody(request, tooMany(waitMs));
    const large = endpoint.streams !== true && isLarge(request);
    // Reading much for somebody unknown is the one case where the token comes first.
    const early = large ? await authenticate(room, endpoint, request, facts) : undefined;
    if (early instanceof Response) return await afterBody(request, early);
    const limit = large && endpoint.auth === "none" ? MAX_ANONYMOUS_BODY : room.config.maxBodyBytes;
    if (endpoint.streams === true) checkBody(request, limit);
    const rawBody = endpoint.streams === true ? undefined : await parseBody(request, limit, share);
    const params = validate("params", endpoint.params, rawParams);
    const body = endpoint.streams === true ? undefined : validate("body", endpoint.body, rawBody);
    const query = validate("querystring", endpoint.query, queryOf(request.url));
    const headers = validate("headers", endpoint.headers, Object.fromEntries(request.headers));
    // Again after a large body: it may have taken long, and its token may have been revoked meanwhile.
    const account = await authenticate(room, endpoint, request, facts);
    if (account instanceof Response) return await afterBody(request, account);
    const accountWaitMs =
      endpoint.limit && account !== "" ? limited(room, endpoint.limit, "account", account) : undefined;
    if (accountWaitMs !== undefined) return await afterBody(request, tooMany(accountWaitMs));
    const { mount } = mountedPath(request);
    return await endpoint.handle({
      room,
      account,
      params,
      body,
      query,
      headers,
      request,
      mount,
      facts,
      share,
    });
  } catch (error) {
    if (!(error instanceof ShutOut)) return failure(room, endpoint, error, facts.id);
    // Its body is not kept while the answer waits.
    share.release();
    await room.refusalPace.turn(error.account, request.signal);
    return await afterBody(request, refusal(401, "Invalid token"));
  } finally {
    share.release();
  }
}

/** The token is valid, and shut out. */
class ShutOut extends Error {
  constructor(readonly account: string) {
    super("shut out");
  }
}

/** A proxy that is still sending when it is refused and cut off tells its client 502: it may finish first, within bounds. */
async function afterBody(request: Request, refused: Response): Promise<Response> {
  if (request.body !== null && !request.bodyUsed)
    await discardBody(request, MAX_REFUSED_BODY, REFUSED_BODY_MS);
  return refused;
}

/** The caller's account id, "" where none is needed, or the 401 (HTTP contract 1.7). @throws ShutOut */
async function authenticate(
  room: HappyRoom,
  endpoint: Endpoint,
  request: Request,
  facts: RequestFacts,
): Promise<string | Response> {
  if (endpoint.auth === "none") return "";
  const token = bearerToken(request.headers.get("authorization"));
  if (token === undefined) return refusal(401, "Missing authorization header");
  const claims = room.tokens.verifiedBefore(token) ?? (await room.tokens.verify(token));
  if (claims === undefined) return refusal(401, "Invalid token");
  if (room.access.refuses(claims)) throw new ShutOut(claims.account);
  facts.caller.authenticated(claims.account);
  room.sightings.note(claims, request.headers.get("x-happy-client"));
  return claims.account;
}

/** Milliseconds to wait, undefined when the call may go on. */
function limited(room: HappyRoom, kind: LimitedKind, who: "address" | "account", key: string) {
  return room.config.rateLimits ? room.rateLimits[who](kind, key) : undefined;
}

function tooMany(waitMs: number): Response {
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
  return later(refusal(429, `Too many requests. Try again in ${seconds} s.`), waitMs);
}

/** The path of a request that was routed, and the invite's path in front of it. */
export function mountedPath(request: Request): Mounted {
  return splitMount(collapseSlashes(targetOf(request.url).split("?")[0] ?? ""));
}

function isLarge(request: Request): boolean {
  const length = request.headers.get("content-length");
  return length === null ? request.headers.has("transfer-encoding") : Number(length) > MAX_ANONYMOUS_BODY;
}

function failure(room: HappyRoom, endpoint: Endpoint, error: unknown, request: string): Response {
  const generic = (status: number, body: { error: string; message: string; statusCode: number }) =>
    json(endpoint.bareErrors?.includes(status) ? { error: body.error } : body, status);
  if (error instanceof ValidationProblem) {
    return generic(400, { error: "Error", message: error.message, statusCode: 400 });
  }
  if (error instanceof ValueTooLarge)
    return generic(413, { error: "Payload Too Large", message: error.message, statusCode: 413 });
  if (error instanceof OverBudget) {
    const message = "The server is busy with other uploads. Try again in a moment.";
    const busy = later(generic(503, { error: "Service Unavailable", message, statusCode: 503 }), 2_000);
    busy.headers.set("connection", "close");
    return busy;
  }
  if (error instanceof BodyProblem) {
    const answer = generic(error.status, {
      error: error.error,
      message: error.message,
      statusCode: error.status,
    });
    // What is left of a refused body must not be read as the next request.
    if (error.status !== 415) answer.headers.set("connection", "close");
    return answer;
  }
  return unexpected(room, error, endpoint, request);
}

function unexpected(
  room: HappyRoom,
  thrown: unknown,
  endpoint: Endpoint | undefined,
  request: string,
): Response {
  // What a reader throws is SQLite's own error still.
  const error = asStorageError(thrown);
  const route = endpoint && `${endpoint.method} ${endpoint.path}`;
  if (error instanceof StorageError && error.code === "quota") {
    room.log.debug({ request, route, code: error.code }, error.message);
    return json({ error: "Insufficient Storage", message: error.message, statusCode: 507 }, 507);
  }
  if (error instanceof StorageError) {
    room.log.error({ request, route, code: error.code }, error.message);
    return json({ error: "Service Unavailable", message: error.message, statusCode: 503 }, 503);
  }
  room.log.error({ request, route, err: error }, "a request ended in an unexpected error");
  if (endpoint?.failure !== undefined) return json(endpoint.failure, 500);
  const body = { error: "Internal Server Error", message: "An unexpected error occurred", statusCode: 500 };
  return json(endpoint?.bareErrors?.includes(500) ? { error: body.error } : body, 500);
}

/** HTTP contract 1.9. `authorization` and its kin stand beside `*`, which by the Fetch standard does not cover them. */
function preflight(request: Request): Response {
  const asks = request.headers.has("origin") && request.headers.has("access-control-request-method");
  if (!asks) {
    return new Response("Invalid Preflight Request", {
      status: 400,
      headers: { "content-type": "text/plain; charset=utf-8", "access-control-allow-origin": "*" },
    });
  }
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET, POST, PUT, DELETE",
      "access-control-allow-headers": "*, authorization, content-type, x-happy-client",
    },
  });
}

/** The request target with its query: what follows scheme and authority, where there are any. */
export function targetOf(url: string): string {
  const authority = url.indexOf("://");
  const start = authority < 0 ? 0 : url.indexOf("/", authority + 3);
  return start < 0 ? "/" : url.slice(start);
}

function badUrl(url: string): Response | undefined {
  if (!url.includes("%")) return undefined;
  const target = targetOf(url);
  try {
    decodeURIComponent(target.split("?")[0] ?? "");
    return undefined;
  } catch {
    const message = `'${target}' is not a valid url component`;
    return json({ error: "Bad Request", code: "FST_ERR_BAD_URL", message, statusCode: 400 }, 400);
  }
}

function collapseSlashes(path: string): string {
  return path.includes("//") ? path.replace(/\/{2,}/g, "/") : path;
}

/** Static segments win over parameters, segment by segment. */
function staticFirst(a: Endpoint, b: Endpoint): number {
  const key = ({ path }: Endpoint) => path.replace(/:\w+/g, "\u{10ffff}");
  return key(a) < key(b) ? -1 : 1;
}

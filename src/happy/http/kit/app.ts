// The Hono app of the Happy protocol: mounts endpoints, and gives every answer the contract's global behaviour (HTTP contract 1).
import { type Context, Hono } from "hono";
import { getPath } from "hono/utils/url";
import { OverBudget } from "../../../limits/body-budget.ts";
import { releaseMemory } from "../../../limits/release-memory.ts";
import { ValueTooLarge } from "../../../limits/value-sizes.ts";
import type { RequestFacts } from "../../../server/request-facts.ts";
import { AccountFull } from "../../../storage/account-bounds.ts";
import { asStorageError, StorageError } from "../../../storage/errors.ts";
import type { HappyContext } from "../../context.ts";
import { BodyProblem, isLarge, type LargeBody, parseLarge, parseRaw, type RawBody, TooDeep } from "./body.ts";
import { type Endpoint, json, later, refusal } from "./endpoint.ts";
import { type Mounted, splitMount } from "./mount.ts";
import { identify, refusalOf, type Sender, Unauthorized } from "./sender.ts";
import { sentBy, TooMuch } from "./sent-body.ts";
import { queryOf, ValidationProblem, validate } from "./validate.ts";

type Env = { Bindings: RequestFacts };

/** Longest decoded path parameter; a longer one does not match its route. */
const MAX_PARAM = 100;
export function happyApp(
  context: HappyContext,
  endpoints: readonly Endpoint[],
  notFound: (request: Request, facts: RequestFacts) => Response | Promise<Response>,
) {
  const app = new Hono<Env>({
    strict: true,
    getPath: (request) => splitMount(collapseSlashes(getPath(request))).path,
  });
  for (const endpoint of [...endpoints].sort(staticFirst)) mount(app, context, endpoint, notFound);
  app.notFound((c) => notFound(c.req.raw, c.env));
  app.onError((error, c) => unexpected(context, error, undefined, c.env.id));
  return async (request: Request, facts: RequestFacts): Promise<Response> => {
    if (request.method === "OPTIONS") return preflight(request);
    const undecodable = badUrl(request.url);
    if (undecodable !== undefined) return undecodable;
    const answer = await app.fetch(request, facts);
    // Of an answer that is written piece by piece; Bun would say that it has no bytes.
    if (request.method === "HEAD" && answer.status === 200 && !answer.headers.has("content-length"))
      answer.headers.set("transfer-encoding", "chunked");
    answer.headers.set("access-control-allow-origin", "*");
    return answer;
  };
}

function mount(
  app: Hono<Env>,
  context: HappyContext,
  endpoint: Endpoint,
  notFound: (request: Request, facts: RequestFacts) => Response | Promise<Response>,
) {
  const handler = async (c: Context<Env>) => {
    const params = c.req.param() as Record<string, string>;
    c.env.route = endpoint.path;
    for (const name of endpoint.path.match(/:(\w+)/g) ?? []) params[name.slice(1)] ??= "";
    const longest = endpoint.maxParam ?? MAX_PARAM;
    if (Object.values(params).some((value) => value.length > longest)) return notFound(c.req.raw, c.env);
    return answer(context, endpoint, c.req.raw, params, c.env);
  };
  app.on(endpoint.method, endpoint.path, handler);
  // An empty last parameter still matches (HTTP contract 1.2).
  const beforeLast = /^(.*\/):\w+$/.exec(endpoint.path)?.[1];
  if (beforeLast !== undefined) app.on(endpoint.method, beforeLast, handler);
}

async function answer(
  context: HappyContext,
  endpoint: Endpoint,
  request: Request,
  rawParams: Record<string, string>,
  facts: RequestFacts,
): Promise<Response> {
  const share = context.bodies.share(facts);
  let large: LargeBody | undefined;
  let endTurn = () => {};
  try {
    const identified = identify(context, endpoint, request);
    const sender = identified instanceof Promise ? await identified : identified;
    // Whoever has proved an account is not counted by address: others may share it.
    const waitMs = sender.kind === "account" ? undefined : limitedAddress(context, endpoint, facts);
    if (waitMs !== undefined) return tooMany(waitMs);
    const sent = sentBy(sender, { context, endpoint, request, facts, share });
    const raw = sent instanceof Promise ? await sent : sent;
    if (raw !== undefined && isLarge(raw)) {
      large = raw;
      endTurn = await context.largeBodies.turn(ownerOf(sender, facts), raw.length);
    }
    const parsed = parse(context, endpoint, request, rawParams, raw, sender, facts);
    const input = parsed instanceof Promise ? await parsed : parsed;
    // Asked again: a body may have taken long, and its token may have been revoked meanwhile.
    const refused = refusalOf(context, sender);
    if (refused !== undefined) throw refused;
    const account = sender.kind === "account" ? sender.claims.account : "";
    const accountWaitMs = account === "" ? undefined : limitedAccount(context, endpoint, account);
    if (accountWaitMs !== undefined) return tooMany(accountWaitMs);
    const { mount } = mountedPath(request);
    return await endpoint.handle({ context, account, ...input, request, mount, facts, share });
  } catch (error) {
    if (error instanceof AccountFull) {
      // Clients repeat it for ever, as they do with who is shut out.
      share.release();
      await context.refusalPace.turn(error.account, request.signal);
    }
    if (error instanceof TooMuch) return tooMany(error.waitMs);
    if (error instanceof TooDeep) context.bounds.refused("json-depth", { address: facts.clientAddress });
    if (!(error instanceof Unauthorized)) return failure(context, endpoint, error, facts.id);
    if (error.shutOut !== undefined) {
      // Its body is not kept while the answer waits.
      share.release();
      await context.refusalPace.turn(error.shutOut, request.signal);
    }
    return refusal(401, error.message);
  } finally {
    for (const chunk of large?.chunks ?? []) releaseMemory(chunk);
    endTurn();
    share.release();
  }
}

const ownerOf = (sender: Sender, { caller }: RequestFacts) =>
  sender.kind === "account" ? sender.claims.account : caller.address;

/** The parts of a request in the contract's order; what this costs is charged to strangers. Without a wait where the body is small. */
function parse(
  context: HappyContext,
  endpoint: Endpoint,
  request: Request,
  rawParams: Record<string, string>,
  raw: RawBody | undefined,
  sender: Sender,
  { caller }: RequestFacts,
) {
  const checked = (rawBody: unknown) => ({
    params: validate("params", endpoint.params, rawParams),
    body: endpoint.streams === true ? undefined : validate("body", endpoint.body, rawBody),
    query: validate("querystring", endpoint.query, queryOf(request.url)),
    headers: validate("headers", endpoint.headers, Object.fromEntries(request.headers)),
  });
  if (raw !== undefined && isLarge(raw)) return parseLarge(request, raw, endpoint.rawTexts).then(checked);
  const startedAt = performance.now();
  try {
    return checked(endpoint.streams === true ? undefined : parseRaw(request, raw));
  } finally {
    if (sender.kind !== "account" && raw !== undefined) {
      const workMs = performance.now() - startedAt;
      context.strangers.charge(caller.address, { bytes: raw.bytes.byteLength, workMs });
    }
  }
}

/** Milliseconds to wait, undefined when the call may go on. */
function limitedAddress(context: HappyContext, { limit }: Endpoint, facts: RequestFacts): number | undefined {
  if (limit === undefined || !context.config.rateLimits) return undefined;
  const { address } = facts.caller;
  return context.rateLimits.address(limit, address, context.addresses.widened(1, address));
}

function limitedAccount(context: HappyContext, { limit }: Endpoint, account: string): number | undefined {
  return limit === undefined || !context.config.rateLimits
    ? undefined
    : context.rateLimits.account(limit, account);
}

function tooMany(waitMs: number): Response {
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
  return later(refusal(429, `Too many requests. Try again in ${seconds} s.`), waitMs);
}

/** The path of a request that was routed, and the invite's path in front of it. */
export function mountedPath(request: Request): Mounted {
  return splitMount(collapseSlashes(targetOf(request.url).split("?")[0] ?? ""));
}

function failure(context: HappyContext, endpoint: Endpoint, error: unknown, request: string): Response {
  const generic = (status: number, body: { error: string; message: string; statusCode: number }) =>
    json(endpoint.bareErrors?.includes(status) ? { error: body.error } : body, status);
  if (error instanceof ValidationProblem) {
    return generic(400, { error: "Error", message: error.message, statusCode: 400 });
  }
  if (error instanceof ValueTooLarge) {
    const { field, bytes, limitBytes } = error;
    context.bounds.refused("value-size", { value: field, bytes, limitBytes });
    return generic(413, { error: "Payload Too Large", message: error.message, statusCode: 413 });
  }
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
  return unexpected(context, error, endpoint, request);
}

function unexpected(
  context: HappyContext,
  thrown: unknown,
  endpoint: Endpoint | undefined,
  request: string,
): Response {
  // What a reader throws is SQLite's own error still.
  const error = asStorageError(thrown);
  const route = endpoint && `${endpoint.method} ${endpoint.path}`;
  if (error instanceof StorageError && error.code === "quota") {
    context.log.debug({ request, route, code: error.code }, error.message);
    return json({ error: "Insufficient Storage", message: error.message, statusCode: 507 }, 507);
  }
  if (error instanceof StorageError) {
    context.log.error({ request, route, code: error.code }, error.message);
    return json({ error: "Service Unavailable", message: error.message, statusCode: 503 }, 503);
  }
  context.log.error({ request, route, err: error }, "a request ended in an unexpected error");
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

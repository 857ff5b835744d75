// The Hono app of the Happy protocol: mounts endpoints, and gives every answer the contract's global behaviour (HTTP contract 1).
import { type Context, Hono } from "hono";
import { type BodyParts, isLarge, RequestBody } from "../../../http/request-body.ts";
import { hasLonger, routedPath, undecodableTarget } from "../../../http/target.ts";
import type { RequestFacts } from "../../../server/request-facts.ts";
import { AccountFull } from "../../../storage/account-bounds.ts";
import type { HappyContext } from "../../context.ts";
import { BodyProblem, parseLarge, parseSmall, type TypedBody } from "./body.ts";
import { type Endpoint, json, refusal } from "./endpoint.ts";
import { failure, tooMany, unexpected } from "./failure.ts";
import { mountedPath, splitMount } from "./mount.ts";
import { preflight } from "./preflight.ts";
import { identify, refusalOf, type Sender, Unauthorized } from "./sender.ts";
import { sentBy } from "./sent-body.ts";
import { queryOf, validate } from "./validate.ts";

type Env = { Bindings: RequestFacts };
type Answer = (request: Request, facts: RequestFacts) => Response | Promise<Response>;

/** Longest decoded path parameter; a longer one does not match its route. */
const MAX_PARAM = 100;
const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze({});

/** What all endpoints have in common; made once. */
interface Kit {
  readonly context: HappyContext;
  readonly bodies: BodyParts;
  readonly notFound: Answer;
}

export function happyApp(context: HappyContext, endpoints: readonly Endpoint[], notFound: Answer): Answer {
  const { config } = context;
  const bodies: BodyParts = {
    limits: context,
    accountBytes: () => config.maxBodyBytes,
    strangerBytes: () => config.maxAnonymousBodyBytes,
    areStrangersLimited: () => config.rateLimits,
  };
  const app = new Hono<Env>({ strict: true, getPath: (request) => splitMount(routedPath(request)).path });
  for (const endpoint of [...endpoints].sort(staticFirst))
    mount(app, endpoint, { context, bodies, notFound });
  app.notFound((c) => notFound(c.req.raw, c.env));
  app.onError((error, c) => unexpected(context, undefined, error, c.env.id));
  return async (request, facts) => {
    if (request.method === "OPTIONS") return preflight(request);
    const undecodable = undecodableTarget(request.url);
    if (undecodable !== undefined) return badUrl(undecodable);
    const answer = await app.fetch(request, facts);
    // Of an answer that is written piece by piece; Bun would say that it has no bytes.
    if (request.method === "HEAD" && answer.status === 200 && !answer.headers.has("content-length"))
      answer.headers.set("transfer-encoding", "chunked");
    answer.headers.set("access-control-allow-origin", "*");
    return answer;
  };
}

function mount(app: Hono<Env>, endpoint: Endpoint, kit: Kit): void {
  const { method, path, maxParam = MAX_PARAM } = endpoint;
  const handler = ({ req, env }: Context<Env>, params: Readonly<Record<string, string>>) => {
    env.route = path;
    if (hasLonger(params, maxParam)) return kit.notFound(req.raw, env);
    return answer(kit, endpoint, req.raw, params, env);
  };
  app.on(method, path, path.includes("/:") ? (c) => handler(c, c.req.param()) : (c) => handler(c, NO_PARAMS));
  const last = /\/:(\w+)$/.exec(path);
  const name = last?.[1];
  if (last === null || name === undefined) return;
  // An empty last parameter still matches (HTTP contract 1.2).
  app.on(method, path.slice(0, last.index + 1), (c) => handler(c, { ...c.req.param(), [name]: "" }));
}

async function answer(
  kit: Kit,
  endpoint: Endpoint,
  request: Request,
  rawParams: Readonly<Record<string, string>>,
  facts: RequestFacts,
): Promise<Response> {
  const { context } = kit;
  const sentBody = new RequestBody(request, facts, kit.bodies);
  try {
    const identified = identify(context, endpoint, request);
    const sender = identified instanceof Promise ? await identified : identified;
    // Whoever has proved an account is not counted by address: others may share it.
    const waitMs = sender.kind === "account" ? undefined : limitedAddress(context, endpoint, facts);
    if (waitMs !== undefined) return tooMany(waitMs);
    const sent = sentBy(sender, { context, endpoint, request, body: sentBody });
    const typed = sent instanceof Promise ? await sent : sent;
    if (typed !== undefined && isLarge(typed)) await sentBody.inTurn(typed);
    const parsed = parse(endpoint, request, rawParams, typed, sender, sentBody);
    const input = parsed instanceof Promise ? await parsed : parsed;
    // Asked again: a body may have taken long, and its token may have been revoked meanwhile.
    const refused = refusalOf(context, sender);
    if (refused !== undefined) throw refused;
    const account = sender.kind === "account" ? sender.claims.account : "";
    const accountWaitMs = account === "" ? undefined : limitedAccount(context, endpoint, account);
    if (accountWaitMs !== undefined) return tooMany(accountWaitMs);
    const { params, body, query } = input;
    const { mount } = mountedPath(request);
    const { share } = sentBody;
    return await endpoint.handle({ context, account, params, body, query, request, mount, facts, share });
  } catch (error) {
    // Clients repeat it for ever: whoever is shut out, and an account that is full. What they sent is not kept while the answer waits.
    const paced =
      error instanceof Unauthorized
        ? error.shutOut
        : error instanceof AccountFull
          ? error.account
          : undefined;
    if (paced !== undefined) {
      sentBody.release();
      await context.refusalPace.turn(paced, request.signal);
    }
    if (error instanceof Unauthorized) return refusal(401, error.message);
    if (error instanceof BodyProblem && error.code === "too-deep")
      context.bounds.refused("json-depth", { address: facts.clientAddress });
    return failure(context, endpoint, error, facts.id);
  } finally {
    sentBody.release();
  }
}

/** The parts of a request in the contract's order; what this costs is charged to strangers. Without a wait where the body is small. */
function parse(
  endpoint: Endpoint,
  request: Request,
  rawParams: Readonly<Record<string, string>>,
  typed: TypedBody | undefined,
  sender: Sender,
  sentBody: RequestBody,
) {
  const checked = (rawBody: unknown) => ({
    params: validate("params", endpoint.params, rawParams),
    body: endpoint.streams === true ? undefined : validate("body", endpoint.body, rawBody),
    query: validate("querystring", endpoint.query, queryOf(request.url)),
  });
  if (typed !== undefined && isLarge(typed))
    return parseLarge(request, typed, endpoint.rawTexts).then(checked);
  const startedAt = performance.now();
  try {
    return checked(endpoint.streams === true ? undefined : parseSmall(request, typed));
  } finally {
    if (sender.kind !== "account" && typed !== undefined)
      sentBody.charge({ bytes: typed.bytes.byteLength, workMs: performance.now() - startedAt });
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

function badUrl(target: string): Response {
  const message = `'${target}' is not a valid url component`;
  return json({ error: "Bad Request", code: "FST_ERR_BAD_URL", message, statusCode: 400 }, 400);
}

/** Static segments win over parameters, segment by segment. */
function staticFirst(a: Endpoint, b: Endpoint): number {
  const key = ({ path }: Endpoint) => path.replace(/:\w+/g, "\u{10ffff}");
  return key(a) < key(b) ? -1 : 1;
}

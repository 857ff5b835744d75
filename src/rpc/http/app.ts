// The paths of the RPC room (contract 1): one pipeline behind all of them, and every refusal in an envelope, also where no path is known.
import { Hono } from "hono";
import { type BodyEnv, bodyBudget, withBody } from "../../http/body-budget.ts";
import type { RequestBody } from "../../http/request-body.ts";
import { routeName } from "../../http/route-name.ts";
import type { Limits } from "../../limits/limits.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import type { RpcDocument } from "../document/document.ts";
import type { Formats } from "../formats/formats.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Streams } from "../streams/streams.ts";
import { bareCall, listMethods } from "./bare.ts";
import type { CallerBodies } from "./caller-bodies.ts";
import { answer, receive } from "./exchange.ts";
import { jsonRpc } from "./jsonrpc/endpoint.ts";
import { peerOf } from "./peer.ts";
import { unexpected, unknownPath, wrongVerb } from "./router.ts";
import { STREAM_PATHS, streamRoutes } from "./stream-routes.ts";

export interface RpcHttpParts {
  readonly pipeline: Pipeline;
  readonly formats: Formats;
  readonly streams: Streams;
  readonly config: () => RpcDocument;
  readonly basePath: string;
  readonly limits: Pick<Limits, "bounds" | "largeBodies" | "strangers" | "queues">;
  readonly bodies: CallerBodies;
  readonly areStrangersLimited: () => boolean;
}

export function rpcApp(parts: RpcHttpParts) {
  const { pipeline, formats, streams, config, basePath, limits, bodies } = parts;
  const maxBody = () => config().protocol.max_body_bytes;
  const budgeted = {
    limits: { ...limits, bodies },
    accountBytes: maxBody,
    strangerBytes: maxBody,
    areStrangersLimited: parts.areStrangersLimited,
  };
  const exchange = { formats, config, peerOf, pipeline, streams, bodies, queues: limits.queues };
  const app = new Hono<BodyEnv>().basePath(basePath);
  // Before every path, known or not: a body that is left unread ends its connection.
  app.use(routeName, bodyBudget(budgeted));
  const unary = (request: Request, facts: RequestFacts, body: RequestBody): Promise<Response> =>
    receive(request, facts, body, "unary", exchange).then(({ incoming, form }) => {
      const finished = pipeline.unary(incoming);
      return finished instanceof Promise
        ? finished.then((waited) => answer(waited, form, exchange))
        : answer(finished, form, exchange);
    });
  app.on("POST", UNARY, (c) => unary(c.req.raw, c.env, c.var.body));
  app.route("/", streamRoutes(exchange));
  app.on("POST", JSON_RPC, (c) => jsonRpc(c.req.raw, c.env, c.var.body, exchange));
  for (const [service, handlers] of Object.entries(BARE))
    for (const handler of handlers)
      app.post(`/v2/${service}/${handler}`, (c) =>
        bareCall(c.req.raw, c.env, c.var.body, `rpc.v2/${service}/${handler}`, exchange),
      );
  app.get(METHODS, (c) => listMethods(c.req.raw, c.env, exchange));
  const refuseVerbs = (path: string, allow: string) =>
    app.all(path, (c) => {
      c.env.route = `${basePath}${path}`;
      return wrongVerb(c.req.raw, c.env, exchange, allow);
    });
  refuseVerbs(METHODS, "GET, HEAD");
  const posted = Object.entries(BARE).flatMap(([service, all]) => all.map((one) => `/v2/${service}/${one}`));
  for (const path of [...UNARY, ...STREAM_PATHS, ...JSON_RPC, ...posted]) refuseVerbs(path, "POST");
  app.onError((error, c) => unexpected(c.req.raw, c.env, exchange, error));
  app.all("/*", (c) => unknownPath(c.req.raw, c.env, exchange));
  // What is called most is found here: the app's router, its context and its chain of middleware cost as much as a small call.
  const direct = new Set(UNARY.map((path) => `${basePath}${path}`));
  return (request: Request, facts: RequestFacts): Response | Promise<Response> => {
    const path = request.method === "POST" ? plainPath(request.url) : "";
    if (!direct.has(path)) return app.fetch(request, facts);
    facts.route = path;
    return withBody(request, facts, budgeted, (body) => unary(request, facts, body)).catch((error: unknown) =>
      unexpected(request, facts, exchange, error),
    );
  };
}

/** As it was written; what the app's router would still have to decode or to join is another one here. */
function plainPath(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const query = url.indexOf("?", start);
  return query < 0 ? url.slice(start) : url.slice(start, query);
}

const UNARY = ["/v2/rpc", "/v2/AduibRpcService/Call"];
/** With a slash at the end, and without. */
const JSON_RPC = ["", "/"];
const METHODS = "/v2/methods";
/** Services that are called without an envelope. */
const BARE: Readonly<Record<string, readonly string[]>> = {
  HealthService: ["Check", "Watch"],
  TaskService: ["Submit", "Query", "Cancel", "Subscribe"],
  DiscoveryService: ["Register", "Renew", "Deregister", "List", "Resolve", "Watch"],
};

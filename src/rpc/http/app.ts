// The paths of the RPC room (contract 1): one pipeline behind all of them, and every refusal in an envelope, also where no path is known.
import { Hono } from "hono";
import { type BodyEnv, bodyBudget } from "../../http/body-budget.ts";
import { routeName } from "../../http/route-name.ts";
import type { Limits } from "../../limits/limits.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import type { RpcDocument } from "../document/document.ts";
import type { Formats } from "../formats/formats.ts";
import type { Peer } from "../pipeline/incoming.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Streams } from "../streams/streams.ts";
import { answer, receive } from "./exchange.ts";
import { streamRoutes } from "./stream-routes.ts";

export interface RpcHttpParts {
  readonly pipeline: Pipeline;
  readonly streams: Streams;
  readonly formats: Formats;
  readonly config: () => RpcDocument;
  readonly basePath: string;
  readonly limits: Pick<Limits, "bodies" | "bounds" | "largeBodies" | "strangers">;
  readonly areStrangersLimited: () => boolean;
}

export function rpcApp(parts: RpcHttpParts) {
  const { pipeline, streams, formats, config, basePath } = parts;
  const maxBody = () => config().protocol.max_body_bytes;
  const budget = bodyBudget({
    limits: parts.limits,
    accountBytes: maxBody,
    // Who calls is known only when the envelope was read; the budget keeps strangers to their share of the memory.
    strangerBytes: maxBody,
    areStrangersLimited: parts.areStrangersLimited,
  });
  const exchange = { formats, config, peerOf };
  const app = new Hono<BodyEnv>().basePath(basePath);
  app.use(routeName);
  app.on("POST", ["/v2/rpc", "/v2/AduibRpcService/Call"], budget, async (c) => {
    const { incoming, form } = await receive(c.req.raw, c.env, c.var.body, "unary", exchange);
    return answer(await pipeline.unary(incoming), form, formats, incoming.config);
  });
  app.route("/", streamRoutes({ pipeline, streams, budget, exchange }));
  return (request: Request, facts: RequestFacts): Response | Promise<Response> => app.fetch(request, facts);
}

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;

export function peerOf({ clientAddress }: RequestFacts): Peer {
  return { address: clientAddress, isLoopback: LOOPBACK.test(clientAddress), certificate: null };
}

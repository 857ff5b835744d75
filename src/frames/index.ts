// The frames hub as one value: clients on plain WebSockets hear broadcasts, rooms and direct messages, on one node or on several.
import type { Logger } from "pino";
import { build } from "../build-info.ts";
import type { Cluster } from "../bus/cluster.ts";
import type { Config } from "../config/settings.ts";
import type { Limits } from "../limits/limits.ts";
import type { Metrics } from "../observability/metrics.ts";
import { pathOf } from "../server/front-door.ts";
import type { Protocol } from "../server/protocol.ts";
import { Admission } from "./admission.ts";
import { hubEndpoint } from "./endpoint.ts";
import { defaultDispatcher } from "./handlers/index.ts";
import { Hub } from "./hub.ts";
import { hubMetrics } from "./metrics.ts";
import { HubSdk } from "./sdk.ts";
import { hubSettings } from "./settings.ts";

export interface FramesParts {
  readonly config: Config;
  readonly metrics: Metrics;
  readonly limits: Limits;
  /** Undefined: this node is alone. */
  readonly cluster?: Cluster | undefined;
  readonly log: Logger;
}

export interface FramesProtocol extends Protocol {
  /** For server code that speaks to the hub's clients. */
  readonly sdk: HubSdk;
}

/** @throws UsageError for settings that contradict each other. */
export function framesProtocol({ config, metrics, cluster, log }: FramesParts): FramesProtocol {
  const settings = hubSettings(config);
  const hub = new Hub({
    settings,
    cluster,
    dispatcher: defaultDispatcher(log),
    metrics: hubMetrics(metrics),
    log,
  });
  const endpoint = hubEndpoint(hub, new Admission(hub, config.serverAllowedOrigins), {
    path: config.serverWsPath,
    maxQueuedBytes: config.maxQueuedBytes,
  });
  const { hubHealthPath } = config;
  return {
    name: "frames",
    prefixes: [hubHealthPath],
    fetch: (request) => {
      if (pathOf(request.url) !== hubHealthPath) return new Response("not found\n", { status: 404 });
      if (request.method === "GET" || request.method === "HEAD") return health(hub);
      return new Response("only GET\n", { status: 405, headers: { allow: "GET, HEAD" } });
    },
    sockets: [endpoint],
    start: () => {},
    stop: async () => hub.close(),
    sdk: new HubSdk(hub),
  };
}

/** Without the bus this node goes on serving its own clients: degraded, not broken. */
function health(hub: Hub): Response {
  const away = hub.bus !== undefined && !hub.bus.connected;
  return Response.json(
    {
      status: away ? "degraded" : "ok",
      version: build.version,
      time: new Date().toISOString(),
      checks: { hub: "ok", ...(hub.bus === undefined ? {} : { bus: away ? "away" : "ok" }) },
    },
    { headers: { "cache-control": "no-store" } },
  );
}

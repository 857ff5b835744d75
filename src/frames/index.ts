// The frames hub as one value: clients on plain WebSockets hear broadcasts, rooms and direct messages, on one node or on several.
import type { Logger } from "pino";
import { build } from "../build-info.ts";
import type { Cluster } from "../bus/cluster.ts";
import type { Limits } from "../limits/limits.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Served } from "../server/served.ts";
import { Admission } from "./admission.ts";
import { hubEndpoint } from "./endpoint.ts";
import { defaultDispatcher } from "./handlers/index.ts";
import { Hub } from "./hub.ts";
import { type HubSettings, hubSettings } from "./hub-settings.ts";
import { hubMetrics } from "./metrics.ts";
import { HubSdk } from "./sdk.ts";
import type { FramesConfig } from "./settings.ts";
import { Shares } from "./shares.ts";

export interface FramesParts {
  readonly config: FramesConfig;
  /** Tokens are signed with a secret that derives from it, where no other is given. */
  readonly masterSecret?: string | undefined;
  readonly metrics: Metrics;
  readonly limits: Limits;
  /** Undefined: this node is alone. */
  readonly cluster?: Cluster | undefined;
  readonly log: Logger;
}

export interface FramesProtocol extends Served {
  start(): void;
  stop(): Promise<void>;
  /** For server code that speaks to the hub's clients. */
  readonly sdk: HubSdk;
}

/** @throws UsageError for settings that contradict each other. */
export function framesProtocol(parts: FramesParts): FramesProtocol {
  const { config, masterSecret, metrics, limits, cluster, log } = parts;
  const settings = hubSettings(config, masterSecret);
  const figures = hubMetrics(metrics);
  const shares = new Shares(settings);
  const hub = new Hub({
    settings,
    cluster,
    dispatcher: defaultDispatcher(log),
    shares,
    metrics: figures,
    limits,
    log,
  });
  const admission = new Admission({
    hub,
    settings,
    shares,
    names: { publicUrl: config.publicUrl },
    isShared: (address) => limits.addresses.standing(address) === "shared",
    metrics: figures,
    bounds: limits.bounds,
  });
  const endpoint = hubEndpoint({
    path: config.framesServerWsPath,
    maxQueuedBytes: config.maxQueuedBytes,
    hub,
    admission,
    settings,
    metrics: figures,
    log,
  });
  sayWhoMayComeIn(settings, log);
  if (settings.auth !== undefined && config.framesAuthSecretKey === undefined)
    log.info("clients of the frames hub need a token; make one with: roost frames token NAME");
  const { framesHubHealthPath: hubHealthPath } = config;
  return {
    name: "frames",
    http: [
      {
        paths: [hubHealthPath],
        fetch: (request) => {
          if (request.method === "GET" || request.method === "HEAD") return health(hub);
          return new Response("only GET\n", { status: 405, headers: { allow: "GET, HEAD" } });
        },
      },
      { prefixes: [hubHealthPath], fetch: () => new Response("not found\n", { status: 404 }) },
    ],
    sockets: [endpoint],
    start: () => {},
    stop: async () => hub.close(),
    sdk: new HubSdk(hub),
  };
}

/** The operator shall not learn from a stranger that the hub is open. */
function sayWhoMayComeIn({ auth }: HubSettings, log: Logger): void {
  if (auth === undefined)
    log.warn(
      "whoever reaches this server can use the frames hub: it asks for no tokens (frames-auth-enabled)",
    );
  else if (auth.allowAnonymous)
    log.warn(
      "whoever reaches this server can connect to the frames hub without a token (frames-auth-allow-anonymous)",
    );
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

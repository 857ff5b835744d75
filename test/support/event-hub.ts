// HAPI's event streams behind a real door, without the rest of the hub: a token is the name of its namespace, and what a namespace has is
// what its name is followed by ("default-1" is a session, or machine, of "default").
import { Hono } from "hono";
import { bearerToken } from "../../src/auth/bearer.ts";
import { EVENT_BOUNDS } from "../../src/hapi/events/bounds.ts";
import { Broadcaster, type BroadcasterParts } from "../../src/hapi/events/broadcaster.ts";
import { type EventClaims, type EventsEnv, eventRoutes } from "../../src/hapi/events/routes.ts";
import { bearer } from "../../src/http/bearer.ts";
import { bodyBudget } from "../../src/http/body-budget.ts";
import { EventStreams } from "../../src/http/event-stream.ts";
import { type Limits, openLimits } from "../../src/limits/limits.ts";
import { createLog } from "../../src/observability/log.ts";
import { Metrics } from "../../src/observability/metrics.ts";
import { type FrontDoor, openFrontDoor } from "../../src/server/front-door.ts";
import type { HttpClaim } from "../../src/server/served.ts";
import { parseConfig } from "./config.ts";
import { type ClientOptions, EventClient } from "./event-client.ts";

export interface EventHubOptions extends Partial<Pick<BroadcasterParts, "limits" | "heartbeatMs">> {
  readonly maxQueuedBytes?: number;
  readonly maxMemoryBytesInFlight?: number;
  readonly now?: () => number;
  /** Looking whether there is a session takes so long. */
  readonly looking?: () => Promise<unknown>;
  /** Whatever else is served at the same place. */
  readonly also?: readonly HttpClaim[];
}

export interface EventHub {
  readonly url: string;
  readonly events: Broadcaster;
  readonly streams: EventStreams;
  readonly limits: Limits;
  readonly door: FrontDoor;
  /** JSON lines of the log, at warn and above. */
  readonly lines: string[];
  /** `query` begins without a mark; the namespace is `default` unless it names a token. */
  listen(query?: string, options?: ClientOptions): Promise<EventClient>;
  show(subscriptionId: unknown, visibility: unknown, token?: string): Promise<Response>;
  close(): Promise<void>;
}

class Refused extends Error {}

export function eventHub(options: EventHubOptions = {}): EventHub {
  const lines: string[] = [];
  const log = createLog("warn", { write: (line: string) => lines.push(line) } as never);
  const { maxMemoryBytesInFlight = 192 * 1024 * 1024, maxQueuedBytes = 16 * 1024 * 1024, now } = options;
  const limits = openLimits({
    config: { ...parseConfig({}), maxMemoryBytesInFlight },
    bounds: EVENT_BOUNDS,
    metrics: new Metrics(),
    log,
  });
  const streams = new EventStreams({
    queues: limits.queues,
    maxQueuedBytes: () => maxQueuedBytes,
    log,
    ...(now && { now }),
  });
  const events = new Broadcaster({
    streams,
    limits: options.limits ?? { perNamespace: () => 4_000, perAddress: () => 4_000 },
    shared: limits,
    ...(options.heartbeatMs && { heartbeatMs: options.heartbeatMs }),
  });
  const access = async (namespace: string, id: string) => {
    await options.looking?.();
    return id.startsWith(`${namespace}-`) ? "granted" : id.startsWith("no") ? "unknown" : "denied";
  };
  const app = new Hono<EventsEnv>();
  app.use(
    bodyBudget({
      limits,
      accountBytes: () => 1024 * 1024,
      strangerBytes: () => 1024,
      areStrangersLimited: () => true,
    }),
    bearer<EventClaims>({
      verify: (ns) => ({ ns }),
      accountOf: ({ ns }) => `hapi ${ns}`,
      refused: () => new Refused("Missing authorization token"),
      tokenOf: ({ headers, url }) => {
        const { pathname, searchParams } = new URL(url);
        const inAddress = pathname === "/api/events" && searchParams.get("token");
        return bearerToken(headers.get("authorization")) ?? (inAddress || undefined);
      },
    }),
  );
  app.route(
    "/",
    eventRoutes({ events, accountOf: ({ ns }) => `hapi ${ns}`, session: access, machine: access }),
  );
  app.onError((error) => Response.json({ error: error.message }, { status: 401 }));
  const door = openFrontDoor({
    host: "127.0.0.1",
    listeners: [
      {
        port: 0,
        served: [
          {
            name: "hapi",
            http: [
              { prefixes: ["/api"], fetch: (request, facts) => app.fetch(request, facts) },
              ...(options.also ?? []),
            ],
            sockets: [],
            endAnswers: () => events.close(),
          },
        ],
      },
    ],
    trustedProxies: [],
    limits,
    log,
  });
  const url = `http://127.0.0.1:${door.port}`;
  return {
    url,
    events,
    streams,
    limits,
    door,
    lines,
    listen: (query = "all=true", client) =>
      EventClient.open(
        `${url}/api/events?${query.includes("token=") ? "" : "token=default&"}${query}`,
        client,
      ),
    show: (subscriptionId, visibility, token = "default") =>
      fetch(`${url}/api/visibility`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}` },
        body: JSON.stringify({ subscriptionId, visibility }),
      }),
    close: () => door.close(2_000),
  };
}

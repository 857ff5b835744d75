// The HAPI protocol as one value: the hub of the hapi CLI and its web app over REST, server-sent events and Socket.IO, on a home that the
// original hub can take back. This module is loaded only when the protocol is on.
import { EventStreams } from "../http/event-stream.ts";
import { MessagePace } from "../limits/message-pace.ts";
import type { House, OpenProtocol } from "../protocol/house.ts";
import { AccessToken } from "./auth/access-token.ts";
import { accountOf, WebTokens } from "./auth/web-tokens.ts";
import { WrongTokens } from "./auth/wrong-tokens.ts";
import type { HapiContext } from "./context.ts";
import { Broadcaster } from "./events/broadcaster.ts";
import { type Access, eventRoutes } from "./events/routes.ts";
import { frontPageOf } from "./front-page.ts";
import { openHome } from "./home/home.ts";
import { HubSettings } from "./home/hub-settings.ts";
import { hapiApp } from "./http/app.ts";
import { hapiRoutes } from "./http/routes.ts";
import { hubDeeds } from "./hub/deeds.ts";
import { Hub } from "./hub/hub.ts";
import { inEffect as effective } from "./in-effect.ts";
import { allowedOrigins } from "./realtime/origins.ts";
import { HapiSockets } from "./realtime/sockets.ts";
import type { HapiConfig } from "./settings.ts";
import { hapiStore } from "./store/index.ts";

export async function openHapi(house: House<HapiConfig>): Promise<OpenProtocol> {
  const { config, limits, metrics, log } = house;
  const home = await openHome(house.folder("hapi"), config.hapiAccessToken, log);
  const inEffect = effective(config, home.settings);
  const store = hapiStore(house.database("hapi"));
  const access = new AccessToken(home.accessToken);
  const webTokens = new WebTokens(home.jwtKey);
  const wrongTokens = new WrongTokens({ ...limits, isOn: () => config.rateLimits });
  const allowsOrigin = allowedOrigins({
    listed: () => inEffect.corsOrigins,
    config: { port: config.port, publicUrl: inEffect.publicUrl },
  });
  const pace = new MessagePace({ perSecond: () => config.maxAccountMessagesPerSecond, ...limits });
  const sockets = new HapiSockets({
    paths: house.sockets,
    limits,
    config,
    terminals: { max: config.hapiMaxTerminals, idleMs: config.hapiTerminalIdleMs },
    access: {
      namespaceOf: (token) => access.namespaceOf(token),
      loginClaims: (token) => webTokens.loginClaims(token),
      guesses: wrongTokens,
    },
    allowsOrigin,
    pace,
    log,
  });
  const events = new Broadcaster({
    streams: new EventStreams({ queues: limits.queues, maxQueuedBytes: () => config.maxQueuedBytes, log }),
    limits: {
      perNamespace: () => config.maxAccountSockets,
      perAddress: () => config.maxConnectionsPerAddress,
    },
    shared: limits,
  });
  const { rooms, rpc, terminals } = sockets;
  const hub = new Hub({ store, events, rooms, rpc, log });
  const context: HapiContext = {
    ...limits,
    config,
    home,
    inEffect,
    hubSettings: new HubSettings(home.folder),
    store,
    hub,
    events,
    rooms,
    rpc,
    terminals,
    access,
    webTokens,
    wrongTokens,
    pace,
    log,
  };
  // Nobody is served yet.
  await hub.start();
  const deeds = hubDeeds(hub);
  sockets.accept(deeds);
  reportSockets(metrics, { sockets, events });
  const pages = { every: inEffect.corsOrigins.includes("*"), allows: allowsOrigin };
  const standing = async (absence: Promise<"not-found" | "access-denied" | undefined>): Promise<Access> => {
    const found = await absence;
    return found === undefined ? "granted" : found === "not-found" ? "unknown" : "denied";
  };
  const routes = hapiRoutes(context);
  const fetch = hapiApp(context, pages, {
    api: (app) => {
      routes.api(app);
      app.route(
        "/",
        eventRoutes({
          events,
          accountOf,
          session: (namespace, id) => standing(deeds.sessionAbsence(namespace, id)),
          machine: (namespace, id) => standing(deeds.machineAbsence(namespace, id)),
        }),
      );
    },
    cli: routes.cli,
  });
  const { own, shared } = frontPageOf(pages);
  return {
    name: "hapi",
    http: [{ prefixes: ["/api", "/cli"], fetch }],
    sockets: [],
    frontPage: shared,
    listeners: inEffect.listener === undefined ? [] : [{ ...inEffect.listener, frontPage: own }],
    endAnswers: () => events.close(),
    start: () => {
      store.catchUp().catch((error: unknown) => {
        log.warn(
          { err: error },
          "what another hub has stored could not be counted; the next start tries again",
        );
      });
    },
    stop: async () => {
      pace.drain();
      hub.stop();
      sockets.stop();
      await store.settled();
    },
  };
}

function reportSockets(
  metrics: House<HapiConfig>["metrics"],
  { sockets, events }: { readonly sockets: HapiSockets; readonly events: Broadcaster },
): void {
  metrics
    .gauge("roost_hapi_sockets", "Sockets of HAPI's clients, by their namespace")
    .reportEach(() => Object.entries(sockets.counts()).map(([namespace, count]) => [{ namespace }, count]));
  metrics
    .gauge("roost_hapi_event_streams", "Streams of events that HAPI's web clients read")
    .report(() => events.size);
}

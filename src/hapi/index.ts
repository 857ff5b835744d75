// The HAPI protocol as one value: the hub of the hapi CLI and its web app over REST, server-sent events and Socket.IO, on a home that the
// original hub can take back. This module is loaded only when the protocol is on.
import { EventStreams } from "../http/event-stream.ts";
import { MessagePace } from "../limits/message-pace.ts";
import type { House, OpenProtocol } from "../protocol/house.ts";
import { adminRoutes } from "./admin.ts";
import { Administration, type Live } from "./administration.ts";
import { AccessToken } from "./auth/access-token.ts";
import { accountOf, WebTokens } from "./auth/web-tokens.ts";
import { WrongTokens } from "./auth/wrong-tokens.ts";
import type { HapiContext } from "./context.ts";
import { Broadcaster } from "./events/broadcaster.ts";
import { type Access, eventRoutes } from "./events/routes.ts";
import { reportFigures } from "./figures.ts";
import { frontPageOf } from "./front-page.ts";
import { homeCheck } from "./home/check.ts";
import { openHome } from "./home/home.ts";
import { HubSettings } from "./home/hub-settings.ts";
import { hapiApp } from "./http/app.ts";
import { hapiRoutes } from "./http/routes.ts";
import { hubDeeds } from "./hub/deeds.ts";
import { Hub } from "./hub/hub.ts";
import { Scratchlist } from "./hub/scratchlist.ts";
import { inEffect as effective } from "./in-effect.ts";
import { Notifications, overheard } from "./notify/notifications.ts";
import { allowedOrigins } from "./realtime/origins.ts";
import { HapiSockets } from "./realtime/sockets.ts";
import { hapiRetention } from "./retention.ts";
import type { HapiConfig } from "./settings.ts";
import { hapiStore } from "./store/index.ts";
import { openVoice } from "./voice/routes.ts";
import { sayWhenHidden } from "./web/hidden.ts";
import { WebAppSite } from "./web/site.ts";
import { todosIn } from "./wire/todos.ts";

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
    ownPort: inEffect.listener?.port,
    webPort: config.hapiWebPort,
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
  const heard = overheard(events, (event) => notifications.heard(event));
  const hub = new Hub({ store, events: heard, rooms, rpc, log });
  const notifications = new Notifications({ store, hub, events, home, inEffect, config, metrics, log });
  const scratchlist = new Scratchlist({
    core: hub.core,
    home: home.folder,
    maxBytes: () => config.hapiMaxNoteFileBytes,
    refused: (bound, facts) => limits.bounds.refused(bound, facts),
  });
  hub.sessions.whenGone((key) => scratchlist.forget(key));
  const context: HapiContext = {
    ...limits,
    config,
    home,
    inEffect,
    hubSettings: new HubSettings(home.folder),
    store,
    hub,
    scratchlist,
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
  reportFigures({ metrics, sockets, events, core: hub.core, store });
  const site = new WebAppSite(config);
  const pages = { every: inEffect.corsOrigins.includes("*"), allows: allowsOrigin };
  const standing = async (absence: Promise<"not-found" | "access-denied" | undefined>): Promise<Access> => {
    const found = await absence;
    return found === undefined ? "granted" : found === "not-found" ? "unknown" : "denied";
  };
  const routes = hapiRoutes(context);
  const voice = openVoice(context);
  const fetch = hapiApp(context, pages, {
    api: (app) => {
      routes.api(app);
      app.route("/", voice.routes);
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
    unknownCli: (request) => site.index(request),
  });
  const { own, shared, web } = frontPageOf(pages, {
    site,
    publicUrl: inEffect.publicUrl,
    mainPort: () => portOf(house.baseUrl()),
    webPort: config.hapiWebPort,
    rootIsTaken: house.rootIsTaken,
  });
  return {
    name: "hapi",
    http: [{ prefixes: ["/api", "/cli"], fetch }],
    sockets: voice.sockets,
    frontPage: shared,
    listeners: [
      ...(inEffect.listener === undefined ? [] : [{ ...inEffect.listener, frontPage: own }]),
      ...(config.hapiWebPort === undefined ? [] : [{ port: config.hapiWebPort, frontPage: web }]),
    ],
    endAnswers: () => events.close(),
    checks: [homeCheck(home.folder)],
    admin: adminRoutes(new Administration(store, liveOf(hub, sockets))),
    retention: hapiRetention({ config, store, gone: (session) => hub.sessions.forget(session) }),
    start: () => {
      notifications.start();
      void sayWhenHidden({ site, config, inEffect, rootIsTaken: house.rootIsTaken, log });
      scratchlist.start();
      store.catchUp({ todosIn, told: (row) => hub.core.tellSession(row) }).catch((error: unknown) => {
        log.warn(
          { err: error },
          "what another hub has stored could not be counted; the next start tries again",
        );
      });
    },
    stop: async () => {
      pace.drain();
      scratchlist.stop();
      hub.stop();
      sockets.stop();
      await notifications.stop();
      await store.settled();
    },
  };
}

const portOf = (address: string): number => {
  const { port, protocol } = new URL(address);
  return Number(port || (protocol === "https:" ? 443 : 80));
};

/** What of the hub follows when the person who runs the server deletes something. */
function liveOf(hub: Hub, sockets: HapiSockets): Live {
  return {
    connections: () => sockets.countsByNamespace(),
    isSessionActive: (id) => hub.core.isActive(id),
    isMachineActive: (id) => hub.core.machines.get(id)?.presence.active === true,
    sessionGone: (key) => hub.sessions.forget(key),
    machineGone: (key) => hub.machines.forget(key),
    end: (namespace) => sockets.end(namespace),
  };
}

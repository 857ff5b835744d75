// The Happy protocol as one value: zero-knowledge sync over REST and Socket.IO. The server stores blobs that it cannot read.
import { wantsPage } from "../http/front-page.ts";
import { MessagePace } from "../limits/message-pace.ts";
import { RefusalPace } from "../limits/refusal-pace.ts";
import type { House, OpenProtocol } from "../protocol/house.ts";
import { EXPO_RECEIPT_TIMING, Expo } from "../push/channels/expo.ts";
import { ReceiptReader } from "../push/receipts.ts";
import { adminRoutes } from "./admin.ts";
import { Administration } from "./admission/administration.ts";
import { Pairings } from "./admission/pairings.ts";
import { RateLimits } from "./admission/rate-limits.ts";
import { Revocations } from "./admission/revocations.ts";
import { TokenUsage } from "./admission/token-usage.ts";
import { attachmentOwners } from "./attachment-owners.ts";
import { userScoped } from "./audience.ts";
import { serverKeys } from "./auth/server-keys.ts";
import { REQUEST_LABELS } from "./client.ts";
import { ClientLogs } from "./client-logs.ts";
import type { HappyContext } from "./context.ts";
import { removeAttachments, uploadRequestWindow } from "./http/attachments.ts";
import { CLIENT_LOG_PATH, clientLogEndpoints } from "./http/client-logs.ts";
import { happyEndpoints } from "./http/index.ts";
import { happyApp } from "./http/kit/app.ts";
import { notFound } from "./http/not-found.ts";
import { healthOf } from "./http/root.ts";
import { WebApp } from "./http/web-app.ts";
import { HappyMetrics } from "./metrics.ts";
import { Presence, TIMING } from "./presence/presence.ts";
import { socketPublisher } from "./publisher.ts";
import { HappyPushLedger } from "./push/ledger.ts";
import { happyOutcome } from "./push/outcome.ts";
import { happyPusher } from "./push/push-events.ts";
import { happyRelay, RPC_TIMING } from "./realtime/rpc.ts";
import { claimHappySockets, HappySockets } from "./realtime/sockets.ts";
import { happyRetention } from "./retention.ts";
import type { HappyConfig } from "./settings.ts";
import { happyStore } from "./store/index.ts";
import { deletedSession } from "./wire/updates.ts";

export async function openHappy({
  config,
  masterSecret,
  database: databaseOf,
  blobs,
  metrics,
  limits,
  sockets: paths,
  cluster,
  baseUrl,
  log,
}: House<HappyConfig>): Promise<OpenProtocol> {
  const database = databaseOf("happy");
  const store = happyStore(database);
  await store.continueIds();
  // Nothing can change meanwhile: nobody is served yet.
  const [newestArchive, refusals] = await Promise.all([store.newestArchive(), store.loadRefusals()]);
  // Nothing that is held keeps the server from stopping.
  const closing = () => refusalPace.release();
  const claimed = claimHappySockets(paths, { config, cluster, closing, log });
  const sockets = new HappySockets(claimed);
  const happyMetrics = new HappyMetrics(metrics);
  happyMetrics.reportRecords(() => store.countRecords());
  happyMetrics.reportSockets(() => sockets.connected());
  const publisher = socketPublisher(claimed.namespace);
  const timing = { ...TIMING, graceMs: config.happyPresenceGraceMs };
  const presence = new Presence({
    store,
    publisher,
    log,
    timing,
    newestArchive,
    metrics: happyMetrics,
  });
  const expo = new Expo(config.happyExpoUrl);
  const ledger = new HappyPushLedger(store);
  const pusher = happyPusher({
    ledger,
    channel: expo,
    isLooking: (account) => sockets.isLooking(account),
    log,
    decided: (outcome) => happyMetrics.pushed(happyOutcome(outcome)),
    atMost: () => config.maxAccountPushes,
    refused: (account) =>
      limits.bounds.refused("account-pushes", { account, limit: config.maxAccountPushes }),
  });
  const receipts = new ReceiptReader({ ledger, channel: expo, timing: EXPO_RECEIPT_TIMING, log });
  const keys = serverKeys(masterSecret);
  const revocations = new Revocations(refusals);
  const refusalPace = new RefusalPace();
  const tokenUsage = new TokenUsage({
    store,
    limit: () => config.maxAccountTokens,
    bounds: limits.bounds,
    log,
  });
  const pairings = new Pairings({ store, bounds: limits.bounds, addresses: limits.addresses, log });
  const messagePace = new MessagePace({
    perSecond: () => config.maxAccountMessagesPerSecond,
    bounds: limits.bounds,
    memory: limits.memory,
  });
  const webApp = WebApp.open(config, log);
  const clientLogs = config.happyClientLogs
    ? clientLogEndpoints(new ClientLogs(config.happyClientLogsDir, log))
    : [];
  const context: HappyContext = {
    ...limits,
    config,
    store,
    sizes: database.sizes,
    blobs,
    keys,
    tokens: keys.bearer,
    revocations,
    refusalPace,
    tokenUsage,
    pairings,
    rateLimits: new RateLimits(),
    messagePace,
    publisher,
    presence,
    rpc: happyRelay(RPC_TIMING, limits.memory),
    pusher,
    uploadRequests: uploadRequestWindow(),
    webApp,
    metrics: happyMetrics,
    log,
  };
  sockets.accept(context);
  const administration = new Administration({
    store,
    blobs,
    revocations,
    tokenUsage,
    sockets,
    log,
  });
  const fetch = happyApp(
    context,
    [...happyEndpoints, ...clientLogs],
    webApp ? (request, facts) => webApp.answer(request, facts) : notFound,
  );
  return {
    name: "happy",
    // Invites stand in front of everything that a client asks for.
    http: [{ prefixes: ["/v1", "/v2", "/v3", "/files", "/i"], paths: [CLIENT_LOG_PATH], fetch }],
    frontPage: {
      health: () => healthOf(context),
      ...(webApp && {
        root: (request, facts) => (wantsPage(request) ? fetch(request, facts) : undefined),
        unclaimed: fetch,
      }),
      // Its banner, and its own words about unknown paths.
      otherwise: fetch,
    },
    sockets: [],
    requestLabels: REQUEST_LABELS,
    admin: adminRoutes({ administration, baseUrl, registration: () => config.happyRegistration }),
    retention: happyRetention({
      config,
      store,
      announce: ({ id, account }, seq) => {
        presence.suppress(account, id);
        publisher.update(userScoped(account), seq, deletedSession(id));
        void removeAttachments(context, id);
      },
    }),
    blobOwners: attachmentOwners({ config, store, counts: true }),
    start: () => {
      presence.start();
      tokenUsage.start();
      pairings.start();
      store.settleInvites().catch((error: unknown) => {
        log.warn({ err: error }, "invites could not be looked through");
      });
      receipts.start();
    },
    stop: async () => {
      messagePace.drain();
      await Promise.all([pusher.stop(), receipts.stop()]);
      await Promise.all([presence.stop(), pairings.stop()]);
      await tokenUsage.stop();
    },
  };
}

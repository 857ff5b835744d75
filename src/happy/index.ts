// The Happy protocol as one value: zero-knowledge sync over REST and Socket.IO. The server stores blobs that it cannot read.
import type { Logger } from "pino";
import type { Cluster } from "../bus/cluster.ts";
import type { Config } from "../config/settings.ts";
import type { FrontPageShare } from "../http/front-page.ts";
import type { Limits } from "../limits/limits.ts";
import { MessagePace } from "../limits/message-pace.ts";
import { RefusalPace } from "../limits/refusal-pace.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Served } from "../server/served.ts";
import type { SocketIoPaths } from "../server/socket-io.ts";
import type { BlobStore } from "../storage/blobs.ts";
import type { Database } from "../storage/database.ts";
import { Administration } from "./admission/administration.ts";
import { Pairings } from "./admission/pairings.ts";
import { RateLimits } from "./admission/rate-limits.ts";
import { Revocations } from "./admission/revocations.ts";
import { TokenUsage } from "./admission/token-usage.ts";
import { userScoped } from "./audience.ts";
import { serverKeys } from "./auth/server-keys.ts";
import { ClientLogs } from "./client-logs.ts";
import type { HappyContext } from "./context.ts";
import { removeAttachments, uploadRequestWindow } from "./http/attachments.ts";
import { CLIENT_LOG_PATH, clientLogEndpoints } from "./http/client-logs.ts";
import { happyEndpoints } from "./http/index.ts";
import { happyApp } from "./http/kit/app.ts";
import { notFound } from "./http/not-found.ts";
import { healthOf, wantsPage } from "./http/root.ts";
import { WebApp } from "./http/web-app.ts";
import { HappyMetrics } from "./metrics.ts";
import { Presence, TIMING } from "./presence/presence.ts";
import { socketPublisher } from "./publisher.ts";
import { Expo } from "./push/expo.ts";
import { Pusher } from "./push/pusher.ts";
import { ReceiptReader } from "./push/receipts.ts";
import { RPC_TIMING, RpcRelay } from "./realtime/rpc-relay.ts";
import { claimHappySockets, HappySockets } from "./realtime/sockets.ts";
import { applyRetention, type Removed } from "./retention.ts";
import { settleInvites } from "./store/invites.ts";
import { continueIds } from "./store/newest-id.ts";
import type { OldCutoffs } from "./store/retention.ts";
import { loadRefusals } from "./store/revocations.ts";
import { deletedSession } from "./wire/updates.ts";

export { hasAccounts } from "./store/accounts.ts";
export { migrations } from "./store/migrations.ts";

export interface HappyProtocol extends Served {
  /** What it says where no path is its own. */
  readonly frontPage: FrontPageShare;
  /** Begins timers and background work. The door is open by then. */
  start(): void;
  /** Ends background work and stores what is pending. No request arrives any more. */
  stop(): Promise<void>;
  /** For commands of the person who runs the server. */
  readonly administration: Administration;
  /** Deletes what is older than the operator keeps, and tells the clients of whom it was. `goOn` false ends it early. */
  forgetOld(cutoffs: OldCutoffs, goOn: () => boolean): Promise<Removed>;
}

export interface HappyParts {
  readonly config: Config;
  readonly masterSecret: string;
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly metrics: Metrics;
  readonly limits: Limits;
  /** Where it claims its namespaces. */
  readonly sockets: SocketIoPaths;
  /** Undefined: this node is alone. */
  readonly cluster?: Cluster | undefined;
  readonly log: Logger;
}

export function happyProtocol({
  config,
  masterSecret,
  database,
  blobs,
  metrics,
  limits,
  sockets: paths,
  cluster,
  log,
}: HappyParts): HappyProtocol {
  continueIds(database);
  // Nothing that is held keeps the server from stopping.
  const closing = () => refusalPace.release();
  const claimed = claimHappySockets(paths, { config, cluster, closing, log });
  const sockets = new HappySockets(claimed);
  const happyMetrics = new HappyMetrics(metrics);
  happyMetrics.reportRecords(database);
  happyMetrics.reportSockets(() => sockets.connected());
  const publisher = socketPublisher(claimed.namespace);
  const timing = { ...TIMING, graceMs: config.presenceGraceMs };
  const presence = new Presence(database, publisher, log, timing, happyMetrics);
  const expo = new Expo(config.expoUrl);
  const pusher = new Pusher({
    database,
    expo,
    isLooking: (account) => sockets.isLooking(account),
    log,
    decided: (outcome) => happyMetrics.pushed(outcome),
    atMost: () => config.maxAccountPushes,
    refused: (account) =>
      limits.bounds.refused("account-pushes", { account, limit: config.maxAccountPushes }),
  });
  const receipts = new ReceiptReader(database, expo, log);
  const keys = serverKeys(masterSecret);
  const revocations = new Revocations(loadRefusals(database));
  const refusalPace = new RefusalPace();
  const tokenUsage = new TokenUsage({
    database,
    limit: () => config.maxAccountTokens,
    bounds: limits.bounds,
    log,
  });
  const pairings = new Pairings({ database, bounds: limits.bounds, addresses: limits.addresses, log });
  const messagePace = new MessagePace({
    perSecond: () => config.maxAccountMessagesPerSecond,
    bounds: limits.bounds,
    memory: limits.memory,
  });
  const webApp = WebApp.open(config, log);
  const clientLogs = config.clientLogs ? clientLogEndpoints(new ClientLogs(config.clientLogsDir, log)) : [];
  const context: HappyContext = {
    ...limits,
    config,
    database,
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
    rpc: new RpcRelay(RPC_TIMING, limits.memory),
    pusher,
    uploadRequests: uploadRequestWindow(),
    webApp,
    metrics: happyMetrics,
    log,
  };
  sockets.accept(context);
  const administration = new Administration({
    database,
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
    administration,
    forgetOld: (cutoffs, goOn) =>
      applyRetention({
        database,
        cutoffs,
        goOn,
        isShared: true,
        announce: ({ id, account }, seq) => {
          presence.suppress(account, id);
          publisher.update(userScoped(account), seq, deletedSession(id));
          void removeAttachments(context, id);
        },
      }),
    start: () => {
      presence.start();
      tokenUsage.start();
      pairings.start();
      settleInvites(database).catch((error: unknown) => {
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

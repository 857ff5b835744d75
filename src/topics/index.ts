// Durable topics as one value: a REST API under /api/v1, and at /socket.io/ a feed of every change that survives disconnects.
// This module is loaded only when the protocol is on.
import type { Logger } from "pino";
import type { Cluster } from "../bus/cluster.ts";
import type { Limits } from "../limits/limits.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { House, OpenProtocol } from "../protocol/house.ts";
import type { SocketIoPaths } from "../server/socket-io.ts";
import type { Database } from "../storage/database.ts";
import { configuredTopics } from "./configured.ts";
import type { TopicsContext } from "./context.ts";
import { guarded } from "./declared.ts";
import { topicsApp } from "./http/app.ts";
import { failedLogins } from "./http/session.ts";
import { offeredMethods } from "./offered.ts";
import { hashPassword } from "./passwords.ts";
import { SOCKET_PATH, type TopicSockets, topicSockets } from "./realtime/sockets.ts";
import { topicsRetention } from "./retention.ts";
import type { TopicsConfig } from "./settings.ts";
import { type TopicsStore, topicsStore } from "./store/index.ts";
import { derivedSecret, LoginTokens } from "./tokens.ts";
import type { Topic } from "./topic.ts";

export interface TopicsParts {
  readonly config: TopicsConfig;
  readonly masterSecret: string;
  readonly database: Database;
  readonly metrics: Metrics;
  readonly limits: Limits;
  /** Where it claims its namespace. */
  readonly sockets: SocketIoPaths;
  /** Undefined when this node is alone. */
  readonly cluster?: Cluster | undefined;
  readonly log: Logger;
  /** Further topics that are not documents; their changes are told with `context.store.publish`. */
  readonly topics?: readonly Topic[];
}

export interface Topics {
  readonly protocol: OpenProtocol;
  readonly context: TopicsContext;
  /** Undefined while realtime is off. */
  readonly sockets: TopicSockets | undefined;
}

/** As the house opens it. */
export async function openTopics(house: House<TopicsConfig>): Promise<OpenProtocol> {
  const { protocol } = await topicsProtocol({ ...house, database: house.database("topics") });
  return protocol;
}

/** @throws Error for topics that are not usable, with a sentence for the person. */
export async function topicsProtocol(parts: TopicsParts): Promise<Topics> {
  const { config, log } = parts;
  const { documents, topics } = configuredTopics(config, parts.topics);
  let sockets: TopicSockets | undefined;
  const store = topicsStore(parts.database, {
    announce: (topic, events) => sockets?.announce(topic, events),
    logEvents: config.topicsRealtimeEnabled || config.topicsLogEvents,
  });
  await store.prepare(topics.values(), log);
  await firstUser(config, store, log);
  const context: TopicsContext = {
    ...parts.limits,
    config,
    store,
    tokens: new LoginTokens({
      secret: config.topicsJwtSecret ?? derivedSecret(parts.masterSecret),
      issuer: config.topicsJwtIssuer,
      lifetimeMinutes: config.topicsJwtExpireMinutes,
    }),
    topics,
    documents: await guarded(documents),
    failedLogins: config.rateLimits ? failedLogins() : undefined,
    log,
  };
  if (config.topicsRealtimeEnabled) sockets = await topicSockets(context, parts.sockets, parts.cluster);
  parts.metrics
    .total("realtime_publish_failures_total", "Events of topics that could not be announced at once")
    .report(() => sockets?.failures() ?? 0);
  const protocol: OpenProtocol = {
    name: "topics",
    // The socket path too, so that nobody else answers there while realtime is off.
    http: [{ prefixes: ["/api/v1", SOCKET_PATH.slice(0, -1)], fetch: topicsApp(context) }],
    sockets: [],
    retention: topicsRetention(context),
    methods: offeredMethods(context),
    start: () => {},
    stop: async () => sockets?.stop(),
  };
  return { protocol, context, sockets };
}

/** The first user comes from the configuration, once; without one the log says how to make one (topics contract, 3.2). */
async function firstUser(config: TopicsConfig, store: TopicsStore, log: Logger): Promise<void> {
  if (await store.hasUsers()) return;
  const { topicsAdminUsername: username, topicsAdminPassword: password } = config;
  if (username === undefined || password === undefined) {
    log.warn("nobody can log in to the topics API yet. Add a user: roost topics user add NAME");
    return;
  }
  await store.addUser({ username, passwordHash: await hashPassword(password), role: "admin" });
  log.info({ username }, "the first user of the topics API was made");
}

// The Socket.IO side of topics: the default path and namespace, one feed a topic (topics contract, sections 6 and 7).

import type { Namespace, Socket } from "socket.io";
import { z } from "zod";
import type { Cluster } from "../../bus/cluster.ts";
import { AccountSockets } from "../../server/account-sockets.ts";
import { ConnectRefused } from "../../server/claimed-namespace.ts";
import type { ConnectRefusal } from "../../server/socket-claims.ts";
import type { SocketIoPaths } from "../../server/socket-io.ts";
import type { TopicsContext } from "../context.ts";
import { problemOf } from "../problem.ts";
import type { TopicEvent } from "../store/events.ts";
import { accountOf, type Claims } from "../tokens.ts";
import type { Topic } from "../topic.ts";
import { type Subscription, welcome } from "./connection.ts";
import { Feed } from "./feed.ts";
import { connecting, hasQueryToken, requestGuard } from "./handshake.ts";

/** A request that is refused before it is read, because it is nested too deeply. */
const UNREADABLE = { ok: false, code: 2002, message: "bad request format" };

export const SOCKET_PATH = "/socket.io/";
/** A refused client has so long to fetch the reason. */
const REFUSED_CLOSE_MS = 500;

export interface TopicSockets {
  readonly namespace: Namespace;
  announce(topic: Topic, events: readonly TopicEvent[]): void;
  /** Events that could not be announced at the first attempt. */
  failures(): number;
  stop(): void;
}

/** Between nodes: an event with the name of its topic. */
const CROSSING = "topic-event";
const crossing = z.object({
  topic: z.string(),
  type: z.enum(["add", "update", "delete"]),
  data: z.record(z.string(), z.unknown()),
});

/** With a cluster the sockets of every node hear the events of every node; each node stores and replays its own. */
export async function topicSockets(
  context: TopicsContext,
  paths: SocketIoPaths,
  cluster: Cluster | undefined,
): Promise<TopicSockets> {
  const { config, store, log } = context;
  // Before anybody can change anything: what is announced comes after it.
  const begins = await Promise.all(
    [...context.topics.values()].map(async (topic) => ({ topic, from: await store.lastEventId(topic) })),
  );
  const refusedRequest = requestGuard(context);
  const origins = config.topicsAllowedOrigins;
  const claimed = paths.claim(SOCKET_PATH, {
    protocol: "topics",
    namespace: "/",
    limits: {
      maxMessageBytes: 1_000_000,
      maxQueuedBytes: config.maxQueuedBytes,
      maxPollingBytes: 1_000_000,
    },
    maxStrangerBodyBytes: () => config.maxAnonymousBodyBytes,
    engine: {
      pingIntervalMs: 25_000,
      pingTimeoutMs: 20_000,
      connectTimeoutMs: config.topicsConnectTimeoutMs,
    },
    cors: { origins: origins.includes("*") ? "*" : origins, methods: ["GET", "POST", "OPTIONS"] },
    foreignOrigin: refusal(1004, "no permission for pages of this origin"),
    refuses: async (request) => {
      const answer = await refusedRequest(request);
      return (
        answer && {
          answer,
          refusal: refusal(1002, "the token of the HTTP request was refused"),
          isOurs: hasQueryToken(request),
        }
      );
    },
    failureOf: (event) => (event.startsWith("request:") ? UNREADABLE : undefined),
    cluster,
    log,
  });
  const { namespace } = claimed;
  const subscriptions = begins.map(({ topic, from }): Subscription => {
    const feed = new Feed({
      topic,
      broadcast: (event, body, except) =>
        namespace.local
          .to(topic.room)
          .except([...except])
          .emit(event, body),
      read: (last) => store.readAnswer(topic, last),
      after: (id, limit) => store.eventsAfter(topic, id, limit),
      from,
      retryMs: config.topicsPollMs,
      log,
    });
    return { topic, feed };
  });
  const feeds = new Map(subscriptions.map(({ topic, feed }) => [topic.name, feed]));
  const accounts = new AccountSockets(() => config.maxAccountSockets);
  claimed.admit(async (socket) => {
    const claims = await connecting(context, socket.handshake).catch((error: unknown) => {
      const { code, message } = problemOf(error, log, { event: "connect" });
      setTimeout(() => claimed.end(socket), REFUSED_CLOSE_MS).unref();
      throw new ConnectRefused(refusal(code, message));
    });
    if (!accounts.take(accountOf(claims), socket.conn)) {
      const limit = config.maxAccountSockets;
      context.bounds.refused("account-sockets", { account: accountOf(claims), limit });
      throw new ConnectRefused(refusal(2003, `this user has ${limit} connections open already`));
    }
    const facts: Accepted = { claims, release: cork(socket) };
    socket.data = facts;
  });
  claimed.welcome((socket) => {
    const { claims, release } = socket.data as Accepted;
    claimed.callerOf(socket)?.authenticated(accountOf(claims));
    socket.once("disconnect", () => accounts.leave(accountOf(claims), socket.conn));
    welcome(context, subscriptions, socket, claims);
    release();
  });
  if (cluster !== undefined) {
    namespace.on(CROSSING, (received: unknown) => {
      const event = crossing.safeParse(received).data;
      if (event !== undefined) feeds.get(event.topic)?.relay(event);
    });
  }
  return {
    namespace,
    announce: (topic, events) => {
      feeds.get(topic.name)?.announce(events);
      if (cluster === undefined) return;
      for (const { type, data } of events)
        namespace.serverSideEmit(CROSSING, { topic: topic.name, type, data });
    },
    failures: () => subscriptions.reduce((sum, { feed }) => sum + feed.failures, 0),
    stop: () => {
      for (const { feed } of subscriptions) feed.stop();
    },
  };
}

/** A CONNECT_ERROR (topics contract, section 6). */
function refusal(code: number, message: string): ConnectRefusal {
  return { message: "unauthorized", data: { code, message } };
}

/** What an accepted socket keeps until it is welcome. */
interface Accepted {
  readonly claims: Claims;
  readonly release: () => void;
}

/** A poll that waits is answered with everything up to the release: CONNECT and "connected" come in one (contract, vector W05). */
function cork({ conn }: Socket): () => void {
  const { transport } = conn;
  if (transport.name !== "polling" || !transport.writable) return () => {};
  transport.writable = false;
  return () => {
    transport.writable = true;
    // The engine flushes by itself only when something is sent or a poll arrives.
    (conn as unknown as { flush(): void }).flush();
  };
}

// The Socket.IO side of the Happy protocol: one engine at /v1/updates/, the namespace `/`, and invite paths that count as `/`.
import type { Logger } from "pino";
import type { Socket } from "socket.io";
import type { Cluster } from "../../bus/cluster.ts";
import { AccountSockets } from "../../server/account-sockets.ts";
import { type ClaimedNamespace, ConnectRefused } from "../../server/claimed-namespace.ts";
import type { SocketCors } from "../../server/socket-cors.ts";
import type { SocketIoPaths } from "../../server/socket-io.ts";
import { roomsOf, userScoped } from "../audience.ts";
import type { TokenClaims } from "../auth/tokens.ts";
import type { HappyContext } from "../context.ts";
import type { HappyConfig } from "../settings.ts";
import { machineActivity } from "../wire/updates.ts";
import { authenticate } from "./authenticate.ts";
import { attach, type ConnectionFacts } from "./connection.ts";
import { openDoctorNamespace } from "./doctor-namespace.ts";
import { socketEvents } from "./events/index.ts";

/** Clients whose server URL has the path of an invite put that path into the namespace (realtime contract, decisions). */
const INVITE_PATH = /^\/i\/[A-Za-z0-9_-]{1,100}\/?$/;

const PATH = "/v1/updates/";

/** Every page, with what its browser keeps for this server. */
const CORS: SocketCors = {
  origins: "*",
  methods: ["GET", "POST", "OPTIONS"],
  credentials: true,
  allowedHeaders: ["*"],
};

/** Larger values of all kinds are refused above the transport (realtime contract, decisions: "Inbound size"). */
const MAX_ACK_BYTES = 8 * 1024 * 1024 + 1024;

const failures = new Map(socketEvents.map(({ event, failure }) => [event, failure]));

export interface HappySocketsParts {
  /** Asked each time where it may change. */
  readonly config: Pick<HappyConfig, "maxQueuedBytes" | "maxAnonymousBodyBytes">;
  readonly cluster: Cluster | undefined;
  /** The server is about to stop; the connections still stand. */
  readonly closing: () => void;
  readonly log: Logger;
}

/** Figures of realtime contract 1.1, and "Inbound size" of its decisions. */
export function claimHappySockets(
  paths: SocketIoPaths,
  { config, cluster, closing, log }: HappySocketsParts,
): ClaimedNamespace {
  const claimed = paths.claim(PATH, {
    protocol: "happy",
    namespace: "/",
    otherNames: (namespace) => INVITE_PATH.test(namespace),
    limits: {
      maxMessageBytes: 16 * 1024 * 1024,
      maxQueuedBytes: config.maxQueuedBytes,
      maxPollingBytes: 1_000_000,
      maxAckBytes: MAX_ACK_BYTES,
    },
    maxStrangerBodyBytes: () => config.maxAnonymousBodyBytes,
    engine: { pingIntervalMs: 15_000, pingTimeoutMs: 45_000, connectTimeoutMs: 20_000 },
    cors: CORS,
    failureOf: (event) => failures.get(event),
    cluster,
    closing,
    log,
  });
  const doctor = { protocol: "happy", namespace: "/doctor", keepsPlace: true };
  openDoctorNamespace(paths.claimOpen(PATH, doctor));
  return claimed;
}

export class HappySockets {
  #accounts = new AccountSockets(() => 0);

  constructor(private readonly claimed: ClaimedNamespace) {}

  /** What is connected now, for the figures. */
  *connected(): Iterable<{ type: string; client: string }> {
    for (const { scope, client } of this.facts()) yield { type: `${scope.kind}-scoped`, client };
  }

  /** Begins to accept: middleware and handlers stand before the first packet is read. */
  accept(context: HappyContext): void {
    this.#accounts = new AccountSockets(() => context.config.maxAccountSockets);
    // A passing trouble does not look like a bad token: apps would stop trying (realtime contract 2.4).
    this.claimed.admit(async (socket) => {
      const facts = await authenticate(socket.handshake, context);
      socket.data = facts;
      if (this.#accounts.take(facts.account, socket.conn)) return;
      const limit = context.config.maxAccountSockets;
      context.bounds.refused("account-sockets", { account: facts.account, limit });
      const message = `This account has ${limit} connections open already. Close some of them first.`;
      throw new ConnectRefused({ message });
    });
    this.claimed.welcome((socket) => {
      this.#welcome(context, socket);
      const { account } = (socket.data as ConnectionFacts).claims;
      if (socket.connected) this.claimed.callerOf(socket)?.authenticated(account);
    });
  }

  /** Whether somebody has an app of this account open in front; only a declared type counts (realtime contract 11.2). */
  isLooking(account: string): boolean {
    for (const { data } of this.#accounts.of(account)) {
      const { declaredType, focus } = data as ConnectionFacts;
      if (declaredType === "user-scoped" && focus === "active") return true;
    }
    return false;
  }

  /** What every connected client told. */
  *facts(): Iterable<ConnectionFacts> {
    for (const { data } of this.claimed.namespace.sockets.values()) yield data as ConnectionFacts;
  }

  /** Closes the connections of whom `isShutOut` says so. They come back, and hear that they are refused. */
  shutOut(isShutOut: (claims: TokenClaims) => boolean): void {
    for (const socket of this.claimed.namespace.sockets.values())
      if (isShutOut((socket.data as ConnectionFacts).claims)) socket.conn.close();
  }

  #welcome(context: HappyContext, socket: Socket): void {
    const facts = socket.data as ConnectionFacts;
    // Shut out between the check and now.
    if (context.revocations.refuses(facts.claims)) {
      socket.conn.close();
      return;
    }
    context.tokenUsage.note(facts.claims, facts.client);
    const { account, scope } = facts;
    this.#accounts.sit(account, socket);
    socket.join(roomsOf(account, scope));
    const endTooLarge = () => this.claimed.endTooLarge(socket);
    attach({ account, facts, context, socket, endTooLarge }, socketEvents);
    if (scope.kind === "machine") {
      context.presence.socketJoined("machine", account, scope.machineId, socket.id);
      context.publisher.ephemeral(userScoped(account), machineActivity(scope.machineId, true, Date.now()));
    }
    if (scope.kind === "session")
      context.presence.socketJoined("session", account, scope.sessionId, socket.id);
    socket.on("disconnect", () => {
      this.#accounts.leave(account, socket.conn);
      context.tokenUsage.note(facts.claims, facts.client);
      context.rpc.disconnect(socket.id);
      context.presence.socketLeft(socket.id);
    });
  }
}

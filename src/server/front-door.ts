// The door: one port or several, behind which every listener has the same limits. It knows paths and sockets only from what it is
// handed. Stopping refuses new work, finishes what is in flight, closes sockets so that clients come back, all within a bound.
import type { Logger } from "pino";
import type { Limits } from "../limits/limits.ts";
import { MemoryPieces } from "../limits/memory-pieces.ts";
import { codeOf } from "../storage/errors.ts";
import type { Certificate } from "./certificate.ts";
import { type AddressRange, isTrusted } from "./client-address.ts";
import { type ConnectionFigures, ConnectionWatch } from "./connection-watch.ts";
import { kernelConnections } from "./connections-linux.ts";
import { KnownPeers, keyOf } from "./known-peers.ts";
import {
  Listener,
  type ListenerOptions,
  type ListenerParts,
  type ListenerPlan,
  routesOf,
} from "./listener.ts";
import { pausedReading } from "./paused-reading.ts";
import type { RequestFacts } from "./request-facts.ts";
import type { SharedEndpoint, SocketEndpoint } from "./socket-endpoint.ts";
import type { TlsDoorFigures } from "./tls-door.ts";
import { UnfinishedFrames } from "./unfinished-frames.ts";
import { transportBytes, WebSockets } from "./web-sockets.ts";

export interface FrontDoorOptions {
  readonly host: string;
  /** The first is the main one. */
  readonly listeners: readonly [ListenerOptions, ...ListenerOptions[]];
  /** Socket.IO paths that protocols share: at every listener that serves one of them. */
  readonly shared?: readonly SharedEndpoint[];
  readonly trustedProxies: readonly AddressRange[];
  /** With it every listener without terms of its own speaks TLS only. */
  readonly certificate?: Certificate | undefined;
  readonly limits: Limits;
  /** Connections are counted, and those of strangers bounded; without it they are not. */
  readonly connections?: ConnectionBounds;
  readonly log: Logger;
  /** Hears of every answered request. Must not throw. */
  readonly finished?: (request: Request, facts: RequestFacts, status: number, ms: number) => void;
}

export interface ConnectionBounds {
  /** Of an address from which no account has come; 0 for no bound. Asked each time. */
  readonly maxPerAddress: () => number;
  /** Further ports of this process, whose connections count too. */
  readonly otherPorts: () => readonly number[];
}

export interface FrontDoor {
  /** Of the main listener. */
  readonly port: number;
  /** Of every listener, in their order. */
  readonly ports: readonly number[];
  readonly host: string;
  /** What waits for slow sockets, now. */
  queuedBytes(): number;
  /** Connections now; undefined where nobody counts them. */
  connections(): ConnectionFigures | undefined;
  /** New connections are shown this certificate, at every port; those that are open stay open. */
  renew(certificate: Certificate): Promise<void>;
  /** Every listener with terms of TLS of its own reads them again. */
  renewTerms(): void;
  /** What the TLS doors of its listeners have open; undefined without one. */
  tlsFigures(): TlsDoorFigures | undefined;
  /** Resolves when nothing is open any more, at the latest after `withinMs`. */
  close(withinMs: number): Promise<void>;
}

/**
 * @throws the error of the operating system, such as EADDRINUSE: then no port is open; Error with a sentence where two want the same
 * path.
 */
export function openFrontDoor(options: FrontDoorOptions): FrontDoor {
  const { host, shared = [], limits, trustedProxies, certificate, finished = () => {}, log } = options;
  const planned = options.listeners.map(({ port, host: own, served, tls }) => ({
    port,
    host: own,
    routes: routesOf(served, shared),
    certificate,
    tls,
  }));
  const endpoints = [...new Set(planned.flatMap(({ routes }) => [...routes.endpoints.values()]))];
  const served = new Set(options.listeners.flatMap((listener) => listener.served));
  let isClosing = false;
  const knownPeers = new KnownPeers();
  const frames = framesOf(endpoints, limits, log);
  const sockets = new WebSockets({ endpoints, frames, queues: limits.queues, log });
  const { turn } = sockets;
  // What an answer reveals was announced before it: the frames that say so leave first.
  limits.answers.beforePiece = () => turn.flush();
  const leaveMemory = limits.memory.join({ name: "frames of a turn", held: () => turn.heldBytes });
  const waiting = new MemoryPieces("TLS door", limits.memory);
  const listeners = listenAll(planned, {
    host,
    sockets,
    limits,
    waiting,
    knownPeers,
    trustedProxies,
    isClosing: () => isClosing,
    finished,
    log,
  });
  const ports = listeners.map(({ port }) => port);
  const { connections: bounds } = options;
  const watch =
    bounds &&
    new ConnectionWatch({
      ...limits,
      kernel: kernelConnections(),
      log,
      maxPerAddress: bounds.maxPerAddress,
      ports: () => [...ports, ...bounds.otherPorts()],
      isProxy: (address) => isTrusted(address, trustedProxies),
      known: () => {
        knownPeers.sweep();
        // Sockets that are not let in yet have a bound of their own.
        const open = sockets.remotes();
        return (address, from) => knownPeers.has(address, from) || open.has(keyOf(address, from));
      },
    });
  watch?.start();
  return {
    port: ports[0] ?? 0,
    ports,
    host,
    connections: () => watch?.figures(),
    queuedBytes: () => sockets.queuedBytes(),
    renew: async (renewed) => {
      await Promise.all(listeners.map((listener) => listener.renew(renewed)));
    },
    renewTerms: () => {
      for (const listener of listeners) listener.tls?.renew();
    },
    tlsFigures: () => sumOf(listeners.flatMap((listener) => listener.tls?.figures() ?? [])),
    close: async (withinMs) => {
      isClosing = true;
      watch?.stop();
      limits.handshakes.close();
      const finishedAll = Promise.all(listeners.map((listener) => listener.stop(false)));
      for (const one of served) one.endAnswers?.();
      await Promise.allSettled(endpoints.map((endpoint) => endpoint.shutdown()));
      let bound: Timer | undefined;
      await Promise.race([
        finishedAll,
        new Promise((resolve) => {
          bound = setTimeout(resolve, withinMs);
        }),
      ]);
      clearTimeout(bound);
      await Promise.all(listeners.map((listener) => listener.stop(true)));
      frames.stop();
      leaveMemory();
    },
  };
}

function sumOf(doors: readonly TlsDoorFigures[]): TlsDoorFigures | undefined {
  const [first, ...others] = doors;
  return others.reduce<TlsDoorFigures | undefined>(
    (sum, door) =>
      sum && {
        connections: sum.connections + door.connections,
        handshakes: sum.handshakes + door.handshakes,
        blocked: sum.blocked + door.blocked,
      },
    first,
  );
}

/** Of all memory that clients may hold: for large frames. */
const FRAMES_SHARE = 0.4;

function framesOf(endpoints: readonly SocketEndpoint[], limits: Limits, log: Logger): UnfinishedFrames {
  const bytes = transportBytes(endpoints);
  const frames = new UnfinishedFrames({
    kernel: kernelConnections(),
    reading: pausedReading(),
    roomBytes: () => limits.memory.limit * FRAMES_SHARE,
    arriving: limits.arriving,
    bounds: limits.bounds,
    log,
    transportBytes: () => bytes,
  });
  limits.handshakes.webSocketLimit = () => frames.webSocketLimit();
  return frames;
}

/** All or none. */
function listenAll(planned: readonly ListenerPlan[], parts: ListenerParts): Listener[] {
  const listeners: Listener[] = [];
  try {
    for (const plan of planned) listeners.push(new Listener(plan, parts));
    return listeners;
  } catch (error) {
    for (const listener of listeners) void listener.stop(true);
    // Of the main port whoever opens the door knows what to say.
    throw listeners.length === 0 ? error : (aboutPort(planned[listeners.length]?.port, error) ?? error);
  }
}

/** The system's error about a port beside the main one, with a sentence that names it. */
export class OtherPortError extends Error {
  constructor(
    sentence: string,
    readonly code: string,
  ) {
    super(sentence);
  }
}

function aboutPort(port: number | undefined, error: unknown): OtherPortError | undefined {
  const code = codeOf(error);
  if (code === "EADDRINUSE")
    return new OtherPortError(
      `Port ${port} is already in use. Stop the other program, or choose another port.`,
      code,
    );
  if (code !== "EACCES") return undefined;
  return new OtherPortError(`Port ${port} may not be opened by this user. Choose one above 1023.`, code);
}

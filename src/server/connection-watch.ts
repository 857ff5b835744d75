// Keeps connections of strangers within bounds. Bun shows a connection only when a request's headers are whole, and keeps silent ones
// for seconds: who opens thousands and says nothing takes every file descriptor, and then nobody's upload finds one. So a look at the
// kernel's table now and then counts connections by address, and ends those that have been silent longest: of an address that holds
// more than its cap, and of all strangers when few descriptors are left. Connections that carried an account's request are not touched.
// Linux only (see connections-linux.ts). Elsewhere connections are not counted: what bounds strangers there is what their requests show.
import type { Logger } from "pino";
import type { Addresses } from "../limits/addresses.ts";
import type { Bounds } from "../limits/bounds.ts";
import { networkOf } from "../limits/network.ts";
import type { KernelConnection, KernelConnections } from "./connections-linux.ts";
import { descriptorLimit, openDescriptors } from "./descriptors.ts";

/** How often the number of descriptors is asked, and how often while connections are being ended. */
const LOOK_MS = 250;
const BUSY_MS = 10;
/** A look at the table may take this part of the time at most; more while descriptors are short. */
const LOAD = 0.1;
const SHORT_LOAD = 0.3;
/** Below the cap nothing can be wrong; above it the table is read when so many more came, or after so long. */
const GROWTH = 64;
const ANEW_MS = 10_000;
/** Descriptors that strangers leave to accounts: a tenth of all, at most so many. */
const RESERVE = 0.1;
const MAX_RESERVE = 256;
/** A trusted proxy brings many clients. */
const PROXY = 16;

export interface ConnectionWatchParts {
  /** Opened early: when no descriptor is left it is too late. Undefined where the system cannot be asked. */
  readonly kernel: KernelConnections | undefined;
  readonly addresses: Addresses;
  readonly bounds: Bounds;
  readonly log: Logger;
  /** Of an unknown address; 0 for no cap. Asked each time. */
  readonly maxPerAddress: () => number;
  /** Ports that this process listens on. */
  readonly ports: () => readonly number[];
  readonly isProxy: (address: string) => boolean;
  /** Whether an account's request came over the connection to this peer. Asked once for each look. */
  readonly known: () => (address: string, port: number) => boolean;
}

export interface ConnectionFigures {
  readonly accounts: number;
  readonly strangers: number;
}

interface Stranger extends KernelConnection {
  readonly network: string;
  readonly silentMs: number;
}

export class ConnectionWatch {
  #timer: Timer | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #lookedOpen = 0;

  constructor(private readonly parts: ConnectionWatchParts) {}

  start(): void {
    // Read while there are descriptors: who floods a server from its first moment must not keep it from knowing.
    descriptorLimit();
    if (this.parts.kernel === undefined || openDescriptors() === undefined) {
      this.parts.log.info("connections of strangers are not counted on this system");
      return;
    }
    this.#arm(LOOK_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** What is connected now; undefined where nobody tells. */
  figures(): ConnectionFigures | undefined {
    if (this.parts.kernel === undefined) return undefined;
    const { all, strangers } = this.#look(this.parts.kernel);
    return { accounts: all - strangers.length, strangers: strangers.length };
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => {
      let nextMs = ANEW_MS;
      try {
        nextMs = this.#turn();
      } catch (error) {
        this.parts.log.error({ err: error }, "connections could not be counted");
      }
      this.#arm(nextMs);
    }, ms);
    this.#timer.unref();
  }

  /** @returns when to come again. */
  #turn(): number {
    const { kernel } = this.parts;
    const open = openDescriptors();
    if (kernel === undefined || open === undefined) return ANEW_MS;
    const limit = descriptorLimit() ?? Number.POSITIVE_INFINITY;
    const reserve = Math.min(MAX_RESERVE, Math.ceil(limit * RESERVE));
    const short = open - (limit - reserve);
    const cap = this.parts.maxPerAddress();
    const isNew =
      Math.abs(open - this.#lookedOpen) >= GROWTH || performance.now() - this.#lookedAt >= ANEW_MS;
    if (short <= 0 && (cap === 0 || open <= cap || !isNew)) return LOOK_MS;
    const startedAt = performance.now();
    // Some more than is lacking: they come again at once.
    const ended = this.#end(kernel, cap, short > 0 ? short + 2 * reserve : 0);
    this.#lookedAt = performance.now();
    this.#lookedOpen = open - ended;
    return Math.max(
      ended > 0 || short > 0 ? BUSY_MS : LOOK_MS,
      (this.#lookedAt - startedAt) / (short > 0 ? SHORT_LOAD : LOAD),
    );
  }

  #end(kernel: KernelConnections, cap: number, short: number): number {
    const { addresses, isProxy } = this.parts;
    const byNetwork = Map.groupBy(this.#look(kernel).strangers, ({ network }) => network);
    const ended = new Set<Stranger>();
    const end = (stranger: Stranger) => {
      if (kernel.shutdown(stranger.fd)) ended.add(stranger);
    };
    for (const [address, strangers] of byNetwork) {
      const remote = strangers[0]?.remoteAddress ?? address;
      const own = isProxy(remote) ? cap * PROXY : addresses.widened(cap, remote);
      if (cap === 0 || strangers.length <= own) continue;
      const surplus = silentestFirst(strangers).slice(0, strangers.length - own);
      for (const stranger of surplus) end(stranger);
      this.#refused("connections-per-address", surplus.length, { address, limit: own });
    }
    if (short > ended.size) {
      const rest = silentestFirst([...byNetwork.values()].flat().filter((one) => !ended.has(one)));
      const surplus = rest.slice(0, short - ended.size);
      for (const stranger of surplus) end(stranger);
      this.#refused("descriptors", surplus.length, { limit: descriptorLimit() });
    }
    return ended.size;
  }

  #refused(
    bound: "descriptors" | "connections-per-address",
    times: number,
    facts?: Readonly<Record<string, string | number | undefined>>,
  ): void {
    if (times > 0) this.parts.bounds.refused(bound, { ...facts, closed: times }, times);
  }

  #look(kernel: KernelConnections): { all: number; strangers: Stranger[] } {
    const ports = new Set(this.parts.ports());
    const isKnown = this.parts.known();
    const ours = kernel.list().filter(({ localPort }) => ports.has(localPort));
    const strangers = ours
      .filter(({ remoteAddress, remotePort }) => !isKnown(remoteAddress, remotePort))
      .map((one) => ({
        ...one,
        network: networkOf(one.remoteAddress),
        silentMs: kernel.silentMs(one.fd) ?? 0,
      }));
    return { all: ours.length, strangers };
  }
}

const silentestFirst = (strangers: readonly Stranger[]): Stranger[] =>
  strangers.toSorted((a, b) => b.silentMs - a.silentMs);

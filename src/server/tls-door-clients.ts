// Who stands behind a connection that the door opened to the listener inside, by that connection's local port. A port that was just
// given back is not used again for a while, so that what a connection still has on its way is never taken for its successor's.
import type { RemoteEnd } from "./connections-linux.ts";
import type { ClientCertificate } from "./tls-door-certificate.ts";

export interface TlsClient {
  /** The real other end, and the door's port. */
  readonly peer: RemoteEnd;
  /** Verified; undefined where none was shown or asked for. */
  readonly certificate: ClientCertificate | undefined;
  /** Such as `TLSv1.3`. */
  readonly version: string;
}

/** Requests of a closed connection that were read before it closed are long handled then. */
const REST_MS = 5_000;

export class TlsClients {
  readonly #clients = new Map<number, TlsClient>();
  /** When each was given back, the earliest first. */
  readonly #resting = new Map<number, number>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** @returns false for a port that still rests: another connection has to be opened. */
  enter(port: number, client: TlsClient): boolean {
    this.#wake();
    if (this.#resting.has(port) || this.#clients.has(port)) return false;
    this.#clients.set(port, client);
    return true;
  }

  of(port: number): TlsClient | undefined {
    return this.#clients.get(port);
  }

  leave(port: number): void {
    if (!this.#clients.delete(port)) return;
    this.#wake();
    this.#resting.set(port, this.now());
  }

  /** Ports that are in use or rest. */
  get size(): number {
    return this.#clients.size + this.#resting.size;
  }

  #wake(): void {
    const now = this.now();
    for (const [port, at] of this.#resting) {
      if (now - at < REST_MS) return;
      this.#resting.delete(port);
    }
  }
}

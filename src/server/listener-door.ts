// The TLS door of one listener: its terms come from whoever planned the listener, and are followed while it runs.

import type { Logger } from "pino";
import { watchFiles } from "../config/watch-files.ts";
import type { Limits } from "../limits/limits.ts";
import type { MemoryPieces } from "../limits/memory-pieces.ts";
import { type TakesConnection, TlsDoor, type TlsDoorFigures } from "./tls-door.ts";
import type { TlsClient } from "./tls-door-clients.ts";
import type { TlsTerms } from "./tls-door-terms.ts";

export interface ListenerTls {
  /** Asked at the start and at every renewal. @throws Error with a sentence; at a renewal the terms of before then stay. */
  readonly terms: () => TlsTerms;
  /** When one of these changes, the terms are renewed. */
  readonly files?: readonly string[];
  /** Open at one time. */
  readonly maxConnections: number;
  /** By ALPN name: who takes such connections in place of this listener. */
  readonly protocols?: ReadonlyMap<string, TakesConnection>;
}

export interface ListenerDoorParts {
  readonly host: string;
  readonly port: number;
  readonly innerPort: number;
  readonly limits: Pick<Limits, "bounds">;
  readonly waiting: MemoryPieces;
  readonly log: Logger;
}

export class ListenerDoor {
  readonly #door: TlsDoor;
  readonly #unwatch: () => void;

  /** @throws the error of the operating system, or a sentence about the terms. */
  constructor(
    private readonly tls: ListenerTls,
    private readonly parts: ListenerDoorParts,
  ) {
    const { files = [], maxConnections, protocols } = tls;
    const { host, port, innerPort, limits, waiting, log } = parts;
    const { bounds } = limits;
    this.#door = new TlsDoor({
      ...{ host, port, innerPort, terms: tls.terms() },
      ...{ maxConnections, protocols, bounds, waiting, log },
    });
    this.#unwatch = watchFiles(files, () => this.renew());
  }

  get port(): number {
    return this.#door.port;
  }

  clientAt(port: number): TlsClient | undefined {
    return this.#door.clientAt(port);
  }

  figures(): TlsDoorFigures {
    return this.#door.figures();
  }

  /** A mistake in the terms is logged, and changes nothing. */
  renew(): void {
    const { log } = this.parts;
    const { port } = this;
    try {
      if (this.#door.renew(this.tls.terms())) log.info({ port }, "terms of TLS are renewed");
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      log.error({ problem, port }, "terms of TLS stay as they were");
    }
  }

  /** Accepts nothing more. Resolves when no connection is open any more. */
  stop(): Promise<void> {
    this.#unwatch();
    return this.#door.stop();
  }

  /** Cuts every connection. */
  cut(): Promise<void> {
    return this.#door.cut();
  }
}

// A namespace in the hands of the protocol that claimed it. Other protocols may have sockets on the same connections: what goes wrong
// here, and who is sent away here, does not concern theirs.
import type { Logger } from "pino";
import type { Namespace, Socket } from "socket.io";
import type { Caller } from "./caller.ts";
import type { PacketGate } from "./packet-gate.ts";
import type { ConnectRefusal, NamespaceClaim } from "./socket-claims.ts";

export type CallerOf = (socket: Socket) => Caller | undefined;

/** Becomes the CONNECT_ERROR. */
export class ConnectRefused extends Error {
  readonly data: unknown;

  constructor({ message, data }: ConnectRefusal) {
    super(message);
    this.data = data;
  }
}

export interface ClaimedNamespaceParts {
  readonly namespace: Namespace;
  readonly claim: NamespaceClaim;
  readonly gateOf: (connection: Socket["conn"]) => PacketGate | undefined;
  readonly callerOf: CallerOf;
}

export class ClaimedNamespace {
  readonly namespace: Namespace;
  /** Where a socket comes from. */
  readonly callerOf: CallerOf;
  readonly #log: Logger;

  constructor(private readonly parts: ClaimedNamespaceParts) {
    this.namespace = parts.namespace;
    this.callerOf = parts.callerOf;
    this.#log = parts.claim.log;
  }

  /**
   * Decides about each socket before it is in: `ConnectRefused` is what its client hears. Whatever else is thrown is a passing trouble,
   * which must not look like a refusal: the connection ends, and its client comes back.
   */
  admit(decide: (socket: Socket) => Promise<void>): void {
    this.namespace.use((socket, next) => {
      decided(decide, socket).then(
        () => next(),
        (error: unknown) => {
          if (error instanceof ConnectRefused) return next(error);
          this.#log.error({ err: error }, "a socket could not be authenticated");
          if (this.#hasBeside(socket)) next(new Error("Try again in a moment"));
          else socket.conn.close();
        },
      );
    });
  }

  /** Greets each socket that was let in. */
  welcome(greet: (socket: Socket) => void): void {
    this.namespace.on("connection", (socket) => {
      try {
        greet(socket);
      } catch (error) {
        this.#log.error({ err: error }, "a socket could not be welcomed");
        this.end(socket);
      }
    });
  }

  /** Ends the socket with its connection, so that its client comes back; alone where others are on the connection. */
  end(socket: Socket): void {
    if (!this.#hasBeside(socket)) socket.conn.close();
    else if (socket.connected) socket.disconnect();
  }

  /** Ends a socket's connection because of a message that is too large: code 1009 on a WebSocket. */
  endTooLarge({ conn }: Socket): void {
    this.parts.gateOf(conn)?.end(1009, "message too large");
  }

  #hasBeside({ conn }: Socket): boolean {
    return this.parts.gateOf(conn)?.hasBeside(this.parts.claim) === true;
  }
}

/** Also what is thrown at once rejects. */
async function decided(decide: (socket: Socket) => Promise<void>, socket: Socket): Promise<void> {
  await decide(socket);
}

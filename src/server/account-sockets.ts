// The sockets of each account, by account: who asks about one account's does not look at anybody else's. A seat is taken while a socket
// is still being let in, so that sockets that come at the same time cannot pass the limit together.
import type { Socket } from "socket.io";

export class AccountSockets {
  /** By account, then by connection; the socket once it is let in. A connection has one socket in each namespace: each has seats of its own. */
  readonly #seats = new Map<string, Map<object, Socket | undefined>>();

  /** `limit` is asked each time; 0 is none. */
  constructor(private readonly limit: () => number) {}

  /** False when the account holds as many as it may. The seat is free again when the connection closes, or by `leave`. */
  take(account: string, connection: Socket["conn"]): boolean {
    const limit = this.limit();
    const seats = this.#seats.get(account) ?? new Map<object, Socket | undefined>();
    if (limit > 0 && seats.size >= limit && !seats.has(connection)) return false;
    if (!seats.has(connection)) connection.once("close", () => this.leave(account, connection));
    seats.set(connection, undefined);
    this.#seats.set(account, seats);
    return true;
  }

  /** The socket on the seat that its connection has. */
  sit(account: string, socket: Socket): void {
    this.#seats.get(account)?.set(socket.conn, socket);
  }

  leave(account: string, connection: object): void {
    const seats = this.#seats.get(account);
    seats?.delete(connection);
    if (seats?.size === 0) this.#seats.delete(account);
  }

  *of(account: string): Iterable<Socket> {
    for (const socket of this.#seats.get(account)?.values() ?? []) if (socket !== undefined) yield socket;
  }

  /** Seats that are taken. */
  count(account: string): number {
    return this.#seats.get(account)?.size ?? 0;
  }
}

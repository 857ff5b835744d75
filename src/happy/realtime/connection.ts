// One accepted Happy socket: whose it is, what it is scoped to, and how its events are handled. No payload can drop the socket or
// end the process (realtime contract 6, general rules).
import type { Socket } from "socket.io";
import { type ValueSizes, ValueTooLarge } from "../../limits/value-sizes.ts";
import { StorageError } from "../../storage/errors.ts";
import type { Scope } from "../audience.ts";
import type { TokenClaims } from "../auth/tokens.ts";
import type { HappyContext } from "../context.ts";

/** What the handshake told; kept in `socket.data`. */
export interface ConnectionFacts {
  readonly account: string;
  /** Of its token. */
  readonly claims: TokenClaims;
  readonly scope: Scope;
  /** `clientType` exactly as declared; only a declared "user-scoped" counts for push suppression. */
  readonly declaredType: string | undefined;
  /** Free text such as `ios/1.7.0`, a label only. */
  readonly client: string;
  /** Remembered focus of an app; undefined until it tells. */
  focus: "active" | "background" | undefined;
}

export interface Connection {
  readonly account: string;
  readonly facts: ConnectionFacts;
  readonly context: HappyContext;
  readonly socket: Socket;
  /** Ends the connection as one that sent too much: the only answer to an event without an acknowledgement. */
  readonly endTooLarge: () => void;
}

/** Answers the client's acknowledgement callback; does nothing when it gave none. */
export type Ack = (answer?: unknown) => void;

export interface SocketEvent {
  readonly event: string;
  /** Answer to an unexpected failure, and to a payload that the handler cannot read. */
  readonly failure?: unknown;
  /** The handler itself answers to values that are too large. */
  readonly admitsValues?: boolean;
  handle(connection: Connection, payload: unknown, ack: Ack): void | Promise<void>;
}

export function attach(connection: Connection, events: readonly SocketEvent[]): void {
  const { socket, context, facts, endTooLarge } = connection;
  const count = context.metrics.eventsOf(facts.client);
  socket.on("disconnect", () => count("disconnect"));
  for (const { event, failure, admitsValues = false, handle } of events) {
    socket.on(event, async (...args: unknown[]) => {
      count(event);
      const last = args.at(-1);
      const ack: Ack =
        typeof last === "function" ? (answer) => (answer === undefined ? last() : last(answer)) : () => {};
      const payload = typeof args[0] === "function" ? undefined : args[0];
      try {
        if (!admitsValues) admitValues(context.sizes, payload);
        await handle(connection, payload, ack);
      } catch (error) {
        if (error instanceof ValueTooLarge) {
          const { field, bytes, limitBytes: limit } = error;
          context.bounds.refused("value-size", { account: facts.account, event, field, bytes, limit });
          return failure === undefined ? endTooLarge() : ack(failure);
        }
        // Both say so themselves: the first to the client, the second once in the log.
        if (error instanceof StorageError && (error.code === "quota" || error.code === "held"))
          context.log.debug({ event, code: error.code }, error.message);
        else context.log.error({ event, err: error }, "a socket event failed");
        if (failure !== undefined) ack(failure);
      }
    });
  }
}

/** No value that comes over a socket is larger than a document. @throws ValueTooLarge */
function admitValues(sizes: ValueSizes, payload: unknown, levels = 2): void {
  if (typeof payload !== "object" || payload === null) return;
  for (const field in payload) {
    const value: unknown = payload[field as keyof typeof payload];
    if (typeof value === "string") sizes.admit("state", field, value);
    else if (levels > 1) admitValues(sizes, value, levels - 1);
  }
}

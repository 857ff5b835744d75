// One accepted /cli socket, and how its events are handled. No payload ends the socket or the process. Whatever comes with an
// acknowledgement id is acknowledged exactly once, also what nobody knows and what fails; without one nothing is answered
// (hapi-socket 1.4 and 17.1).
import type { Logger } from "pino";
import type { Socket } from "socket.io";
import type { z } from "zod";
import type { Bounds } from "../../limits/bounds.ts";
import { accountOf } from "../auth/web-tokens.ts";
import type { OwnIds } from "../rpc/own-ids.ts";
import type { HapiRpc } from "../rpc/rpc.ts";
import type { AgentMirror } from "../terminal/agent-mirror.ts";
import type { Terminals } from "../terminal/terminals.ts";
import type { Absence, HubDeeds, Sender } from "./deeds.ts";
import { noteFailure, wordsOf } from "./failure.ts";
import type { Room, SocketRooms } from "./rooms.ts";

/** What the sockets of both namespaces share. */
export interface SocketServices {
  readonly deeds: HubDeeds;
  readonly rooms: SocketRooms;
  readonly rpc: HapiRpc;
  readonly terminals: Terminals;
  readonly mirror: AgentMirror;
  readonly pace: MessageTurns;
  readonly bounds: Pick<Bounds, "refused">;
  readonly log: Logger;
}

/** When a message may be stored: at once, or in its turn. */
export interface MessageTurns {
  turn(account: string, bytes: () => number, work: () => Promise<void>): Promise<void>;
}

export interface CliConnection extends SocketServices {
  readonly socket: Socket;
  readonly from: Sender;
  readonly ids: OwnIds;
  /** Messages of this socket that are not settled yet. */
  readonly unsettled: Set<Promise<unknown>>;
}

/** Answers the acknowledgement; only the first answer counts. Does nothing where the client wants none. */
export type Ack = (...answer: readonly unknown[]) => void;

/** What an event is about, for the `error` event of its sender. */
export type Subject = Room;

export interface CliEvent {
  readonly event: string;
  /** The acknowledgement to a payload that cannot be read and to an unexpected failure; without one, an empty acknowledgement. */
  readonly failure?: unknown;
  handle(connection: CliConnection, payload: unknown, ack: Ack): void | Promise<void>;
}

interface EventParts<T> {
  readonly schema: z.ZodType<T>;
  readonly failure?: unknown;
  /** What the sender may hear that it may not have it, or that it failed. */
  readonly subject?: (payload: T) => Subject;
  /** @returns why the sender may not, when it may not: an absence, or a promise of one. */
  readonly handle: (connection: CliConnection, payload: T, ack: Ack) => unknown;
}

/** A payload that does not have the shape is dropped in silence (hapi-socket 6). */
export function cliEvent<T>(event: string, parts: EventParts<T>): CliEvent {
  const { schema, failure, subject, handle } = parts;
  return {
    event,
    failure,
    handle: async (connection, given, ack) => {
      const parsed = schema.safeParse(given);
      if (!parsed.success) return;
      try {
        const absence = await handle(connection, parsed.data, ack);
        if (isAbsence(absence) && subject !== undefined)
          tellAbsence(connection.socket, subject(parsed.data), absence);
      } catch (error) {
        if (subject !== undefined && failure === undefined) {
          const { message, code } = wordsOf(error);
          connection.socket.emit("error", accessError(subject(parsed.data), message, code));
        }
        throw error;
      }
    },
  };
}

const isAbsence = (answer: unknown): answer is Absence =>
  answer === "not-found" || answer === "access-denied";

/** hapi-socket 5, "Access error". */
export function tellAbsence(socket: Socket, subject: Subject, absence: Absence): void {
  const words = absence === "not-found" ? "not found" : "access denied";
  socket.emit("error", accessError(subject, `${scopeOf(subject)} ${words}`, absence));
}

function accessError(subject: Subject, message: string, code: string) {
  const scope = scopeOf(subject);
  return { message, code, scope, id: "session" in subject ? subject.session : subject.machine };
}

const scopeOf = (subject: Subject): "session" | "machine" => ("session" in subject ? "session" : "machine");

/** From now on the events of the table are handled; all others are ignored. */
export function attach(connection: CliConnection, table: ReadonlyMap<string, CliEvent>): void {
  connection.socket.onAny((event: unknown, ...args: unknown[]) => {
    const known = typeof event === "string" ? table.get(event) : undefined;
    const answer = answerFrom(args);
    if (known === undefined) return answer();
    handled(connection, known, typeof args[0] === "function" ? undefined : args[0], answer).catch(
      (error: unknown) => connection.log.error({ err: error }, "a socket event could not be answered"),
    );
  });
}

async function handled(
  connection: CliConnection,
  { event, failure, handle }: CliEvent,
  payload: unknown,
  ack: Ack,
): Promise<void> {
  try {
    await handle(connection, payload, ack);
  } catch (error) {
    noteFailure(connection, { event, account: accountOf({ ns: connection.from.namespace }) }, error);
  }
  // Whoever has answered before is not answered again.
  if (failure === undefined) ack();
  else ack(failure);
}

/** The client's own callback, the last argument where it is one. Socket.IO sends what it is called with first, and nothing after that. */
function answerFrom(args: readonly unknown[]): Ack {
  const last = args.at(-1);
  return typeof last === "function" ? (...answer) => last(...answer) : () => {};
}

// What the hub needs of the parts around it: who broadcasts, who reaches the CLI, who calls it. Each is one small interface, so that a
// test can stand in for it.
import type { MachineView } from "../wire/machine.ts";
import type { MessageView } from "../wire/message.ts";
import type { SessionView } from "../wire/session.ts";
import type { SessionPatch } from "../wire/session-patches.ts";
import type { UpdateEnvelope } from "../wire/update.ts";

export const END_REASONS = ["completed", "terminated", "error", "handoff", "cleared"] as const;
export type EndReason = (typeof END_REASONS)[number];

interface OfSession {
  readonly namespace: string;
  readonly sessionId: string;
}

/** What web clients are told (hapi-http-sse B3), but for toasts and frames of one connection. */
export type HubEvent =
  | (OfSession & { readonly type: "session-added"; readonly data: SessionView })
  | (OfSession & { readonly type: "session-updated"; readonly data: SessionView | SessionPatch })
  | (OfSession & { readonly type: "session-removed" })
  | (OfSession & { readonly type: "session-ended"; readonly reason?: EndReason | undefined })
  | (OfSession & { readonly type: "message-received"; readonly message: MessageView })
  | (OfSession & {
      readonly type: "messages-consumed";
      readonly localIds: readonly string[];
      readonly invokedAt: number;
      readonly steered?: true | undefined;
    })
  | (OfSession & {
      readonly type: "message-cancelled";
      readonly messageId: string;
      readonly localId?: string | undefined;
    })
  | (OfSession & {
      readonly type: "messages-invalidated";
      readonly reason?: "rewind" | undefined;
      readonly truncateFromLocalId?: string | undefined;
    })
  | (OfSession & {
      readonly type: "messages-indeterminate" | "messages-requeued";
      readonly localIds: readonly string[];
    })
  | (OfSession & { readonly type: "scheduled-matured" })
  | {
      readonly type: "machine-updated";
      readonly namespace: string;
      readonly machineId: string;
      readonly data: MachineView | { readonly active: false } | null;
    }
  | { readonly type: "machine-agy-models-updated"; readonly namespace: string; readonly machineId: string };

export interface Events {
  /** Only what is committed is broadcast. */
  broadcast(event: HubEvent): void;
}

export type Room = { readonly session: string } | { readonly machine: string };

export interface CliRooms {
  /** `update` to every socket of the room but `except`. */
  update(room: Room, envelope: UpdateEnvelope, except?: object): void;
  /** The acknowledgement of the room's newest socket; undefined when none comes in time or nobody is there. */
  ask(room: { readonly session: string }, envelope: UpdateEnvelope, withinMs: number): Promise<unknown>;
  isConnected(room: Room): boolean;
}

export interface Rpc {
  /**
   * Calls a function in the process of a session's or machine's CLI; its answer decoded.
   * @throws RpcFailure with one of the literal texts of hapi-socket 11.
   */
  call(
    id: string,
    method: string,
    params: unknown,
    options?: { readonly timeoutMs?: number },
  ): Promise<unknown>;
}

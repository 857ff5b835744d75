// What the hub tells web clients as it happens (HTTP contract, B3). Bodies are made by whoever tells; here is who hears of them.

interface OfSession {
  readonly namespace: string;
  readonly sessionId: string;
}

interface OfMachine {
  readonly namespace: string;
  readonly machineId: string;
}

export type HubEvent =
  | (OfSession & { readonly type: "session-added"; readonly data: object })
  /** A full session, or a patch of one (B4). */
  | (OfSession & { readonly type: "session-updated"; readonly data: object })
  | (OfSession & { readonly type: "session-removed" })
  | (OfSession & { readonly type: "session-ended"; readonly reason?: EndReason | undefined })
  | (OfSession & { readonly type: "message-received"; readonly message: object })
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
  /** A full machine, a patch, or null when its row is gone (B5). */
  | (OfMachine & { readonly type: "machine-updated"; readonly data: object | null })
  | (OfMachine & { readonly type: "machine-agy-models-updated" });

export type EndReason = "completed" | "terminated" | "error" | "handoff" | "cleared";

export interface Toast {
  readonly title: string;
  readonly body: string;
  readonly sessionId: string;
  readonly url: string;
}

/** What everything that changes something needs of the broadcaster. */
export interface Events {
  /** Numbers it, keeps it for replay, encodes it once, writes it to every connection that it concerns. Call it only after the commit. */
  broadcast(event: HubEvent): void;
  /**
   * To the visible connections of the namespace, whatever else they listen to; never replayed.
   * @returns to how many it was written that take what they are sent.
   */
  toast(namespace: string, toast: Toast): number;
  /** Whether somebody of the namespace looks at the app, as far as its pages say. */
  isLookedAt(namespace: string): boolean;
}

// What the store of a protocol offers to the pusher and the reader of receipts; test/support/push-ledger.ts is its suite. Each function
// is one atomic operation. Nothing that is said about a device later holds for one that registered again meanwhile.
import type { Receipts, Verdict } from "./channel.ts";
import type { PushDecision } from "./decision.ts";

/** One registration of a device, as the ledger gave it out; it is handed back to tell which one a verdict is about. */
export interface Device<Address> {
  readonly address: Address;
}

export interface PushRecord<D> {
  /** Whose devices were asked. */
  readonly owner: string;
  /** What it was about, such as a session. */
  readonly subject: string;
  readonly kind: string;
  /** Tells the same event again. */
  readonly eventKey: string;
  readonly decision: PushDecision;
  readonly durationMs: number;
  readonly devices: readonly { readonly device: D; readonly verdict: Verdict | undefined }[];
}

export interface PushLedger<D> {
  devices(owner: string): Promise<readonly D[]>;
  /**
   * Keeps the decision and the tickets that it earned, and deletes devices whose verdict is `dead`. Does nothing for an owner that is
   * gone.
   */
  record(record: PushRecord<D>): Promise<void>;
  /** The newest decision about the same event that was kept within `withinMs` of `now`, before or after. */
  find(owner: string, eventKey: string, now: number, withinMs: number): Promise<PushDecision | undefined>;
  /** Holds what is kept to its bounds. */
  trim(now: number): Promise<void>;
}

export interface DueTickets<T> {
  readonly now: number;
  /** From a push to the first look at its receipt. */
  readonly afterMs: number;
  /** The last one of the page before this. */
  readonly last: T | undefined;
  readonly limit: number;
}

/** What a channel said about the tickets that it was asked for. */
export interface Settlement extends Pick<Receipts, "verdicts" | "refused"> {
  readonly asked: readonly string[];
}

export interface TicketLedger<T extends { readonly id: string }> {
  /** Oldest first; also those that carry a time after `now`: the clock has stepped back since, and their age is not known. */
  dueTickets(page: DueTickets<T>): Promise<readonly T[]>;
  /** Settled and refused tickets go, failures amend their decision, devices that are `dead` are deleted; the rest was asked once more. */
  settle(settlement: Settlement): Promise<void>;
  /** Forgets tickets that a channel said nothing about through a day of questions. */
  trim(now: number): Promise<void>;
}

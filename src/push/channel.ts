// What a way to people's devices promises. Every addressee gets a verdict whatever the service answers: a bad answer, a refusal or a lost
// connection is a verdict too, never an exception, and one bad addressee never decides about the others.
import type { Deadline } from "./deadline.ts";

export interface PushChannel<Address, Message> {
  /** In the log. */
  readonly name: string;
  /** One verdict an addressee, in their order, before the deadline. Never rejects. */
  send(to: readonly Address[], message: Message, deadline: Deadline): Promise<Verdict[]>;
}

/** What became of one message. `dead` means that its address is worth nothing any more: it is deleted. */
export type Verdict =
  | {
      readonly ok: true;
      /** Where the channel tells later what became of it. */
      readonly ticket: string | undefined;
    }
  | { readonly ok: false; readonly reason: string; readonly dead: boolean };

/** A channel that tells some time after a push whether it arrived. */
export interface ReceiptChannel {
  readonly name: string;
  /** Of one question. */
  readonly maxTickets: number;
  /** Never rejects; what it says nothing about may be asked for again later. */
  receipts(tickets: readonly string[], deadline: Deadline): Promise<Receipts>;
}

export interface Receipts {
  /** Receipts that are ready, by ticket. */
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** Tickets that the service takes for none, while it takes others. */
  readonly refused: readonly string[];
  /** Why some tickets could not be asked for, undefined when all were. */
  readonly problem: string | undefined;
}

// Reads a channel's receipts some time after a push, because only they tell whether a device got it: one that is gone is deleted, and a
// failure amends the decision. Tickets without a receipt after a day of questions are dropped.
import type { Logger } from "pino";
import type { ReceiptChannel } from "./channel.ts";
import { deadlineIn } from "./deadline.ts";
import type { TicketLedger } from "./ledger.ts";

export interface ReceiptTiming {
  /** From a push to the first look at its receipt. */
  readonly afterMs: number;
  /** Between two looks. */
  readonly everyMs: number;
  /** For one question to the channel. */
  readonly deadlineMs: number;
}

export interface ReceiptReaderParts<T extends { readonly id: string }> {
  readonly ledger: TicketLedger<T>;
  readonly channel: ReceiptChannel;
  readonly timing: ReceiptTiming;
  readonly log: Logger;
}

/** The service is not there: the rest waits for the next look. */
const MAX_PROBLEMS = 3;

export class ReceiptReader<T extends { readonly id: string }> {
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #reading: Promise<void> | undefined;

  constructor(private readonly parts: ReceiptReaderParts<T>) {}

  start(): void {
    this.#timer = setInterval(() => void this.read(), this.parts.timing.everyMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping.abort();
    await this.#reading;
  }

  /** Reads every receipt that is due, once. A look that is under way is shared. Never rejects. */
  read(): Promise<void> {
    this.#reading ??= this.#read()
      .catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return;
        this.parts.log.warn({ err: error }, "push receipts could not be read; they will be tried again");
      })
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }

  async #read(): Promise<void> {
    const { ledger, channel, timing, log } = this.parts;
    const { afterMs, deadlineMs } = timing;
    const now = Date.now();
    await ledger.trim(now);
    // What is not ready yet stays: going on after the last one read keeps it from being asked for twice in one look.
    let last: T | undefined;
    for (let problems = 0; problems < MAX_PROBLEMS && !this.#stopping.signal.aborted; ) {
      const due = await ledger.dueTickets({ now, afterMs, last, limit: channel.maxTickets });
      last = due.at(-1);
      if (last === undefined) return;
      const asked = due.map(({ id }) => id);
      const deadline = deadlineIn(deadlineMs, this.#stopping.signal);
      const { verdicts, refused, problem } = await channel.receipts(asked, deadline);
      if (this.#stopping.signal.aborted) return;
      if (problem !== undefined) {
        problems++;
        log.warn(
          { channel: channel.name, problem },
          "push receipts could not be read; they will be asked for again",
        );
      }
      if (refused.length > 0)
        log.warn(
          { channel: channel.name, tickets: refused.length },
          "push tickets are taken for none; they are forgotten",
        );
      await ledger.settle({ asked, verdicts, refused });
    }
  }
}

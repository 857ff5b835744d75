// Reads Expo's receipts some time after a push, because only they tell whether a phone got it: a device that is gone loses its token,
// and a failure amends the ledger. Tickets without a receipt after a day of questions are dropped, as Expo does.

import type { Logger } from "pino";
import type { HappyStore } from "../store/index.ts";
import type { TicketRow } from "../store/push.ts";
import { deadlineIn } from "./deadline.ts";
import { type Expo, MAX_RECEIPTS } from "./expo.ts";

export interface ReceiptTiming {
  /** From a push to the first look at its receipt; Expo advises 15 minutes. */
  readonly afterMs: number;
  /** Between two looks. */
  readonly everyMs: number;
  /** For one request to Expo. */
  readonly deadlineMs: number;
}

export const RECEIPT_TIMING: ReceiptTiming = {
  afterMs: 15 * 60_000,
  everyMs: 5 * 60_000,
  deadlineMs: 30_000,
};

/** Expo is not there: the rest waits for the next look. */
const MAX_PROBLEMS = 3;

export class ReceiptReader {
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #reading: Promise<void> | undefined;

  constructor(
    private readonly store: Pick<HappyStore, "findDueTickets" | "settleTickets" | "forgetOldPushes">,
    private readonly expo: Expo,
    private readonly log: Logger,
    private readonly timing: ReceiptTiming = RECEIPT_TIMING,
  ) {}

  start(): void {
    this.#timer = setInterval(() => void this.read(), this.timing.everyMs);
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
        this.log.warn({ err: error }, "push receipts could not be read; they will be tried again");
      })
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }

  async #read(): Promise<void> {
    const now = Date.now();
    await this.store.forgetOldPushes(now);
    // What is not ready yet stays: going on after the last one read keeps it from being asked for twice in one look.
    let last: TicketRow | undefined;
    for (let problems = 0; problems < MAX_PROBLEMS && !this.#stopping.signal.aborted; ) {
      const due = await this.store.findDueTickets(now, this.timing.afterMs, last, MAX_RECEIPTS);
      last = due.at(-1);
      if (last === undefined) return;
      const asked = due.map(({ id }) => id);
      const deadline = deadlineIn(this.timing.deadlineMs, this.#stopping.signal);
      const { verdicts, refused, problem } = await this.expo.receipts(asked, deadline);
      if (this.#stopping.signal.aborted) return;
      if (problem !== undefined) {
        problems++;
        this.log.warn({ problem }, "push receipts could not be read; they will be asked for again");
      }
      if (refused.length > 0)
        this.log.warn({ tickets: refused.length }, "Expo takes push tickets for none; they are forgotten");
      await this.store.settleTickets({ asked, verdicts, refused });
    }
  }
}

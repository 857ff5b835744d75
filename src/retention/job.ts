// What the server does about one protocol's old things while it runs: deletes what is beyond the operator's limits, and only while the
// clock can be believed. Settings are read at each round.
import type { Logger } from "pino";
import { doubtInWords, type RetentionClock } from "./clock.ts";
import type { Retention } from "./retention.ts";
import { Rounds } from "./rounds.ts";

export interface RetentionJobOptions {
  readonly retention: Retention;
  readonly clock: Pick<RetentionClock, "doubt">;
  readonly log: Logger;
}

/** A round may come every second; what a person has to do about the clock is said now and then. */
const TOLD_AGAIN_MS = 3_600_000;

export class RetentionJob extends Rounds {
  constructor({ retention, clock, log }: RetentionJobOptions) {
    let toldAt = Number.NEGATIVE_INFINITY;
    super({
      everyMs: retention.everyMs,
      problem: "old things could not all be deleted",
      log,
      work: async (goOn) => {
        const doubt = await clock.doubt(retention.shortestMs());
        if (doubt !== undefined && performance.now() >= toldAt + TOLD_AGAIN_MS) {
          toldAt = performance.now();
          const { problem, fix } = doubtInWords(doubt);
          log.warn(`${problem} ${fix}`);
        }
        const now = doubt === undefined ? Date.now() : undefined;
        const removed = await retention.run({ now, goOn, isShared: true });
        if (Object.values(removed).some((count) => count > 0))
          log.info(removed, "deleted what is older than is kept");
      },
    });
  }
}

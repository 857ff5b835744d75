// What a protocol can say and do about its old things. When it is asked is the house's matter: one job for all protocols, and only
// while the clock can be believed (clock.ts).

/** Of one kind and owner. */
export interface OldThings {
  /** In words, plural: "sessions". */
  readonly kind: string;
  /** Account id, or what the protocol calls an owner. */
  readonly account: string;
  readonly count: number;
  readonly bytes: number;
}

export interface RetentionRun {
  /** Unix ms by which age is judged; undefined when the clock cannot be believed: then nothing goes by its age. */
  readonly now: number | undefined;
  /** False ends the work at the next pause. */
  readonly goOn: () => boolean;
  /** Others use the database or the thread: rests between the steps. */
  readonly isShared: boolean;
}

export interface Retention {
  /** Every kind that it deletes, in words, in the order in which a person reads them. */
  readonly kinds: readonly string[];
  /** The shortest time for which something is kept, in ms, as the settings are now; infinite without limits. */
  shortestMs(): number;
  /** The newest stored moment that is not later than `now`: the last one that is known to have been. */
  newest(now: number): Promise<number | undefined>;
  /** The time between two rounds, in ms; an hour unless it is said. */
  readonly everyMs?: number;
  plan(now: number): Promise<readonly OldThings[]>;
  /** Deletes a little at a time. @returns how many of each kind went, every kind named, also with 0. */
  run(run: RetentionRun): Promise<Readonly<Record<string, number>>>;
}

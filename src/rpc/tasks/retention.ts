// Finished tasks go when they were kept for as long as each says (contract 13.3), and only while the clock is believed. Answers to
// idempotency keys go by the time of the process, which never steps.
import type { Retention } from "../../retention/retention.ts";
import type { CallStore } from "../idempotency/call-store.ts";
import type { TaskStore } from "./task-store.ts";

const KIND = "finished tasks";
const EVERY = { leastMs: 1_000, mostMs: 60_000 };

export interface TaskRetentionParts {
  readonly store: Pick<TaskStore, "removeExpired" | "expired" | "newestCompleted" | "shortestTtlMs">;
  readonly calls?: Pick<CallStore, "removeExpired">;
  /** For which a new one is kept; infinite where none is made. */
  readonly ttlMs: () => number;
}

export function taskRetention({ store, calls, ttlMs }: TaskRetentionParts): Retention {
  const shortestMs = () => Math.min(ttlMs(), store.shortestTtlMs());
  const every = shortestMs() / 2;
  return {
    kinds: [KIND],
    everyMs: Math.min(EVERY.mostMs, Math.max(EVERY.leastMs, every)),
    shortestMs,
    // A store that is away has no moment to tell.
    newest: (now) => store.newestCompleted(now).catch(() => undefined),
    plan: async (now) =>
      (await store.expired(now)).map(({ tenant, ...sum }) => ({ kind: KIND, account: tenant, ...sum })),
    run: async ({ now, goOn }) => {
      await calls?.removeExpired();
      let removed = 0;
      while (now !== undefined && goOn()) {
        const step = await store.removeExpired(now);
        if (step === 0) break;
        removed += step;
      }
      return { [KIND]: removed };
    },
  };
}

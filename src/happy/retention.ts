// Applies the operator's age limits to what the Happy protocol keeps, a little at a time. The same rules for the server, which tells
// the clients, and for the command, which works beside a running one.
import { rest } from "../retention/rest.ts";
import type { Retention } from "../retention/retention.ts";
import { cutoffs, hasRules, shortest } from "./retention-rules.ts";
import type { HappyConfig } from "./settings.ts";
import type { HappyStore } from "./store/index.ts";
import type { OldCutoffs, OldSession } from "./store/retention.ts";

export interface RetentionOptions {
  readonly store: HappyStore;
  readonly cutoffs: OldCutoffs;
  /** After the commit that deleted a session, with the number of its announcement. */
  readonly announce: (session: OldSession, updateSeq: number) => unknown;
  /** False ends the work at the next pause. */
  readonly goOn: () => boolean;
  /** Others use the database or the thread: rests between the steps. */
  readonly isShared: boolean;
}

export interface Removed {
  sessions: number;
  messages: number;
  usageReports: number;
  feedEntries: number;
}

/** Resolves with what went. */
export async function applyRetention({
  store,
  cutoffs,
  announce,
  goOn,
  isShared,
}: RetentionOptions): Promise<Removed> {
  const removed: Removed = { sessions: 0, messages: 0, usageReports: 0, feedEntries: 0 };
  const inSlices = async (slice: () => Promise<number>): Promise<number> => {
    let total = 0;
    while (goOn()) {
      const began = performance.now();
      const count = await slice();
      if (count === 0) break;
      total += count;
      if (isShared) await rest(performance.now() - began);
    }
    return total;
  };
  const eachInactive = async (
    before: number,
    withMessages: boolean,
    work: (session: OldSession) => Promise<void>,
  ): Promise<void> => {
    let pk = 0;
    while (goOn()) {
      const session = await store.nextInactiveSession(before, pk, withMessages);
      if (session === undefined) return;
      pk = session.pk;
      const began = performance.now();
      await work(session);
      if (isShared) await rest(performance.now() - began);
    }
  };
  const { sessions, messages, usage, feed } = cutoffs;
  if (sessions !== undefined)
    await eachInactive(sessions, false, async (session) => {
      removed.messages += await inSlices(() => store.deleteSomeMessages(session.pk, sessions));
      if (!goOn()) return;
      if (await store.deleteInactiveSession(session.pk, sessions, (seq) => announce(session, seq)))
        removed.sessions++;
    });
  if (messages !== undefined)
    await eachInactive(messages, true, async ({ pk }) => {
      removed.messages += await inSlices(() => store.deleteSomeMessages(pk, messages));
    });
  if (usage !== undefined) removed.usageReports = await inSlices(() => store.deleteSomeUsage(usage));
  if (feed !== undefined) removed.feedEntries = await inSlices(() => store.deleteSomeFeed(feed));
  return removed;
}

export interface HappyRetentionParts {
  /** Read at each use: limits may change while the server runs. */
  readonly config: HappyConfig;
  readonly store: HappyStore;
  /** See RetentionOptions. */
  readonly announce: RetentionOptions["announce"];
}

const KINDS = ["sessions", "messages", "usage reports", "feed entries"] as const;

export function happyRetention({ config, store, announce }: HappyRetentionParts): Retention {
  return {
    kinds: [...KINDS.slice(0, 2), "attachments", ...KINDS.slice(2)],
    shortestMs: () => shortest(config),
    newest: (now) => store.newestMoment(now),
    plan: (now) => store.countOld(cutoffs(config, now)),
    run: async ({ now, goOn, isShared }) => {
      const limits = cutoffs(config, now ?? Number.NEGATIVE_INFINITY);
      const { sessions, messages, usageReports, feedEntries } =
        now === undefined || !hasRules(limits)
          ? NOTHING
          : await applyRetention({ store, cutoffs: limits, announce, goOn, isShared });
      return {
        sessions,
        messages,
        "usage reports": usageReports,
        "feed entries": feedEntries,
      } satisfies Record<(typeof KINDS)[number], number>;
    },
  };
}

const NOTHING: Removed = { sessions: 0, messages: 0, usageReports: 0, feedEntries: 0 };

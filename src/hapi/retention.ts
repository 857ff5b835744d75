// Applies the operator's age limits to what the hub keeps, a little at a time. The same rules for the server, which tells its clients,
// and for the command, which works beside a running one. Nothing has a limit until somebody gives it one: the original keeps everything.
import { rest } from "../retention/rest.ts";
import type { Retention } from "../retention/retention.ts";
import type { HapiConfig } from "./settings.ts";
import type { HapiStore } from "./store/contract.ts";
import type { OldCutoffs, OldRows } from "./store/records.ts";
import type { SessionKey } from "./store/rows.ts";

const DAY_MS = 86_400_000;
/** Other protocols have sessions too, and a person reads all of them in one line. */
const named = <K extends OldRows["kind"]>(kind: K) => `HAPI ${kind}` as const;
const KINDS = (["sessions", "messages", "usage events", "expired work events"] as const).map(named);
type Kind = (typeof KINDS)[number];

export type RetentionConfig = Pick<
  HapiConfig,
  "hapiRetentionSessionsDays" | "hapiRetentionMessagesDays" | "hapiRetentionUsageDays"
>;

export interface HapiRetentionParts {
  /** Read at each use: limits may change while the server runs. */
  readonly config: RetentionConfig;
  readonly store: Pick<
    HapiStore,
    | "newestMoment"
    | "countOld"
    | "nextInactiveSession"
    | "deleteSomeMessages"
    | "deleteInactiveSession"
    | "deleteSomeUsage"
    | "deleteExpiredWorkEvents"
  >;
  /** After the commit that deleted a session. */
  readonly gone: (session: SessionKey) => void;
}

export function hapiRetention({ config, store, gone }: HapiRetentionParts): Retention {
  return {
    kinds: KINDS,
    shortestMs: () => shortestOf(config),
    newest: (now) => store.newestMoment(now),
    plan: async (now) => {
      const old = await store.countOld(cutoffs(config, now));
      return old.map(({ kind, namespace, count, bytes }) => ({
        kind: named(kind),
        account: namespace,
        count,
        bytes,
      }));
    },
    run: async ({ now, goOn, isShared }) => {
      const removed: Record<Kind, number> = {
        "HAPI sessions": 0,
        "HAPI messages": 0,
        "HAPI usage events": 0,
        "HAPI expired work events": 0,
      };
      if (now === undefined) return removed;
      const limits = cutoffs(config, now);
      const slices = async (kind: Kind, slice: () => Promise<number>): Promise<void> => {
        while (goOn()) {
          const began = performance.now();
          const count = await slice();
          if (count === 0) return;
          removed[kind] += count;
          if (isShared) await rest(performance.now() - began);
        }
      };
      const eachInactive = async (
        before: number,
        withMessages: boolean,
        work: (session: SessionKey) => Promise<void>,
      ): Promise<void> => {
        let after = "";
        while (goOn()) {
          const session = await store.nextInactiveSession(before, after, withMessages);
          if (session === undefined) return;
          after = session.id;
          const began = performance.now();
          await work(session);
          if (isShared) await rest(performance.now() - began);
        }
      };
      const { sessions, messages, usage, expired } = limits;
      if (sessions !== undefined)
        await eachInactive(sessions, false, async ({ id }) => {
          await slices("HAPI messages", () => store.deleteSomeMessages(id, sessions));
          if (!goOn()) return;
          const isGone = await store.deleteInactiveSession(id, sessions, (deleted) => {
            if (deleted !== undefined) gone(deleted.row);
          });
          if (isGone) removed["HAPI sessions"]++;
        });
      if (messages !== undefined)
        await eachInactive(messages, true, ({ id }) =>
          slices("HAPI messages", () => store.deleteSomeMessages(id, messages)),
        );
      if (usage !== undefined) await slices("HAPI usage events", () => store.deleteSomeUsage(usage));
      if (expired !== undefined)
        await slices("HAPI expired work events", () => store.deleteExpiredWorkEvents(expired));
      return removed;
    },
  };
}

/** Unix ms by kind; a limit of 0 days is none. What says itself when it expires needs no limit. */
export function cutoffs(config: RetentionConfig, now: number): OldCutoffs {
  const before = (days: number) => (days === 0 ? undefined : now - days * DAY_MS);
  return {
    sessions: before(config.hapiRetentionSessionsDays),
    messages: before(config.hapiRetentionMessagesDays),
    usage: before(config.hapiRetentionUsageDays),
    expired: now,
  };
}

/** The shortest time for which something is kept, in ms; infinite without limits. */
export function shortestOf(config: RetentionConfig): number {
  const days = [
    config.hapiRetentionSessionsDays,
    config.hapiRetentionMessagesDays,
    config.hapiRetentionUsageDays,
  ];
  return Math.min(...days.filter((count) => count > 0).map((count) => count * DAY_MS));
}

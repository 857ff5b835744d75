// Applies the operator's age limits to what the Happy protocol keeps, a little at a time. The same rules for the server, which tells
// the clients, and for the command, which works beside a running one.
import { setTimeout as wait } from "node:timers/promises";
import type { Database } from "../storage/database.ts";
import {
  deleteInactiveSession,
  deleteSomeFeed,
  deleteSomeMessages,
  deleteSomeUsage,
  nextInactiveSession,
  type OldCutoffs,
  type OldSession,
} from "./store/retention.ts";

/** Share of the time in which the disk is somebody else's. */
const REST = 4;
const LONGEST_REST_MS = 250;

export interface RetentionOptions {
  readonly database: Database;
  readonly cutoffs: OldCutoffs;
  /** After the commit that deleted a session, with the number of its announcement. */
  readonly announce: (session: OldSession, updateSeq: number) => void;
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
  database,
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
      const session = nextInactiveSession(database.reads, before, pk, withMessages);
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
      removed.messages += await inSlices(() => deleteSomeMessages(database, session.pk, sessions));
      if (!goOn()) return;
      if (await deleteInactiveSession(database, session.pk, sessions, (seq) => announce(session, seq)))
        removed.sessions++;
    });
  if (messages !== undefined)
    await eachInactive(messages, true, async ({ pk }) => {
      removed.messages += await inSlices(() => deleteSomeMessages(database, pk, messages));
    });
  if (usage !== undefined) removed.usageReports = await inSlices(() => deleteSomeUsage(database, usage));
  if (feed !== undefined) removed.feedEntries = await inSlices(() => deleteSomeFeed(database, feed));
  return removed;
}

/** Long enough that whoever waits for the database gets it in between. */
export async function rest(workedMs: number): Promise<void> {
  await wait(Math.min(LONGEST_REST_MS, Math.max(1, workedMs * REST)));
}

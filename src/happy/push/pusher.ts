// Decides about each push and carries it out (realtime contract 11): held back while a person looks at the app, else sent to every
// device of the account within one deadline. Every decision is kept in the ledger, whatever came of it.

import type { Logger } from "pino";
import type { HappyStore } from "../store/index.ts";
import type { PushOutcome, PushRecord, PushTokenRow } from "../store/push.ts";
import { type Deadline, deadlineIn } from "./deadline.ts";
import type { Expo, Verdict } from "./expo.ts";
import { eventKey, RecentPushes, SAME_EVENT_MS } from "./recent-pushes.ts";

export const PUSH_KINDS = ["done", "permission", "question"] as const;

export interface PushEvent {
  readonly account: string;
  readonly sessionId: string;
  readonly kind: (typeof PUSH_KINDS)[number];
  readonly title: string;
  readonly body: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What the caller is told, and what the ledger keeps. */
export interface PushDecision {
  readonly outcome: PushOutcome;
  readonly reason?: string;
  readonly tokens: number;
  readonly delivered: number;
}

interface Carried extends PushDecision {
  readonly rows: readonly PushTokenRow[];
  readonly verdicts: readonly Verdict[];
}

export interface PusherParts {
  readonly store: Pick<HappyStore, "findKeptPush" | "findPushTokens" | "recordPush" | "forgetOldPushes">;
  readonly expo: Expo;
  /** Whether a person of this account has an app open in front. */
  readonly isLooking: (account: string) => boolean;
  readonly log: Logger;
  /** For all requests to Expo together; the CLI waits 15 s for the answer. */
  readonly deadlineMs?: number;
  readonly decided?: (outcome: PushOutcome) => void;
  /** How many pushes of one account may be under way, 0 for no limit. */
  readonly atMost?: () => number;
  /** Hears of an account that was refused for it. */
  readonly refused?: (account: string) => void;
}

const DEADLINE_MS = 8_000;
/** The ledger is cut to its bound after this many decisions; the receipt reader does so now and then too. */
const TRIM_EVERY = 1_000;
/** Expo takes 4 KiB. What is far above is not multiplied by the number of devices, only to be refused there. */
const MAX_DATA_BYTES = 16 * 1024;

export class Pusher {
  readonly #running = new Set<Promise<PushDecision>>();
  readonly #recent = new RecentPushes();
  readonly #stopping = new AbortController();
  readonly #startedAt = performance.now();
  #untilTrim = TRIM_EVERY;

  constructor(private readonly parts: PusherParts) {}

  /**
   * Resolves with what was decided, after it was kept. The same event within ten seconds is decided once; `isNew` is called before
   * the decision about an event that is not such a repeat. Rejects only when the ledger cannot be read.
   */
  async push(event: PushEvent, isNew: () => void = () => {}): Promise<PushDecision> {
    const key = eventKey(event);
    const isYoung = performance.now() - this.#startedAt <= SAME_EVENT_MS;
    if (isYoung && this.#recent.find(event.account, key) === undefined) {
      const kept = await this.#kept(event.account, key);
      if (kept !== undefined) return kept;
    }
    return this.#once(event, key, isNew);
  }

  /** Looks and begins in one step: the same event may have come while the ledger was read. */
  #once(event: PushEvent, key: string, isNew: () => void): Promise<PushDecision> {
    const { account } = event;
    const known = this.#recent.find(account, key);
    if (known !== undefined) return known;
    isNew();
    const atMost = this.parts.atMost?.() ?? 0;
    if (atMost > 0 && this.#recent.underWay(account) >= atMost) {
      this.parts.refused?.(account);
      this.parts.decided?.("failed");
      return Promise.resolve(none("failed", "Too many pushes at once"));
    }
    const work = this.#push(event, key).finally(() => this.#running.delete(work));
    this.#running.add(work);
    this.#recent.add(account, key, work);
    return work;
  }

  /** Gives up what is under way and keeps its outcome. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running);
    this.#recent.clear();
  }

  /** A client whose answer was cut off by a restart asks again: the ledger knows what was delivered just before it. */
  async #kept(account: string, key: string): Promise<PushDecision | undefined> {
    const row = await this.parts.store.findKeptPush(account, key, Date.now(), SAME_EVENT_MS);
    if (row === undefined || row.delivered === 0) return undefined;
    const { outcome, reason, tokens, delivered } = row;
    return { outcome, tokens, delivered, ...(reason !== null && { reason }) };
  }

  async #push(event: PushEvent, key: string): Promise<PushDecision> {
    const startedAt = performance.now();
    let carried: Carried;
    try {
      carried = await this.#carryOut(event);
    } catch (error) {
      this.parts.log.error({ err: error }, "a push failed unexpectedly");
      carried = { ...none("failed", "Internal error"), rows: [], verdicts: [] };
    }
    this.parts.decided?.(carried.outcome);
    const { rows, verdicts, ...decision } = carried;
    const durationMs = Math.round(performance.now() - startedAt);
    const devices = rows.map((row, position) => ({ row, verdict: verdicts[position] }));
    await this.#keep({ ...event, eventKey: key, decision, durationMs, devices });
    return decision;
  }

  async #carryOut({ account, sessionId, kind, title, body, data }: PushEvent): Promise<Carried> {
    const { store, isLooking, deadlineMs = DEADLINE_MS } = this.parts;
    if (isLooking(account)) return { ...none("suppressed", "active-ui-client"), rows: [], verdicts: [] };
    const rows = await store.findPushTokens(account);
    if (rows.length === 0) return { ...none("no_tokens"), rows: [], verdicts: [] };
    const payload = { sessionId, ...data, kind };
    const message = { title, body, data: payload, sound: "default", channelId: "messages" } as const;
    const verdicts = await this.#send(
      rows.map(({ token }) => ({ to: token, ...message })),
      deadlineIn(deadlineMs, this.#stopping.signal),
    );
    return { ...decisionOf(verdicts), rows, verdicts };
  }

  #send(messages: Parameters<Expo["send"]>[0], deadline: Deadline): Promise<Verdict[]> {
    const bytes = Buffer.byteLength(JSON.stringify(messages[0]?.data));
    if (bytes <= MAX_DATA_BYTES) return this.parts.expo.send(messages, deadline);
    return Promise.resolve(messages.map(() => ({ ok: false, reason: "MessageTooBig", dead: false })));
  }

  /** A full disk does not turn a delivered push into a failed one. */
  async #keep(record: PushRecord): Promise<void> {
    const { store, log } = this.parts;
    try {
      await store.recordPush(record);
      if (--this.#untilTrim > 0) return;
      this.#untilTrim = TRIM_EVERY;
      await store.forgetOldPushes(Date.now());
    } catch (error) {
      log.error({ err: error }, "the outcome of a push could not be kept");
    }
  }
}

function none(outcome: PushOutcome, reason?: string): PushDecision {
  return { outcome, tokens: 0, delivered: 0, ...(reason !== undefined && { reason }) };
}

/** From one verdict a device to one decision (realtime contract 11.4). */
export function decisionOf(verdicts: readonly Verdict[]): PushDecision {
  const reasons = verdicts.flatMap((verdict) => (verdict.ok ? [] : [verdict.reason]));
  const tokens = verdicts.length;
  const delivered = tokens - reasons.length;
  if (reasons.length === 0) return { outcome: "sent", tokens, delivered };
  return { outcome: delivered === 0 ? "failed" : "partial", reason: reasons.join(", "), tokens, delivered };
}

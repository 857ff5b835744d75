// Decides about each push and carries it out (realtime contract 11): held back while somebody looks at the app, else sent to every
// device of the account within one deadline. Every decision is kept in the ledger, whatever came of it.
import type { Logger } from "pino";
import type { Database } from "../../storage/database.ts";
import {
  findPushTokens,
  forgetOldPushes,
  type PushOutcome,
  type PushTokenRow,
  recordPush,
} from "../store/push.ts";
import type { Expo, Verdict } from "./expo.ts";

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

/** The CLI waits 15 s for the answer; this is for all requests to Expo together. */
const DEADLINE_MS = 8_000;
/** The ledger is cut to its bound after this many decisions; the receipt reader does so now and then too. */
const TRIM_EVERY = 1_000;

export class Pusher {
  readonly #running = new Set<Promise<PushDecision>>();
  readonly #stopping = new AbortController();
  #untilTrim = TRIM_EVERY;

  constructor(
    private readonly database: Database,
    private readonly expo: Expo,
    private readonly isLooking: (account: string) => boolean,
    private readonly log: Logger,
    private readonly deadlineMs = DEADLINE_MS,
    private readonly decided: (outcome: PushOutcome) => void = () => {},
  ) {}

  /** Resolves with what was decided, after it was kept. Never rejects. */
  push(event: PushEvent): Promise<PushDecision> {
    const work = this.#push(event).finally(() => this.#running.delete(work));
    this.#running.add(work);
    return work;
  }

  /** Gives up what is under way and keeps its outcome. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running);
  }

  async #push(event: PushEvent): Promise<PushDecision> {
    const startedAt = performance.now();
    let carried: Carried;
    try {
      carried = await this.#carryOut(event);
    } catch (error) {
      this.log.error({ err: error }, "a push failed unexpectedly");
      carried = { ...none("failed", "Internal error"), rows: [], verdicts: [] };
    }
    this.decided(carried.outcome);
    await this.#keep(event, carried, Math.round(performance.now() - startedAt));
    return carried;
  }

  async #carryOut({ account, sessionId, kind, title, body, data }: PushEvent): Promise<Carried> {
    if (this.isLooking(account)) return { ...none("suppressed", "active-ui-client"), rows: [], verdicts: [] };
    const rows = findPushTokens(this.database, account);
    if (rows.length === 0) return { ...none("no_tokens"), rows: [], verdicts: [] };
    const payload = { sessionId, ...data, kind };
    const messages = rows.map(
      ({ token }) =>
        ({ to: token, title, body, data: payload, sound: "default", channelId: "messages" }) as const,
    );
    const signal = AbortSignal.any([AbortSignal.timeout(this.deadlineMs), this.#stopping.signal]);
    const verdicts = await this.expo.send(messages, signal);
    return { ...decisionOf(verdicts), rows, verdicts };
  }

  /** A full disk does not turn a delivered push into a failed one. */
  async #keep({ account, sessionId, kind }: PushEvent, carried: Carried, durationMs: number) {
    const { rows, verdicts, ...decision } = carried;
    try {
      await recordPush(this.database, {
        account,
        sessionId,
        kind,
        decision,
        durationMs,
        devices: rows.map((row, position) => ({ row, verdict: verdicts[position] })),
      });
      if (--this.#untilTrim > 0) return;
      this.#untilTrim = TRIM_EVERY;
      await forgetOldPushes(this.database, Date.now());
    } catch (error) {
      this.log.error({ err: error }, "the outcome of a push could not be kept");
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

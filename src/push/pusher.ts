// Decides about each push and carries it out: held back where its protocol says so, such as while a person looks, else sent to every
// device of its owner within one deadline. Every decision is kept in the ledger, whatever came of it. The same event within ten seconds
// is decided once, also across a restart.
import type { Logger } from "pino";
import type { PushChannel, Verdict } from "./channel.ts";
import { deadlineIn } from "./deadline.ts";
import { decidedWithoutDevices, decisionOf, type PushDecision, type PushOutcome } from "./decision.ts";
import type { Device, PushLedger, PushRecord } from "./ledger.ts";
import { eventKey, RecentPushes, SAME_EVENT_MS } from "./recent-pushes.ts";

export interface Push<Message> {
  /** Whose devices get it. */
  readonly owner: string;
  /** What it is about, such as a session. */
  readonly subject: string;
  readonly kind: string;
  readonly message: Message;
  /** Everything that tells this event from any other. */
  readonly event: readonly unknown[];
}

export interface PusherParts<Address, Message, D extends Device<Address>> {
  readonly ledger: PushLedger<D>;
  readonly channel: PushChannel<Address, Message>;
  /** Why a push is held back; undefined to send it. One that fails holds nothing back. */
  readonly holdBack: (push: Push<Message>) => string | undefined | Promise<string | undefined>;
  readonly log: Logger;
  /** For everything that the channel does for one push. */
  readonly deadlineMs: number;
  readonly decided?: (outcome: PushOutcome) => void;
  /** How many pushes of one owner may be under way, 0 for no limit. */
  readonly atMost?: () => number;
  /** Hears of an owner that was refused for it. */
  readonly refused?: (owner: string) => void;
}

interface Carried<D> {
  readonly decision: PushDecision;
  readonly devices: PushRecord<D>["devices"];
}

/** The ledger is cut to its bound after this many decisions; the reader of receipts does so now and then too. */
const TRIM_EVERY = 1_000;

export class Pusher<Address, Message, D extends Device<Address> = Device<Address>> {
  readonly #running = new Set<Promise<PushDecision>>();
  readonly #recent = new RecentPushes();
  readonly #stopping = new AbortController();
  readonly #startedAt = performance.now();
  #untilTrim = TRIM_EVERY;

  constructor(private readonly parts: PusherParts<Address, Message, D>) {}

  /**
   * Resolves with what was decided, after it was kept. Never rejects. The same event within ten seconds is decided once; `isNew` is
   * called for an event that is not such a repeat, before anything is sent.
   */
  push(push: Push<Message>, isNew: () => void = () => {}): Promise<PushDecision> {
    const key = eventKey(push.event);
    const known = this.#recent.find(push.owner, key);
    if (known !== undefined) return known;
    if (performance.now() - this.#startedAt > SAME_EVENT_MS) return this.#begin(push, key, isNew);
    return this.#track(this.#beginUnlessKept(push, key, isNew));
  }

  /** Gives up what is under way and keeps its outcome. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running);
    this.#recent.clear();
  }

  #track(work: Promise<PushDecision>): Promise<PushDecision> {
    const tracked = work.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
    return tracked;
  }

  /** A client whose answer was cut off by a restart asks again: the ledger knows what was delivered just before it. */
  async #beginUnlessKept(push: Push<Message>, key: string, isNew: () => void): Promise<PushDecision> {
    const kept = await this.#kept(push.owner, key);
    // The same event may have begun during the look.
    return kept ?? this.#recent.find(push.owner, key) ?? this.#begin(push, key, isNew);
  }

  async #kept(owner: string, key: string): Promise<PushDecision | undefined> {
    try {
      const decision = await this.parts.ledger.find(owner, key, Date.now(), SAME_EVENT_MS);
      return decision === undefined || decision.delivered === 0 ? undefined : decision;
    } catch (error) {
      this.parts.log.error({ err: error }, "earlier pushes could not be looked up");
      return undefined;
    }
  }

  #begin(push: Push<Message>, key: string, isNew: () => void): Promise<PushDecision> {
    const { atMost = () => 0, decided, refused } = this.parts;
    isNew();
    const limit = atMost();
    if (limit > 0 && this.#recent.underWay(push.owner) >= limit) {
      refused?.(push.owner);
      decided?.("failed");
      return Promise.resolve(decidedWithoutDevices("failed", "Too many pushes at once"));
    }
    const work = this.#track(this.#push(push, key));
    this.#recent.add(push.owner, key, work);
    return work;
  }

  async #push(push: Push<Message>, key: string): Promise<PushDecision> {
    const startedAt = performance.now();
    let carried: Carried<D>;
    try {
      carried = await this.#carryOut(push);
    } catch (error) {
      this.parts.log.error({ err: error }, "a push failed unexpectedly");
      carried = { decision: decidedWithoutDevices("failed", "Internal error"), devices: [] };
    }
    const { owner, subject, kind } = push;
    const { decision, devices } = carried;
    this.parts.decided?.(decision.outcome);
    const durationMs = Math.round(performance.now() - startedAt);
    await this.#keep({ owner, subject, kind, eventKey: key, decision, durationMs, devices });
    return decision;
  }

  async #carryOut(push: Push<Message>): Promise<Carried<D>> {
    const { ledger, channel, deadlineMs } = this.parts;
    const reason = await this.#heldBack(push);
    if (reason !== undefined) return { decision: decidedWithoutDevices("held-back", reason), devices: [] };
    const devices = await ledger.devices(push.owner);
    if (devices.length === 0) return { decision: decidedWithoutDevices("no-devices"), devices: [] };
    const addresses = devices.map(({ address }) => address);
    const deadline = deadlineIn(deadlineMs, this.#stopping.signal);
    const verdicts: Verdict[] = await channel.send(addresses, push.message, deadline);
    return {
      decision: decisionOf(verdicts),
      devices: devices.map((device, place) => ({ device, verdict: verdicts[place] })),
    };
  }

  async #heldBack(push: Push<Message>): Promise<string | undefined> {
    try {
      return await this.parts.holdBack(push);
    } catch (error) {
      this.parts.log.error({ err: error }, "whether to hold a push back could not be told; it is sent");
      return undefined;
    }
  }

  /** A full disk does not turn a delivered push into a failed one. */
  async #keep(record: PushRecord<D>): Promise<void> {
    const { ledger, log } = this.parts;
    try {
      await ledger.record(record);
      if (--this.#untilTrim > 0) return;
      this.#untilTrim = TRIM_EVERY;
      await ledger.trim(Date.now());
    } catch (error) {
      log.error({ err: error }, "the outcome of a push could not be kept");
    }
  }
}

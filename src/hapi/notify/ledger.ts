// The ledger of the neutral pusher over the hub's store, one for each channel: an owner is a namespace, what a push is about is a session.
import type { PushDecision, PushOutcome } from "../../push/decision.ts";
import type { Device, PushLedger, PushRecord } from "../../push/ledger.ts";
import type { HapiStore } from "../store/contract.ts";
import type { PushedTo } from "../store/rows.ts";

export type LedgerStore = Pick<HapiStore, "recordPush" | "findKeptPush" | "forgetOldPushes">;

export interface HapiPushLedgerParts<D> {
  readonly store: LedgerStore;
  readonly channel: string;
  readonly devices: (namespace: string) => Promise<readonly D[]>;
  /** The registration that goes when its address is dead; undefined where nothing goes. */
  readonly registration: (device: D) => PushedTo | undefined;
}

const OUTCOMES: ReadonlySet<string> = new Set<PushOutcome>([
  "sent",
  "partial",
  "failed",
  "held-back",
  "no-devices",
]);
const isOutcome = (text: string): text is PushOutcome => OUTCOMES.has(text);

export class HapiPushLedger<D extends Device<unknown>> implements PushLedger<D> {
  constructor(private readonly parts: HapiPushLedgerParts<D>) {}

  devices(namespace: string): Promise<readonly D[]> {
    return this.parts.devices(namespace);
  }

  async record({ owner, subject, kind, eventKey, decision, durationMs, devices }: PushRecord<D>) {
    const { outcome, reason = null, devices: asked, delivered } = decision;
    const { store, channel, registration } = this.parts;
    const dead = devices.flatMap(({ device, verdict }) => {
      const row = verdict?.ok === false && verdict.dead ? registration(device) : undefined;
      return row === undefined ? [] : [row];
    });
    await store.recordPush(
      {
        namespace: owner,
        sessionId: subject,
        channel,
        kind,
        eventKey,
        outcome,
        reason,
        devices: asked,
        delivered,
        durationMs,
      },
      dead,
    );
  }

  async find(
    namespace: string,
    eventKey: string,
    now: number,
    withinMs: number,
  ): Promise<PushDecision | undefined> {
    const kept = await this.parts.store.findKeptPush(namespace, eventKey, now, withinMs);
    if (kept === undefined) return undefined;
    const { outcome, reason, devices, delivered } = kept;
    return {
      outcome: isOutcome(outcome) ? outcome : "failed",
      ...(reason !== null && { reason }),
      devices,
      delivered,
    };
  }

  trim(now: number): Promise<void> {
    return this.parts.store.forgetOldPushes(now);
  }
}

// The ledger of the neutral pusher over the Happy store: a device is a push token, an owner is an account.
import type { PushDecision } from "../../push/decision.ts";
import type { DueTickets, PushLedger, PushRecord, Settlement, TicketLedger } from "../../push/ledger.ts";
import type { HappyStore } from "../store/index.ts";
import type { PushTokenRow, TicketRow } from "../store/push.ts";
import { decidedOutcome, happyOutcome } from "./outcome.ts";

export interface Phone {
  readonly address: string;
  readonly row: PushTokenRow;
}

type PushStore = Pick<
  HappyStore,
  "findPushTokens" | "recordPush" | "findKeptPush" | "findDueTickets" | "settleTickets" | "forgetOldPushes"
>;

export class HappyPushLedger implements PushLedger<Phone>, TicketLedger<TicketRow> {
  constructor(private readonly store: PushStore) {}

  async devices(account: string): Promise<Phone[]> {
    const rows = await this.store.findPushTokens(account);
    return rows.map((row) => ({ address: row.token, row }));
  }

  async record({ owner, subject, kind, eventKey, decision, durationMs, devices }: PushRecord<Phone>) {
    const { outcome, reason, devices: tokens, delivered } = decision;
    await this.store.recordPush({
      account: owner,
      sessionId: subject,
      kind,
      eventKey,
      decision: {
        outcome: happyOutcome(outcome),
        ...(reason !== undefined && { reason }),
        tokens,
        delivered,
      },
      durationMs,
      devices: devices.map(({ device, verdict }) => ({ row: device.row, verdict })),
    });
  }

  async find(
    account: string,
    eventKey: string,
    now: number,
    withinMs: number,
  ): Promise<PushDecision | undefined> {
    const row = await this.store.findKeptPush(account, eventKey, now, withinMs);
    if (row === undefined) return undefined;
    const { outcome, reason, tokens, delivered } = row;
    return {
      outcome: decidedOutcome(outcome),
      ...(reason !== null && { reason }),
      devices: tokens,
      delivered,
    };
  }

  async dueTickets({ now, afterMs, last, limit }: DueTickets<TicketRow>): Promise<TicketRow[]> {
    return await this.store.findDueTickets(now, afterMs, last, limit);
  }

  settle(settlement: Settlement): Promise<void> {
    return this.store.settleTickets(settlement);
  }

  trim(now: number): Promise<void> {
    return this.store.forgetOldPushes(now);
  }
}

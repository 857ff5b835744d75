// The smallest ledger that keeps the contract of src/push/ledger.ts: everything in memory, devices are names.
import type { PushDecision } from "../../src/push/decision.ts";
import type {
  Device,
  DueTickets,
  PushLedger,
  PushRecord,
  Settlement,
  TicketLedger,
} from "../../src/push/ledger.ts";

/** A registration: another one of the same name is another device. */
export type NamedDevice = Device<string>;

export interface MemoryTicket {
  readonly id: string;
  readonly device: NamedDevice;
  readonly entry: Entry;
  readonly at: number;
  readonly asked: number;
}

interface Entry {
  readonly owner: string;
  readonly eventKey: string;
  readonly decision: PushDecision;
  readonly at: number;
}

const TICKET_MS = 24 * 60 * 60_000;
const ASKED_AT_LEAST = 12;

export class MemoryLedger implements PushLedger<NamedDevice>, TicketLedger<MemoryTicket> {
  /** owner -> devices */
  readonly registered = new Map<string, NamedDevice[]>();
  entries: Entry[] = [];
  tickets: MemoryTicket[] = [];
  trims = 0;

  /** Also again: what is said about earlier registrations is not about this one. */
  register(owner: string, address: string): void {
    this.unregister(owner, address);
    this.registered.set(owner, [{ address }, ...(this.registered.get(owner) ?? [])]);
  }

  unregister(owner: string, address: string): void {
    const left = (this.registered.get(owner) ?? []).filter((device) => device.address !== address);
    this.registered.set(owner, left);
  }

  async devices(owner: string): Promise<readonly NamedDevice[]> {
    return [...(this.registered.get(owner) ?? [])];
  }

  async record({ owner, eventKey, decision, devices }: PushRecord<NamedDevice>): Promise<void> {
    if (!this.registered.has(owner)) return;
    const at = Date.now();
    const entry: Entry = { owner, eventKey, decision, at };
    this.entries.push(entry);
    for (const { device, verdict } of devices) {
      if (verdict?.ok === false && verdict.dead) this.#delete(device);
      if (verdict?.ok !== true || verdict.ticket === undefined || !this.#isRegistered(device)) continue;
      this.tickets.push({ id: verdict.ticket, device, entry, at, asked: 0 });
    }
  }

  async find(
    owner: string,
    eventKey: string,
    now: number,
    withinMs: number,
  ): Promise<PushDecision | undefined> {
    const isIt = (entry: Entry) =>
      entry.owner === owner && entry.eventKey === eventKey && Math.abs(entry.at - now) <= withinMs;
    return this.entries.findLast(isIt)?.decision;
  }

  async dueTickets({ now, afterMs, last, limit }: DueTickets<MemoryTicket>): Promise<MemoryTicket[]> {
    const order = (a: MemoryTicket, b: MemoryTicket) => a.at - b.at || a.id.localeCompare(b.id);
    return this.tickets
      .filter(({ at }) => at <= now - afterMs || at > now)
      .filter((ticket) => last === undefined || order(ticket, last) > 0)
      .sort(order)
      .slice(0, limit);
  }

  async settle({ asked, verdicts, refused }: Settlement): Promise<void> {
    for (const id of asked) {
      const ticket = this.tickets.find((each) => each.id === id);
      const verdict = verdicts.get(id);
      if (ticket === undefined) continue;
      this.tickets = this.tickets.filter((each) => each !== ticket);
      if (verdict === undefined && !refused.includes(id))
        this.tickets.push({ ...ticket, asked: ticket.asked + 1 });
      if (verdict === undefined || verdict.ok) continue;
      this.#amend(ticket.entry, verdict.reason);
      if (verdict.dead) this.#delete(ticket.device);
    }
  }

  async trim(now: number): Promise<void> {
    this.trims++;
    this.tickets = this.tickets.filter(({ at, asked }) => at >= now - TICKET_MS || asked < ASKED_AT_LEAST);
  }

  #isRegistered(device: NamedDevice): boolean {
    return [...this.registered.values()].some((devices) => devices.includes(device));
  }

  #delete(device: NamedDevice): void {
    for (const [owner, devices] of this.registered)
      this.registered.set(
        owner,
        devices.filter((each) => each !== device),
      );
  }

  /** One device fewer got it. Tickets point at the entry as it was, so it is changed in its place. */
  #amend(entry: Entry, reason: string): void {
    const { decision } = entry;
    const delivered = Math.max(0, decision.delivered - 1);
    const reasons = decision.reason === undefined ? reason : `${decision.reason}, ${reason}`;
    const outcome = delivered === 0 ? "failed" : "partial";
    Object.assign(decision, { outcome, delivered, reason: reasons });
  }
}

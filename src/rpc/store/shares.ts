// Who may hold how much of a store that tenants share, and who gives when it is full: one rule for memory, SQLite and Redis.
//
// 1. What cannot be taken back (a task that is not over, a call that runs) is firm. A holder has at most seven times as much of it as is left
//    for more: seven eighths while it is alone, seven fifteenths beside another one as hungry. So there is always room for who comes.
// 2. Of the rest may hold who likes. When it is full, whoever holds the most gives, its oldest first; where that would be the newcomer
//    itself, the newcomer does. Among equals the one gives that was not heard of for the longest time.
//
// Holders are few where callers cannot invent them, and whoever holds nothing is not remembered.

export interface Amount {
  readonly entries: number;
  readonly bytes: number;
}

export interface Held extends Amount {
  readonly firm: number;
  readonly firmBytes: number;
}

export type Firm = Pick<Held, "firm" | "firmBytes">;

/** What is full. */
export type Measure = keyof Amount;

export const FIRM_TIMES = 7;
export const NOTHING: Held = { entries: 0, bytes: 0, firm: 0, firmBytes: 0 };

/** Whoever proved nothing about itself. */
export const ANYONE = "anyone";
/** Whoever proved who it is, and is bound to no tenant. */
const UNBOUND = "unbound";

/** Tenants that a caller may invent count together: many names of one caller give it no more. No tenant's name has a slash. */
export function holderOf(tenant: string, isVerified: boolean, isBound: boolean): string {
  if (!isVerified) return ANYONE;
  return isBound ? `tenant/${tenant}` : UNBOUND;
}

/** One more that is firm, of so many bytes. `all`: of all holders together. */
export function mayHold(own: Firm, all: Firm, bounds: Amount, bytes: number): boolean {
  const left = bounds.entries - all.firm;
  const leftBytes = bounds.bytes - all.firmBytes;
  return (
    left >= 1 && leftBytes >= bytes && own.firm < FIRM_TIMES * left && own.firmBytes < FIRM_TIMES * leftBytes
  );
}

/** Undefined: it fits. */
export function fullOf(held: Amount, bounds: Amount, added: Amount): Measure | undefined {
  if (held.entries + added.entries > bounds.entries) return "entries";
  return held.bytes + added.bytes > bounds.bytes ? "bytes" : undefined;
}

/** Whether the newcomer itself gives: with what it adds it would hold as much as who holds the most. */
export const givesItself = (own: Held, most: Amount, measure: Measure, added: Amount): boolean =>
  own.entries > own.firm && own[measure] + added[measure] >= most[measure];

interface Counts {
  entries: number;
  bytes: number;
  firm: number;
  firmBytes: number;
}

/** Counts in memory. */
export class Shares {
  /** Who was not heard of for the longest time first. */
  readonly #holders = new Map<string, Counts>();
  readonly #all: Counts = { ...NOTHING };

  get all(): Held {
    return this.#all;
  }

  get size(): number {
    return this.#holders.size;
  }

  add(holder: string, bytes: number, isFirm: boolean): void {
    this.#count(holder, { entries: 1, bytes, firm: isFirm ? 1 : 0, firmBytes: isFirm ? bytes : 0 });
    this.heard(holder);
  }

  remove(holder: string, bytes: number, isFirm: boolean): void {
    this.#count(holder, {
      entries: -1,
      bytes: -bytes,
      firm: isFirm ? -1 : 0,
      firmBytes: isFirm ? -bytes : 0,
    });
  }

  /** An entry was one thing and is another. */
  change(holder: string, from: { bytes: number; isFirm: boolean }, to: { bytes: number; isFirm: boolean }) {
    this.#count(holder, {
      entries: 0,
      bytes: to.bytes - from.bytes,
      firm: Number(to.isFirm) - Number(from.isFirm),
      firmBytes: (to.isFirm ? to.bytes : 0) - (from.isFirm ? from.bytes : 0),
    });
  }

  heard(holder: string): void {
    const known = this.#holders.get(holder);
    if (known === undefined) return;
    this.#holders.delete(holder);
    this.#holders.set(holder, known);
  }

  mayHold(holder: string, bounds: Amount, bytes: number): boolean {
    return mayHold(this.#holders.get(holder) ?? NOTHING, this.#all, bounds, bytes);
  }

  full(bounds: Amount, added: Amount): Measure | undefined {
    return fullOf(this.#all, bounds, added);
  }

  /** Looks at each holder, and only where something has to go. Undefined: all that is held is firm. */
  giver(holder: string, measure: Measure, added: Amount): string | undefined {
    let most: readonly [name: string, held: Held] | undefined;
    for (const one of this.#holders)
      if (one[1].entries > one[1].firm && (most === undefined || one[1][measure] > most[1][measure]))
        most = one;
    if (most === undefined) return undefined;
    const own = this.#holders.get(holder) ?? NOTHING;
    return givesItself(own, most[1], measure, added) ? holder : most[0];
  }

  #count(holder: string, by: Held): void {
    let held = this.#holders.get(holder);
    if (held === undefined) {
      held = { ...NOTHING };
      this.#holders.set(holder, held);
    }
    for (const counts of [held, this.#all]) {
      counts.entries += by.entries;
      counts.bytes += by.bytes;
      counts.firm += by.firm;
      counts.firmBytes += by.firmBytes;
    }
    if (held.entries === 0) this.#holders.delete(holder);
  }
}

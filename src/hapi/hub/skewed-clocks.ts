// A keep-alive that claims to be old was either held up on its way, and then says nothing of now, or comes from a machine whose clock is
// behind. The second kind goes on: the claims of two in a row are as far apart as their arrivals, while those that were held up arrive
// at once. Without this a session on a machine whose clock is a day behind would never be seen at work.

/** Two keep-alives are compared if they arrive so far apart: less is a burst, more is another life. */
const APART_MS = { min: 500, max: 60_000 } as const;
/** A claimed span counts as the measured one within this. */
const TOLERANCE_MS = 1_500;
/** Who is over this is forgotten first; it then takes one keep-alive more. */
const MAX = 1_000;

export class SkewedClocks {
  readonly #last = new Map<string, { readonly claimed: number; readonly arrived: number }>();

  /** Whether a claim that is too old comes from a clock that is behind, and is made now. */
  isNow(id: string, claimed: number, arrived: number): boolean {
    const last = this.#last.get(id);
    this.#last.delete(id);
    if (!Number.isFinite(claimed)) return false;
    this.#last.set(id, { claimed, arrived });
    if (this.#last.size > MAX) {
      const [oldest] = this.#last.keys();
      if (oldest !== undefined) this.#last.delete(oldest);
    }
    if (last === undefined) return false;
    const span = arrived - last.arrived;
    if (span < APART_MS.min || span > APART_MS.max) return false;
    return Math.abs(claimed - last.claimed - span) <= TOLERANCE_MS;
  }

  /** Those that were not heard for long. */
  forget(now: number): void {
    for (const [id, { arrived }] of this.#last) if (now - arrived > APART_MS.max) this.#last.delete(id);
  }
}

// Which valid tokens are shut out all the same, in memory so that every request can ask. Filled at the start, changed by the
// announcements of the operations that shut out.
//
// Revoking all tokens of an account begins a new generation of them: tokens carry theirs, and one of an older generation is refused.
// No clock decides, so a token that was issued while the clock was ahead is refused too, and one that is issued after the clock was
// set back counts at once. Cuts of earlier versions were made by time, for tokens of generation 0; those go on to hold, and what is
// issued to such an account is dated at the cut or later.
import type { TokenClaims } from "../auth/tokens.ts";
import { type Cut, issueUnder, type Refusals } from "../store/revocations.ts";

const NO_CUT: Cut = { generation: 0, validFrom: null };

export class Revocations {
  readonly #disabled: Set<string>;
  readonly #removed: Set<string>;
  readonly #cuts: Map<string, Cut>;
  readonly #tokenIds: Set<string>;

  constructor(
    refusals: Refusals,
    private readonly now: () => number = Date.now,
  ) {
    this.#disabled = new Set(refusals.disabled);
    this.#removed = new Set(refusals.removed);
    this.#cuts = new Map(refusals.cuts);
    this.#tokenIds = new Set(refusals.tokenIds);
  }

  refuses({ account, id, issuedAt, generation }: TokenClaims): boolean {
    return (
      this.#disabled.has(account) ||
      this.#tokenIds.has(id) ||
      this.#isCut(account, generation, issuedAt) ||
      this.#removed.has(account)
    );
  }

  #isCut(account: string, generation: number, issuedAt: number): boolean {
    const cut = this.#cuts.get(account);
    if (cut === undefined) return false;
    return generation < cut.generation || (cut.generation === 0 && issuedAt < (cut.validFrom ?? 0));
  }

  /** What a token that is issued to the account now must say, so that it is not refused. */
  issueFor(account: string): { readonly generation: number; readonly issuedAt: number } {
    return issueUnder(this.#cuts.get(account) ?? NO_CUT, this.now());
  }

  disable(account: string): void {
    this.#disabled.add(account);
  }

  enable(account: string): void {
    this.#disabled.delete(account);
  }

  remove(account: string): void {
    this.#removed.add(account);
    this.#disabled.delete(account);
    this.#cuts.delete(account);
  }

  revokeToken(tokenId: string): void {
    this.#tokenIds.add(tokenId);
  }

  /** Every token of an earlier generation. */
  revokeBefore(account: string, cut: Cut): void {
    this.#cuts.set(account, cut);
  }
}

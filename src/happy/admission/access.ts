// Which valid tokens are shut out all the same, in memory so that every request can ask. Filled at the start, changed by the
// announcements of the operations that shut out.
import type { TokenClaims } from "../../auth/tokens.ts";
import type { Refusals } from "../store/revocations.ts";

/** Longest wait for the second from which on an account's tokens count. A clock that was set back must not hold a client. */
const MAX_WAIT_MS = 1_500;

export class Access {
  readonly #disabled: Set<string>;
  readonly #removed: Set<string>;
  readonly #validFrom: Map<string, number>;
  readonly #tokenIds: Set<string>;

  constructor(refusals: Refusals) {
    this.#disabled = new Set(refusals.disabled);
    this.#removed = new Set(refusals.removed);
    this.#validFrom = new Map(refusals.validFrom);
    this.#tokenIds = new Set(refusals.tokenIds);
  }

  refuses({ account, id, issuedAt }: TokenClaims): boolean {
    return (
      this.#disabled.has(account) ||
      this.#tokenIds.has(id) ||
      issuedAt < (this.#validFrom.get(account) ?? 0) ||
      this.#removed.has(account)
    );
  }

  /** Resolves when a token that is issued to the account counts: at once, but in the second of a revocation. */
  async untilIssuable(account: string): Promise<void> {
    const from = this.#validFrom.get(account);
    if (from === undefined) return;
    const waitMs = from * 1000 - Date.now();
    if (waitMs > 0) await Bun.sleep(Math.min(waitMs, MAX_WAIT_MS));
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
    this.#validFrom.delete(account);
  }

  revokeToken(tokenId: string): void {
    this.#tokenIds.add(tokenId);
  }

  /** Every token issued before this Unix second. */
  revokeBefore(account: string, validFrom: number): void {
    this.#validFrom.set(account, validFrom);
  }
}

// Notes which token is used by whom and when, cheap enough for every request: in memory, written once a minute and at the end.

import type { Logger } from "pino";
import type { Bounds } from "../../limits/bounds.ts";
import type { TokenClaims } from "../auth/tokens.ts";
import type { HappyStore } from "../store/index.ts";
import type { TokenUse } from "../store/token-uses.ts";

const STORE_EVERY_MS = 60_000;
/** Tokens that wait to be written; beyond, further ones wait for their next use. */
const MAX_PENDING = 10_000;
const MAX_ID_LENGTH = 100;
const MAX_LABEL_LENGTH = 100;

export interface SightingsParts {
  readonly store: Pick<HappyStore, "storeTokenUses">;
  /** Tokens of one account that are remembered; 0 for all. Asked each time: it may change while the server runs. */
  readonly limit: () => number;
  readonly bounds: Pick<Bounds, "refused">;
  readonly log: Logger;
}

export class TokenUsage {
  #pending = new Map<string, TokenUse>();
  #timer: Timer | undefined;

  constructor(private readonly parts: SightingsParts) {}

  /** `label` is what the client calls itself; one that says nothing keeps what it said before. */
  note({ account, id, issuedAt, generation }: TokenClaims, label: string | null | undefined): void {
    const known = this.#pending.get(id);
    if (known === undefined && (this.#pending.size >= MAX_PENDING || id === "" || id.length > MAX_ID_LENGTH))
      return;
    this.#pending.set(id, {
      account,
      tokenId: id,
      label: label?.slice(0, MAX_LABEL_LENGTH) || known?.label || "",
      issuedAt,
      generation,
      seenAt: Date.now(),
    });
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.store().catch((error: unknown) => {
        this.parts.log.warn({ err: error }, "which tokens are in use could not be stored");
      });
    }, STORE_EVERY_MS);
  }

  /** Writes what was noted. */
  async store(): Promise<void> {
    if (this.#pending.size === 0) return;
    const uses = [...this.#pending.values()];
    this.#pending = new Map();
    const limit = this.parts.limit();
    const over = await this.parts.store.storeTokenUses(uses, limit);
    for (const account of over) this.parts.bounds.refused("account-tokens", { account, limit });
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.store();
  }
}

// Notes which token is used by whom and when, cheap enough for every request: in memory, written once a minute and at the end.
import type { Logger } from "pino";
import type { TokenClaims } from "../../auth/tokens.ts";
import type { Database } from "../../storage/database.ts";
import { type Sighting, storeSightings } from "../store/seen-tokens.ts";

const STORE_EVERY_MS = 60_000;
/** Tokens that wait to be written; beyond, further ones wait for their next use. */
const MAX_PENDING = 10_000;
const MAX_ID_LENGTH = 100;
const MAX_LABEL_LENGTH = 100;

export class TokenSightings {
  #pending = new Map<string, Sighting>();
  #timer: Timer | undefined;

  constructor(
    private readonly database: Database,
    private readonly log: Logger,
  ) {}

  /** `label` is what the client calls itself; one that says nothing keeps what it said before. */
  note({ account, id, issuedAt }: TokenClaims, label: string | null | undefined): void {
    const known = this.#pending.get(id);
    if (known === undefined && (this.#pending.size >= MAX_PENDING || id === "" || id.length > MAX_ID_LENGTH))
      return;
    this.#pending.set(id, {
      account,
      tokenId: id,
      label: label?.slice(0, MAX_LABEL_LENGTH) || known?.label || "",
      issuedAt,
      seenAt: Date.now(),
    });
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.store().catch((error: unknown) => {
        this.log.warn({ err: error }, "which tokens are in use could not be stored");
      });
    }, STORE_EVERY_MS);
  }

  /** Writes what was noted. */
  async store(): Promise<void> {
    if (this.#pending.size === 0) return;
    const sightings = [...this.#pending.values()];
    this.#pending = new Map();
    await storeSightings(this.database, sightings);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.store();
  }
}

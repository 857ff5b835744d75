// Bearer tokens: compact JWS, Ed25519, never expiring (HTTP contract 2.2, data contract 7.2). The payload stays plain ASCII without
// `>`, `?`, `~`, so that its base64url has neither `-` nor `_`: the app decodes it with plain `atob`.
// Clocks: `nbf` and `iat` are never compared with now, so a clock that was set back refuses nothing. `exp` is, where there is one
// (the minutes of a GitHub sign-in): a clock that went back keeps such a token as much longer, one that went ahead ends it early.
import { compactVerify, errors, SignJWT } from "jose";
import { z } from "zod";
import type { SigningKeys } from "./keys.ts";

export interface TokenClaims {
  /** Account id. */
  readonly account: string;
  /** JWT id, a UUID v4. */
  readonly id: string;
  /** Issued at, Unix seconds, by the clock of then. */
  readonly issuedAt: number;
  /** Of its account when it was issued; 0 for an account that never revoked all of its tokens, and for tokens of the original. */
  readonly generation: number;
}

export interface TokenIssue {
  readonly account: string;
  readonly id?: string;
  readonly issuedAt?: number;
  readonly generation?: number;
  /** Lifetime in seconds; without it the token never expires. */
  readonly lifetime?: number;
  /** Further claims, between `sub` and `iat` as the original orders them. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** The original lets a token without an account in and then fails with 500; it is refused here (HTTP contract 2.2). */
const claimsSchema = z.object({
  sub: z.string().min(1),
  iss: z.string(),
  jti: z.string().default(""),
  iat: z.number().default(0),
  exp: z.number().optional(),
  gen: z.int().positive().default(0),
});

interface Verified {
  readonly claims: TokenClaims;
  readonly exp: number | undefined;
  /** By the monotonic clock. */
  readonly at: number;
}

const CACHE_ENTRIES = 10_000;
const CACHE_MS = 24 * 60 * 60 * 1000;
/** No token of ours is near this; longer ones are not worth a signature check. */
const MAX_TOKEN_LENGTH = 4096;

export class Tokens {
  readonly #verified = new Map<string, Verified>();

  /** Keys may still be on their way: derivation takes a moment, and the door opens before it ends. */
  constructor(
    private readonly keys: Promise<SigningKeys>,
    private readonly issuer: string,
    /** Unix milliseconds by the wall clock. */
    private readonly now: () => number = Date.now,
  ) {
    keys.catch(() => {});
  }

  /** Deterministic: the same issue gives the same token. */
  async issue({ account, id, issuedAt, generation, lifetime, extra }: TokenIssue): Promise<string> {
    const iat = issuedAt ?? Math.floor(this.now() / 1000);
    const { privateKey } = await this.keys;
    return new SignJWT({
      sub: account,
      ...extra,
      ...(generation ? { gen: generation } : {}),
      iat,
      nbf: iat,
      ...(lifetime === undefined ? {} : { exp: iat + lifetime }),
      iss: this.issuer,
      jti: id ?? crypto.randomUUID(),
    })
      .setProtectedHeader({ alg: "EdDSA" })
      .sign(privateKey);
  }

  /** Claims of a valid token, else undefined. Never throws for what a client sent. */
  async verify(token: string): Promise<TokenClaims | undefined> {
    const known = this.verifiedBefore(token);
    if (known !== undefined) return known;
    if (token.length > MAX_TOKEN_LENGTH) return undefined;
    const { publicKey } = await this.keys;
    try {
      const { payload, protectedHeader } = await compactVerify(token, publicKey, {
        algorithms: ["EdDSA", "Ed25519"],
      });
      // Signed without encoding its payload: no JWT.
      if (protectedHeader.b64 === false) return undefined;
      const { sub, iss, jti, iat, exp, gen } = claimsSchema.parse(
        JSON.parse(new TextDecoder().decode(payload)),
      );
      if (iss !== this.issuer || this.#isOver(exp)) return undefined;
      const claims = { account: sub, id: jti, issuedAt: iat, generation: gen };
      this.#remember(token, claims, exp);
      return claims;
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
      if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
      throw error;
    }
  }

  /** The answer without waiting, when this token was verified lately. */
  verifiedBefore(token: string): TokenClaims | undefined {
    const known = this.#verified.get(token);
    if (known === undefined) return undefined;
    if (performance.now() - known.at < CACHE_MS && !this.#isOver(known.exp)) return known.claims;
    this.#verified.delete(token);
    return undefined;
  }

  #isOver(exp: number | undefined): boolean {
    return exp !== undefined && exp * 1000 <= this.now();
  }

  #remember(token: string, claims: TokenClaims, exp: number | undefined): void {
    if (this.#verified.size >= CACHE_ENTRIES) {
      let surplus = CACHE_ENTRIES / 5;
      for (const oldest of this.#verified.keys()) {
        if (surplus-- <= 0) break;
        this.#verified.delete(oldest);
      }
    }
    this.#verified.set(token, { claims, exp, at: performance.now() });
  }
}

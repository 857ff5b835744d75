// Bearer tokens: compact JWS, Ed25519, never expiring (HTTP contract 2.2, data contract 7.2). The payload stays plain ASCII without
// `>`, `?`, `~`, so that its base64url has neither `-` nor `_`: the app decodes it with plain `atob`.
import { errors, jwtVerify, SignJWT } from "jose";
import type { SigningKeys } from "./keys.ts";

export interface TokenClaims {
  /** Account id. */
  readonly account: string;
  /** JWT id, a UUID v4. */
  readonly id: string;
  /** Issued at, Unix seconds. */
  readonly issuedAt: number;
}

export interface TokenIssue {
  readonly account: string;
  readonly id?: string;
  readonly issuedAt?: number;
  /** Lifetime in seconds; without it the token never expires. */
  readonly lifetime?: number;
  /** Further claims, between `sub` and `iat` as the original orders them. */
  readonly extra?: Readonly<Record<string, string>>;
}

const CACHE_ENTRIES = 10_000;
const CACHE_MS = 24 * 60 * 60 * 1000;
/** No token of ours is near this; longer ones are not worth a signature check. */
const MAX_TOKEN_LENGTH = 4096;

export class Tokens {
  readonly #verified = new Map<string, { claims: TokenClaims; until: number }>();

  /** Keys may still be on their way: derivation takes a moment, and the door opens before it ends. */
  constructor(
    private readonly keys: Promise<SigningKeys>,
    private readonly issuer: string,
  ) {
    keys.catch(() => {});
  }

  /** Deterministic: the same issue gives the same token. */
  async issue({ account, id, issuedAt, lifetime, extra }: TokenIssue): Promise<string> {
    const iat = issuedAt ?? Math.floor(Date.now() / 1000);
    const { privateKey } = await this.keys;
    return new SignJWT({
      sub: account,
      ...extra,
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
      const { payload } = await jwtVerify(token, publicKey, {
        issuer: this.issuer,
        algorithms: ["EdDSA", "Ed25519"],
      });
      // The original lets a token without an account in and then fails with 500; it is refused here (HTTP contract 2.2).
      if (typeof payload.sub !== "string" || payload.sub === "") return undefined;
      const claims = { account: payload.sub, id: payload.jti ?? "", issuedAt: payload.iat ?? 0 };
      this.#remember(token, claims, payload.exp);
      return claims;
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
      throw error;
    }
  }

  /** The answer without waiting, when this token was verified lately. */
  verifiedBefore(token: string): TokenClaims | undefined {
    const known = this.#verified.get(token);
    if (known === undefined) return undefined;
    if (known.until > Date.now()) return known.claims;
    this.#verified.delete(token);
    return undefined;
  }

  #remember(token: string, claims: TokenClaims, expiry: number | undefined): void {
    if (this.#verified.size >= CACHE_ENTRIES) {
      let surplus = CACHE_ENTRIES / 5;
      for (const oldest of this.#verified.keys()) {
        if (surplus-- <= 0) break;
        this.#verified.delete(oldest);
      }
    }
    const until = Math.min(
      Date.now() + CACHE_MS,
      expiry === undefined ? Number.POSITIVE_INFINITY : expiry * 1000,
    );
    this.#verified.set(token, { claims, until });
  }
}

/** The token of `Authorization: Bearer <token>`, else undefined. Case-sensitive, one space, not empty (HTTP contract 1.7). */
export function bearerToken(header: string | null): string | undefined {
  if (header === null || !header.startsWith("Bearer ")) return undefined;
  return header.slice(7) || undefined;
}

// Logins of web clients (HTTP contract, A1 and A2): HS256 with the key of the home, so that they outlive a restart and a change of hub.
// A token without an end counts, and its user is not compared with the owner, as with the original.
import type { JWTPayload } from "jose";
import { z } from "zod";
import { type Hs256Key, issueHs256, verifyHs256 } from "../../auth/hs256.ts";

export interface WebClaims {
  /** The owner of the hub, as all logins of a home say. */
  readonly uid: number;
  /** The namespace. */
  readonly ns: string;
}

/** By which limits and addresses know who asks. */
export const accountOf = ({ ns }: Pick<WebClaims, "ns">): string => `hapi/${ns}`;

const LIFETIME_SECONDS = 4 * 3_600;
/** No token of ours is near this; a longer one is not worth a signature check. */
const MAX_LENGTH = 4096;

const claimsSchema = z.object({ uid: z.number(), ns: z.string() });

/** Of a payload that our key has signed; undefined when it is no login. */
export const webClaims = (payload: JWTPayload): WebClaims | undefined => claimsSchema.safeParse(payload).data;

export class WebTokens {
  readonly #signing: Hs256Key;

  constructor(
    key: Uint8Array,
    /** Unix milliseconds by the wall clock. */
    now?: () => number,
  ) {
    this.#signing = { key, issuer: undefined, untyped: true, now };
  }

  async issue({ uid, ns }: WebClaims): Promise<string> {
    return (await issueHs256({ uid, ns }, LIFETIME_SECONDS, this.#signing)).token;
  }

  /** What a token claims that our key has signed and that is in time; undefined for any other. */
  verify(token: string): JWTPayload | undefined {
    const rules = { ...this.#signing, maxLength: MAX_LENGTH, early: "invalid", endless: true } as const;
    const verified = verifyHs256(token, rules);
    return typeof verified === "string" ? undefined : verified;
  }

  /** The same, as the sockets ask. */
  async loginClaims(token: string): Promise<JWTPayload | undefined> {
    return this.verify(token);
  }
}

// Login tokens: HS256, strict about algorithm, issuer and expiry (topics contract, 3.2). Nobody is looked up to verify one.
// Clocks: only `exp` is compared with now, by the wall clock, because clients are told it and other programs may check it. A clock that
// went back keeps tokens as much longer, whenever they were issued; one that went ahead ends them, and their users log in again.
import { hkdfSync } from "node:crypto";
import { z } from "zod";
import { type Hs256Key, hs256Key, issueHs256, verifyHs256 } from "../auth/hs256.ts";
import { Problem } from "./problem.ts";

export interface Claims {
  readonly uid: number;
  readonly username: string;
  readonly role: string;
  /** Unix seconds. */
  readonly exp: number;
}

/** The user as limits tell accounts of several protocols apart. */
export const accountOf = ({ uid }: Pick<Claims, "uid">): string => `topics/${uid}`;

const claimsSchema = z.object({
  uid: z.int().positive(),
  sub: z.string().min(1),
  role: z.string(),
  exp: z.number().positive(),
});

/** No token of ours is near this; a longer one is not worth a signature check. */
const MAX_LENGTH = 4096;

export interface TokenOptions {
  readonly secret: string;
  readonly issuer: string;
  readonly lifetimeMinutes: number;
}

export class LoginTokens {
  readonly #signing: Hs256Key;

  constructor(
    private readonly options: TokenOptions,
    /** Unix milliseconds by the wall clock. */
    now?: () => number,
  ) {
    this.#signing = { key: hs256Key(options.secret), issuer: options.issuer, now };
  }

  issue({ uid, username, role }: Omit<Claims, "exp">): Promise<{ token: string; expiresAt: Date }> {
    return issueHs256({ uid, sub: username, role }, this.options.lifetimeMinutes * 60, this.#signing);
  }

  /** @throws Problem 1003 for an expired token, 1002 for anything else that is wrong with it. */
  async verify(token: string): Promise<Claims> {
    const verified = verifyHs256(token, { ...this.#signing, maxLength: MAX_LENGTH, early: "invalid" });
    if (verified === "expired") throw new Problem(1003, "token expired");
    const claims = claimsSchema.safeParse(verified).data;
    if (claims === undefined) throw new Problem(1002, "token invalid");
    const { uid, sub, role, exp } = claims;
    return { uid, username: sub, role, exp };
  }
}

/** The secret of a server whose owner configured none: bound to the master secret, and of no use for anything else. */
export function derivedSecret(masterSecret: string): string {
  return Buffer.from(hkdfSync("sha256", masterSecret, "", "roost topics login tokens", 32)).toString(
    "base64url",
  );
}

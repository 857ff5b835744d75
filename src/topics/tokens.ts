// Login tokens: HS256, strict about algorithm, issuer and expiry (topics contract, 3.2). Nobody is looked up to verify one.
// Clocks: only `exp` is compared with now, by the wall clock, because clients are told it and other programs may check it. A clock that
// went back keeps tokens as much longer, whenever they were issued; one that went ahead ends them, and their users log in again.
import { hkdfSync } from "node:crypto";
import { errors, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
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
  readonly #key: Uint8Array;

  constructor(
    private readonly options: TokenOptions,
    /** Unix milliseconds by the wall clock. */
    private readonly now: () => number = Date.now,
  ) {
    this.#key = new TextEncoder().encode(options.secret);
  }

  async issue(user: Pick<Claims, "uid" | "username" | "role">): Promise<{ token: string; expiresAt: Date }> {
    const iat = Math.floor(this.now() / 1000);
    const exp = iat + this.options.lifetimeMinutes * 60;
    const token = await new SignJWT({ uid: user.uid, sub: user.username, role: user.role })
      .setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setIssuer(this.options.issuer)
      .setExpirationTime(exp)
      .setIssuedAt(iat)
      .sign(this.#key);
    return { token, expiresAt: new Date(exp * 1000) };
  }

  /** @throws Problem 1003 for an expired token, 1002 for anything else that is wrong with it. */
  async verify(token: string): Promise<Claims> {
    if (token.length > MAX_LENGTH) throw invalid();
    try {
      const { payload } = await jwtVerify(token, this.#key, {
        algorithms: ["HS256"],
        issuer: this.options.issuer,
        requiredClaims: ["exp"],
        clockTolerance: 0,
        currentDate: new Date(this.now()),
      });
      const { uid, sub, role, exp } = claimsSchema.parse(payload);
      return { uid, username: sub, role, exp };
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw new Problem(1003, "token expired");
      if (error instanceof errors.JOSEError || error instanceof z.ZodError || error instanceof TypeError)
        throw invalid();
      throw error;
    }
  }
}

/** The secret of a server whose owner configured none: bound to the master secret, and of no use for anything else. */
export function derivedSecret(masterSecret: string): string {
  return Buffer.from(hkdfSync("sha256", masterSecret, "", "roost topics login tokens", 32)).toString(
    "base64url",
  );
}

const invalid = () => new Problem(1002, "token invalid");

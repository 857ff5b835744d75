// JWTs that are signed with one shared secret: HS256 and nothing else (RFC 7515, 7518 and 7519). The signature is checked first, at once
// and in constant time, because anybody can send any number of wrong ones; only what was signed with the secret is looked at further.
import { createHmac, timingSafeEqual } from "node:crypto";
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, SignJWT } from "jose";

export interface Hs256Key {
  /** UTF-8 of the shared secret, or its bytes. */
  readonly key: Uint8Array;
  /** Undefined: tokens name none, and may name any. */
  readonly issuer: string | undefined;
  /** The header of what is issued says the algorithm and no `typ`. */
  readonly untyped?: boolean;
  /** Unix milliseconds by the wall clock, because other programs read the times in a token too. */
  readonly now?: (() => number) | undefined;
}

export type TokenProblem = "expired" | "invalid";

export interface Hs256Rules extends Hs256Key {
  /** Longer tokens are not worth a signature check. */
  readonly maxLength: number;
  /** Whether a token without `exp` counts, for ever. */
  readonly endless?: boolean;
  /** What a token is whose time (`nbf`) has not come yet. */
  readonly early: TokenProblem;
  /** How far the clocks of both sides may differ; 0 where nothing is said. */
  readonly leewaySeconds?: number;
}

export const hs256Key = (secret: string): Uint8Array => new TextEncoder().encode(secret);

/**
 * The claims of a token that is signed, of the issuer, and in time: `exp` is required, unless it is said, and there is no leeway but the one
 * given.
 */
export function verifyHs256(token: string, rules: Hs256Rules): JWTPayload | TokenProblem {
  if (token.length > rules.maxLength || !isSigned(token, rules.key)) return "invalid";
  try {
    const { alg, crit } = decodeProtectedHeader(token);
    // What must be understood (RFC 7515, 4.1.11) is not.
    if (alg !== "HS256" || crit !== undefined) return "invalid";
    return counting(decodeJwt(token), rules);
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof TypeError) return "invalid";
    throw error;
  }
}

function counting(
  claims: JWTPayload,
  { issuer, early, endless = false, leewaySeconds = 0, now = Date.now }: Hs256Rules,
): JWTPayload | TokenProblem {
  const { iss, exp, nbf, iat } = claims;
  const areTimes = [exp, nbf, iat].every((time) => time === undefined || Number.isFinite(time));
  const isOurs = issuer === undefined || iss === issuer;
  if (!isOurs || (exp === undefined && !endless) || !areTimes) return "invalid";
  const seconds = Math.floor(now() / 1_000);
  if (nbf !== undefined && nbf > seconds + leewaySeconds) return early;
  return exp !== undefined && exp <= seconds - leewaySeconds ? "expired" : claims;
}

/** A token with these claims that counts from now on for so long. */
export async function issueHs256(
  claims: JWTPayload,
  lifetimeSeconds: number,
  { key, issuer, untyped = false, now = Date.now }: Hs256Key,
): Promise<{ token: string; expiresAt: Date }> {
  const iat = Math.floor(now() / 1_000);
  const exp = iat + lifetimeSeconds;
  const signing = new SignJWT(claims).setProtectedHeader(
    untyped ? { alg: "HS256" } : { alg: "HS256", typ: "JWT" },
  );
  if (issuer !== undefined) signing.setIssuer(issuer);
  const token = await signing.setExpirationTime(exp).setIssuedAt(iat).sign(key);
  return { token, expiresAt: new Date(exp * 1_000) };
}

function isSigned(token: string, key: Uint8Array): boolean {
  const end = token.lastIndexOf(".");
  if (end < 0) return false;
  // As text: a decoder overlooks padding, strange characters and loose bits, and one token would have many spellings.
  const signature = Buffer.from(token.slice(end + 1));
  const right = Buffer.from(createHmac("sha256", key).update(token.slice(0, end)).digest("base64url"));
  return signature.byteLength === right.byteLength && timingSafeEqual(signature, right);
}

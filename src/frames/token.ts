// Tokens of the hub: JWTs, HS256 (frames contract, section 13). A signature is checked first and at once, because a stranger can send
// any number of wrong ones; only what was signed with the secret is looked at further.
import { createHmac, hash, timingSafeEqual } from "node:crypto";
import { errors, jwtVerify } from "jose";
import { type Claims, claims } from "./identity.ts";

/** No token of ours is near this; longer ones are not worth a signature check. */
const MAX_TOKEN_LENGTH = 16_384;

export type TokenProblem = "expired" | "invalid";

/** The claims of a token that is signed, in time, and of the issuer: HS256 only, `exp` required, no leeway. */
export async function verify(token: string, key: Uint8Array, issuer: string): Promise<Claims | TokenProblem> {
  if (token.length > MAX_TOKEN_LENGTH || !isSigned(token, key)) return "invalid";
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: ["HS256"],
      issuer,
      requiredClaims: ["exp"],
      clockTolerance: 0,
    });
    const parsed = claims.safeParse(payload);
    return parsed.success ? parsed.data : "invalid";
  } catch (error) {
    if (error instanceof errors.JWTExpired) return "expired";
    // Not yet valid counts as expired.
    if (
      error instanceof errors.JWTClaimValidationFailed &&
      error.claim === "nbf" &&
      error.reason === "check_failed"
    )
      return "expired";
    if (error instanceof errors.JOSEError) return "invalid";
    throw error;
  }
}

/** The user that a verified token names, else its subject; a token that names neither stands for itself. */
export function subjectOf({ user_id, sub }: Claims, token: string): string {
  const named = user_id ?? sub;
  return named === undefined ? `token ${hash("sha256", token, "base64url")}` : `user ${named}`;
}

function isSigned(token: string, key: Uint8Array): boolean {
  const end = token.lastIndexOf(".");
  if (end < 0) return false;
  const signature = Buffer.from(token.slice(end + 1), "base64url");
  const right = createHmac("sha256", key).update(token.slice(0, end)).digest();
  return signature.byteLength === right.byteLength && timingSafeEqual(signature, right);
}

// Tokens of the hub: JWTs, HS256 (frames contract, section 13).
import { hash } from "node:crypto";
import { type TokenProblem, verifyHs256 } from "../auth/hs256.ts";
import { type Claims, claims } from "./identity.ts";

/** No token of ours is near this; longer ones are not worth a signature check. */
const MAX_TOKEN_LENGTH = 16_384;

/** The claims of a token that is signed, in time, and of the issuer. Not yet valid counts as expired. */
export async function verify(token: string, key: Uint8Array, issuer: string): Promise<Claims | TokenProblem> {
  const verified = verifyHs256(token, { key, issuer, maxLength: MAX_TOKEN_LENGTH, early: "expired" });
  if (verified === "expired") return verified;
  const parsed = claims.safeParse(verified);
  return parsed.success ? parsed.data : "invalid";
}

/** The user that a verified token names, else its subject; a token that names neither stands for itself. */
export function subjectOf({ user_id, sub }: Claims, token: string): string {
  const named = user_id ?? sub;
  return named === undefined ? `token ${hash("sha256", token, "base64url")}` : `user ${named}`;
}

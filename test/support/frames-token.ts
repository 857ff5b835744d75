// Tokens of the frames hub, signed as the hub's own users sign theirs (frames contract, section 13).
import { SignJWT } from "jose";

export const FRAMES_SECRET = "test-secret";

export interface FramesClaims {
  readonly [name: string]: unknown;
}

export const inSeconds = (seconds: number) => Math.floor(Date.now() / 1_000) + seconds;

/** For user u1, for a minute, unless the claims say otherwise; undefined leaves one out. */
export async function framesToken(
  claims: FramesClaims = {},
  { secret = FRAMES_SECRET, alg = "HS256" } = {},
): Promise<string> {
  return await new SignJWT({ user_id: "u1", iss: "gohub", exp: inSeconds(60), ...claims })
    .setProtectedHeader({ alg })
    .sign(new TextEncoder().encode(secret));
}

// Everything that derives from the master secret, exactly as the original derives it (data contract, 6 and 7.1), so that its
// tokens work here and ours work there. Derivations are slow on purpose: each runs once, off the main thread, when first needed.
import { pbkdf2 } from "node:crypto";
import { promisify } from "node:util";

const ITERATIONS = 210_000;
const derive = promisify(pbkdf2);

/** 64 bytes of PBKDF2-HMAC-SHA512 over the literal secret. */
export function stretch(masterSecret: string, salt: string): Promise<Buffer> {
  return derive(masterSecret, salt, ITERATIONS, 64, "sha512");
}

export interface SigningKeys {
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  /** Raw 32 bytes, for tests and for other servers. */
  readonly publicBytes: Uint8Array;
}

/** PKCS#8 header of an Ed25519 key; the 32-byte seed follows (RFC 8410). */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

/** Ed25519 key pair of a 32-byte seed. Built from raw bytes: Bun refuses padded base64 in JWK import. */
export async function signingKeys(seed: Uint8Array): Promise<SigningKeys> {
  const pkcs8 = Buffer.concat([PKCS8_PREFIX, seed]);
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", privateKey);
  const publicBytes = new Uint8Array(Buffer.from(x ?? "", "base64url"));
  const publicKey = await crypto.subtle.importKey("raw", publicBytes, "Ed25519", true, ["verify"]);
  return { privateKey, publicKey, publicBytes };
}

/** Keys that sign what a service of the original signs: seed = first half of the stretched secret. */
export async function serviceKeys(masterSecret: string, salt: string): Promise<SigningKeys> {
  return signingKeys((await stretch(masterSecret, salt)).subarray(0, 32));
}

// Ed25519 signatures of sign-ins: checked natively, a hundred times faster than in JavaScript, and accepted exactly where tweetnacl
// accepts them, which signs and checks in the clients. The two differ in one point: tweetnacl multiplies with whatever number stands in
// the signature's second half, the native check refuses one that is not below the group's order. A multiple of the base point is
// the same for a number and for its rest, so the rest is what the native check is given.
import { createPublicKey, verify } from "node:crypto";

export const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

/** The group's order: 2^252 + 27742317777372353535851937790883648493. */
const ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;
/** Header of a public key as X.509 has it; the 32 bytes follow (RFC 8410). */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

/** Never throws: what is no key or no signature is not valid. */
export function isSignature(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  if (publicKey.byteLength !== PUBLIC_KEY_BYTES || signature.byteLength !== SIGNATURE_BYTES) return false;
  try {
    const key = createPublicKey({
      key: Buffer.concat([SPKI_PREFIX, publicKey]),
      format: "der",
      type: "spki",
    });
    return verify(null, message, key, reduced(signature));
  } catch {
    return false;
  }
}

function reduced(signature: Uint8Array): Uint8Array {
  // Below 2^252 it is below the order too, which is what honest signatures nearly always are.
  if ((signature[SIGNATURE_BYTES - 1] ?? 0) < 0x10) return signature;
  const scalar = signature.slice(32).reverse();
  const value = BigInt(`0x${Buffer.from(scalar).toString("hex")}`);
  if (value < ORDER) return signature;
  const rest = (value % ORDER).toString(16).padStart(64, "0");
  return Buffer.concat([signature.subarray(0, 32), Buffer.from(rest, "hex").reverse()]);
}

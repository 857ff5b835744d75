// What the server itself encrypts at rest: vendor and GitHub tokens. Same key tree and layout as the original (data contract, 6),
// so an imported database stays readable with its secret.
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";

const VERSION = 0;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** AES-256 key at a path, such as `["user", id, "vendors", "openai", "token"]`. `master` is 64 bytes. */
export function keyAt(master: Uint8Array, path: readonly string[]): Buffer {
  let chain: Uint8Array = master;
  let key: Buffer = Buffer.alloc(0);
  for (const element of [...path, "#aes256"]) {
    const step = createHmac("sha512", chain)
      .update(Buffer.concat([Buffer.from([0]), Buffer.from(element, "utf8")]))
      .digest();
    key = step.subarray(0, 32);
    chain = step.subarray(32);
  }
  return key;
}

/** Version byte, nonce, AES-256-GCM ciphertext, tag. */
export function seal(
  key: Uint8Array,
  text: string,
  nonce: Uint8Array = randomBytes(NONCE_BYTES),
): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  const sealed = [cipher.update(text, "utf8"), cipher.final()];
  return new Uint8Array(Buffer.concat([Buffer.from([VERSION]), nonce, ...sealed, cipher.getAuthTag()]));
}

/** @throws Error when the bytes were sealed with another key, were changed, or have another layout. */
export function open(key: Uint8Array, sealed: Uint8Array): string {
  if (sealed[0] !== VERSION || sealed.length < 1 + NONCE_BYTES + TAG_BYTES)
    throw new Error("unknown layout of a sealed value");
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", key, nonce);
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  return Buffer.concat([
    decipher.update(sealed.subarray(1 + NONCE_BYTES, -TAG_BYTES)),
    decipher.final(),
  ]).toString("utf8");
}

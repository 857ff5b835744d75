// The two base64 readings of the Happy contract (HTTP contract 2.1, data contract 7.5): strict, which refuses, and lenient, which skips.

/** Text that is not base64 where base64 is required. */
export class Base64Error extends Error {}

const STRICT = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * Standard alphabet only. Padding may be missing from 4 characters on; shorter unpadded text and more than two `=` are refused.
 * @throws Base64Error
 */
export function decodeStrict(text: string): Uint8Array<ArrayBuffer> {
  if (text === "") return new Uint8Array();
  const bare = text.replace(/=+$/, "");
  const padded = text.length % 4 === 0;
  if (
    !STRICT.test(text) ||
    bare.length % 4 === 1 ||
    (!padded && (text.length < 4 || bare.length !== text.length))
  ) {
    throw new Base64Error("not standard base64");
  }
  return new Uint8Array(Buffer.from(bare, "base64"));
}

/** Skips whatever is not of the alphabet: `"not base64!!"` reads like `"notbase64"`. */
export function decodeLenient(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, "base64"));
}

/** Standard alphabet, padded. */
export function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

export function encodeUrl(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64url");
}

// The Happy clients' end-to-end encryption, both generations: `legacy` (one account secret, NaCl secretbox) and
// `dataKey` (a key per session or machine, AES-256-GCM, sealed to the account's content key). The server sees none of it.
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto";
import nacl from "tweetnacl";

/** Encrypts JSON values to the base64 text that the server stores, and back. */
export interface Cipher {
  readonly variant: "legacy" | "dataKey";
  encrypt(value: unknown): string;
  /** @throws Error when the text was not made with this key. */
  decrypt(text: string): unknown;
  /** Attachments have a key of their own, derived from this one. */
  encryptBlob(data: Uint8Array): Uint8Array;
  decryptBlob(sealed: Uint8Array): Uint8Array;
}

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
export const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");
/** Reads the standard and the URL alphabet. */
export const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));

/** A fresh array over its own buffer: tweetnacl refuses what only looks like a Uint8Array. */
const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

function hmacSha512(key: Uint8Array | string, data: Uint8Array | string): Uint8Array {
  return new Uint8Array(createHmac("sha512", key).update(data).digest());
}

/** The clients' key tree: HMAC-SHA512, left half is the key, right half the chain code of the next step. */
export function deriveKey(master: Uint8Array, usage: string, path: readonly string[]): Uint8Array {
  let node = hmacSha512(`${usage} Master Seed`, master);
  for (const step of path) node = hmacSha512(node.slice(32), join(new Uint8Array(1), Buffer.from(step)));
  return node.slice(0, 32);
}

/** The account's X25519 pair that data keys are sealed to; a V2 pairing hands out its public half only. */
export function contentKeyPair(accountSecret: Uint8Array): nacl.BoxKeyPair {
  const seed = deriveKey(accountSecret, "Happy EnCoder", ["content"]);
  return nacl.box.keyPair.fromSecretKey(
    new Uint8Array(createHash("sha512").update(seed).digest().subarray(0, 32)),
  );
}

/** 32-byte ephemeral public key, 24-byte nonce, NaCl box: the shape of pairing answers and sealed data keys. */
export function sealFor(recipient: Uint8Array, plain: Uint8Array): Uint8Array {
  const ephemeral = nacl.box.keyPair();
  const nonce = nacl.randomBytes(nacl.box.nonceLength);
  return join(ephemeral.publicKey, nonce, nacl.box(plain, nonce, recipient, ephemeral.secretKey));
}

/** @throws Error when it was sealed for somebody else. */
export function openSealed(bundle: Uint8Array, secretKey: Uint8Array): Uint8Array {
  const plain = nacl.box.open(bundle.slice(56), bundle.slice(32, 56), bundle.slice(0, 32), secretKey);
  if (plain === null) throw new Error("The bundle is not sealed for this key.");
  return plain;
}

/** Sessions and machines of a V1 pairing: everything under the account secret. */
export function legacyCipher(accountSecret: Uint8Array): Cipher {
  return {
    variant: "legacy",
    encrypt: (value) => base64(secretbox(Buffer.from(JSON.stringify(value)), accountSecret)),
    decrypt: (text) => readJson(openSecretbox(fromBase64(text), accountSecret)),
    ...blobCipher(deriveKey(accountSecret, "Happy Blobs", ["master"])),
  };
}

/** Sessions and machines of a V2 pairing. Layout: version byte 0, 12-byte nonce, ciphertext, 16-byte tag. */
export function dataKeyCipher(key: Uint8Array): Cipher {
  return {
    variant: "dataKey",
    encrypt(value) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", key, nonce);
      const body = Buffer.concat([cipher.update(JSON.stringify(value), "utf8"), cipher.final()]);
      return base64(join(new Uint8Array(1), nonce, body, cipher.getAuthTag()));
    },
    decrypt(text) {
      const bundle = fromBase64(text);
      if (bundle[0] !== 0) throw new Error(`Unknown version ${bundle[0]} of an encrypted value.`);
      const decipher = createDecipheriv("aes-256-gcm", key, bundle.subarray(1, 13));
      decipher.setAuthTag(bundle.subarray(-16));
      return readJson(Buffer.concat([decipher.update(bundle.subarray(13, -16)), decipher.final()]));
    },
    ...blobCipher(deriveKey(key, "Happy Blobs", ["session"])),
  };
}

/** An RPC handler without a result answers with nothing at all, encrypted. */
function readJson(plain: Uint8Array): unknown {
  return plain.length === 0 ? undefined : JSON.parse(Buffer.from(plain).toString());
}

function blobCipher(key: Uint8Array): Pick<Cipher, "encryptBlob" | "decryptBlob"> {
  return {
    encryptBlob: (data) => secretbox(data, key),
    decryptBlob: (sealed) => openSecretbox(sealed, key),
  };
}

function secretbox(plain: Uint8Array, key: Uint8Array): Uint8Array {
  const nonce = nacl.randomBytes(nacl.secretbox.nonceLength);
  return join(nonce, nacl.secretbox(join(plain), nonce, key));
}

function openSecretbox(sealed: Uint8Array, key: Uint8Array): Uint8Array {
  const nonceLength = nacl.secretbox.nonceLength;
  const plain = nacl.secretbox.open(sealed.slice(nonceLength), sealed.slice(0, nonceLength), key);
  if (plain === null) throw new Error("The value is not encrypted with this key.");
  return plain;
}

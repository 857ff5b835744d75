// Sign-in by signed challenge with a key of the test's own, as the app does it: what comes back is the answer, whatever it is.
import { expect } from "bun:test";
import nacl from "tweetnacl";
import { type Account, type Answer, accountWith, call } from "./happy-client.ts";

export type Keys = nacl.SignKeyPair;

export const newKeys = (): Keys => nacl.sign.keyPair();

const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

/** As the database names it. */
export const publicKeyHex = (keys: Keys) => Buffer.from(keys.publicKey).toString("hex").toUpperCase();

/** What `POST /v1/auth` takes. */
export function signed(keys: Keys, challenge: Uint8Array = nacl.randomBytes(32)) {
  return {
    publicKey: b64(keys.publicKey),
    challenge: b64(challenge),
    signature: b64(nacl.sign.detached(challenge, keys.secretKey)),
  };
}

/** `url` may have the path of an invite, as people enter it in the app. */
export function signIn(url: string, keys: Keys): Promise<Answer> {
  return call(url, undefined, "POST", "/v1/auth", signed(keys));
}

/** The account of a key that the server admits. */
export async function admitted(url: string, keys: Keys = newKeys()): Promise<Account> {
  const answer = await signIn(url, keys);
  expect(answer).toMatchObject({ status: 200 });
  return accountWith(url, answer.body.token);
}

// Native Ed25519 accepts and refuses what tweetnacl does, in the corners where implementations differ: numbers not below the order,
// points of small order, encodings that are not the shortest, points that are none.
import { expect, test } from "bun:test";
import nacl from "tweetnacl";
import { rounds } from "../../../test/support/full.ts";
import { isSignature } from "./ed25519.ts";

const L = (1n << 252n) + 27742317777372353535851937790883648493n;
const P = (1n << 255n) - 19n;
const bytes32 = (value: bigint) =>
  Uint8Array.from(Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse());
const number = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
const signatureOf = (r: Uint8Array, s: Uint8Array) => Uint8Array.from([...r, ...s]);

/** Both are asked; they must agree. @returns what they say. */
function both(message: Uint8Array, signature: Uint8Array, key: Uint8Array): boolean {
  const expected = nacl.sign.detached.verify(message, signature, key);
  expect(isSignature(message, signature, key)).toBe(expected);
  return expected;
}

const keys = nacl.sign.keyPair.fromSeed(new Uint8Array(32).fill(1));
const message = new Uint8Array(32).fill(7);
const good = nacl.sign.detached(message, keys.secretKey);
const withScalar = (s: bigint) => signatureOf(good.subarray(0, 32), bytes32(s));
const scalar = number(good.subarray(32));

test.each([0n, 1n, 2n, 7n, 14n])("the scalar plus %p times the order is the same signature", (times) => {
  expect(both(message, withScalar(scalar + times * L), keys.publicKey)).toBe(true);
});

test.each([
  ["one more", scalar + 1n],
  ["the order itself", L],
  ["one less than the order", L - 1n],
  ["zero", 0n],
  ["the largest number", (1n << 256n) - 1n],
  ["its top bit", scalar | (1n << 255n)],
])("another scalar is refused: %s", (_name, value) => {
  expect(both(message, withScalar(value), keys.publicKey)).toBe(false);
});

test("every bit of a signature, of a key and of a message counts", () => {
  for (let bit = 0; bit < 512; bit += 37) {
    const signature = good.slice();
    signature[bit >> 3] = (signature[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(both(message, signature, keys.publicKey)).toBe(false);
  }
  for (let bit = 0; bit < 256; bit += 37) {
    const key = keys.publicKey.slice();
    key[bit >> 3] = (key[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(both(message, good, key)).toBe(false);
  }
  expect(both(new Uint8Array(32), good, keys.publicKey)).toBe(false);
});

const HIGH = 1n << 255n;
const SMALL: Readonly<Record<string, bigint>> = {
  identity: 1n,
  "identity, sign set": 1n | HIGH,
  "order 2": P - 1n,
  "order 2, sign set": (P - 1n) | HIGH,
  "order 4": 0n,
  "order 4, sign set": HIGH,
  "order 8": number(Buffer.from("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "hex")),
  "order 8, other": number(
    Buffer.from("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "hex"),
  ),
  "order 4, not reduced": P,
  "order 4, not reduced, sign set": P | HIGH,
  "identity, not reduced": P + 1n,
  "identity, not reduced, sign set": (P + 1n) | HIGH,
  "order 2 of all, largest": HIGH - 1n,
  "not reduced, +3": P + 3n,
  "not reduced, +4": P + 4n,
  "no point": 2n,
};

test("keys and points of small order, and their longer encodings", () => {
  let accepted = 0;
  const signer = nacl.sign.keyPair.fromSeed(new Uint8Array(32).fill(5));
  for (const key of Object.values(SMALL).map(bytes32)) {
    // tweetnacl takes its time.
    for (let round = 0; round < rounds(1, 8); round++) {
      const text = Uint8Array.of(round);
      // With a key of small order the number zero fits the identity as point, for one message in so many.
      for (const point of Object.values(SMALL).map(bytes32))
        accepted += Number(both(text, signatureOf(point, bytes32(0n)), key));
      accepted += Number(both(text, nacl.sign.detached(text, signer.secretKey), key));
    }
  }
  // Some are valid signatures of keys that nobody holds; the server has never minded.
  expect(accepted).toBeGreaterThan(10);
}, 60_000);

test("points of small order in honest signatures", () => {
  for (const point of Object.values(SMALL).map(bytes32))
    expect(both(message, signatureOf(point, good.subarray(32)), keys.publicKey)).toBe(false);
});

test("random signatures, messages of many lengths", () => {
  for (let round = 0; round < 40; round++) {
    const pair = nacl.sign.keyPair();
    const text = nacl.randomBytes(round * 25);
    expect(both(text, nacl.sign.detached(text, pair.secretKey), pair.publicKey)).toBe(true);
    expect(both(text, nacl.randomBytes(64), pair.publicKey)).toBe(false);
  }
});

test("what has not the length of a key or a signature is not valid", () => {
  for (const length of [0, 31, 33]) expect(isSignature(message, good, new Uint8Array(length))).toBe(false);
  for (const length of [0, 63, 65])
    expect(isSignature(message, new Uint8Array(length), keys.publicKey)).toBe(false);
});

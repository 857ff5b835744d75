// A key as a person reads it out and types it: 60 bits of its hash, in letters and digits that nobody mixes up.
import { createHash } from "node:crypto";

/** Crockford's alphabet: without I, L, O and U. */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH = 12;

/** Such as `K7QM-3F9X-T2AB`, of a public key in hexadecimal. */
export function fingerprintOf(publicKeyHex: string): string {
  const hash = createHash("sha256").update(Buffer.from(publicKeyHex, "hex")).digest();
  let bits = hash.readBigUInt64BE();
  let text = "";
  for (let index = 0; index < LENGTH; index++) {
    text += ALPHABET[Number(bits >> 59n)];
    bits = (bits << 5n) & 0xffff_ffff_ffff_ffffn;
  }
  return grouped(text);
}

/** What a person typed, in the one way it is stored; undefined when it is no fingerprint. */
export function readFingerprint(typed: string): string | undefined {
  const plain = typed.toUpperCase().replace(/[\s-]/g, "").replaceAll("O", "0").replace(/[IL]/g, "1");
  const fits = plain.length === LENGTH && [...plain].every((character) => ALPHABET.includes(character));
  return fits ? grouped(plain) : undefined;
}

const grouped = (text: string) => (text.match(/.{4}/g) ?? []).join("-");

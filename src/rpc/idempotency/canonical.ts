// The same for data that says the same: its hash does not depend on the order of keys, and whose key it is belongs to its name.
import type { Call } from "../pipeline/call.ts";

/** Of tenant, principal, method and key. What somebody only claims to be never shares a key with who proved it. */
export function callId(call: Call, key: string): string {
  const { tenant, identity, methodName } = call;
  return hashed(JSON.stringify([tenant, identity.verified, identity.id, methodName, key]));
}

export const dataHash = (data: unknown): string => hashed(canonical(data));

export const hashed = (text: string): string =>
  new Bun.CryptoHasher("sha256").update(text).digest("base64url");

/** JSON with the keys of each object in order. A null is no absent field here: a handler may tell them apart. */
function canonical(value: unknown): string {
  if (value instanceof Uint8Array) return `b"${Buffer.from(value).toString("base64")}"`;
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const fields = value as Readonly<Record<string, unknown>>;
  const keys = Object.keys(fields).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(fields[key])}`).join()}}`;
}

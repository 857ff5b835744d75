// A value of a method as text that is kept: what JSON has, and binary data that comes back as such, so that an answer that is given again
// is the same in every format.
import { Bytes } from "../formats/bytes.ts";

/** Of an object that stands for binary data; no JSON of a client gets this key unescaped by chance. */
const KEY = "\u0000bytes";
const SEEN = '{"\\u0000bytes":';

/** @throws what JSON.stringify throws of a value that has no JSON */
export function storedText(value: unknown): string {
  if (!hasBytes(value, 0)) return JSON.stringify(value ?? null) ?? "null";
  return JSON.stringify(value, function (this: Record<string, unknown>, key, item) {
    const original = this[key];
    return original instanceof Uint8Array ? { [KEY]: Buffer.from(original).toString("base64") } : item;
  });
}

export function storedValue(text: string): unknown {
  if (!text.includes(SEEN)) return JSON.parse(text);
  return JSON.parse(text, (_key, item) => {
    const encoded = isFields(item) ? item[KEY] : undefined;
    return typeof encoded === "string" ? new Bytes(Buffer.from(encoded, "base64")) : item;
  });
}

const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const MAX_DEPTH = 256;

function hasBytes(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return false;
  if (value instanceof Uint8Array) return true;
  if (Array.isArray(value)) return value.some((item) => hasBytes(item, depth + 1));
  for (const key in value) if (hasBytes((value as Record<string, unknown>)[key], depth + 1)) return true;
  return false;
}

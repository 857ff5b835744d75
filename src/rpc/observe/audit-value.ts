// What of params and answers may stand in the audit (contract 17.3, 17.4): without what is secret, texts cut, and bounded in all, so that a
// large call costs no more than a small one.
import { isSensitive, REDACTED } from "../wire/redact.ts";

export const MAX_TEXT = 256;
export const CUT = "...[truncated]";
const MAX_NODES = 1_000;
const MAX_DEPTH = 32;

export const cutText = (text: string): string =>
  text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}${CUT}` : text;

export function auditValue(value: unknown): unknown {
  return shown(value, { left: MAX_NODES }, 0);
}

function shown(value: unknown, budget: { left: number }, depth: number): unknown {
  if (typeof value === "string") return cutText(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  if (depth >= MAX_DEPTH) return CUT;
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    for (const item of value) {
      if (budget.left-- <= 0) return [...list, CUT];
      list.push(shown(item, budget, depth + 1));
    }
    return list;
  }
  const copy: Record<string, unknown> = {};
  for (const key in value) {
    if (!Object.hasOwn(value, key)) continue;
    if (budget.left-- <= 0) {
      copy[CUT] = true;
      break;
    }
    Object.defineProperty(copy, cutText(key), {
      value: isSensitive(key) ? REDACTED : shown((value as Record<string, unknown>)[key], budget, depth + 1),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return copy;
}

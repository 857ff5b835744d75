// What must not be told (contract 17.4): values under sensitive keys, in logs, audit, debug information, spans and the headers that a
// handler sees.

export const REDACTED = "***REDACTED***";

const WORDS = [
  "password",
  "passwd",
  "secret",
  "token",
  "api_key",
  "apikey",
  "authorization",
  "cookie",
  "session",
  "credit_card",
  "ssn",
  "social_security",
  "pin",
];
const MORE = ["set_cookie", "proxy_authorization", "x_api_key", "credentials", "private_key"];
const listed = new Set([...WORDS, ...MORE]);
const endings = WORDS.map((word) => `_${word}`);
const MAX_DEPTH = 64;

export function isSensitive(key: string): boolean {
  const plain = key.toLowerCase().replaceAll("-", "_");
  return listed.has(plain) || endings.some((ending) => plain.endsWith(ending));
}

/** A copy without them; what is nested deeper than 64 is left out. */
export function redacted(value: unknown, depth = 0): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth >= MAX_DEPTH) return REDACTED;
  if (Array.isArray(value)) return value.map((item) => redacted(item, depth + 1));
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value))
    Object.defineProperty(copy, key, {
      value: isSensitive(key) ? REDACTED : redacted(item, depth + 1),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  return copy;
}

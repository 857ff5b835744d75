// JSON columns: text that cannot be parsed reads as null, and null is stored as SQL NULL (hapi-data 6).
import type { ValueSizes } from "../../limits/value-sizes.ts";
import type { Json } from "./rows.ts";

export function decode(text: string | null): Json {
  if (text === null) return null;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}

/** An array of JSON, [] for everything else. */
export function decodeList(text: string | null): readonly Json[] {
  const value = decode(text);
  return Array.isArray(value) ? value : [];
}

export const encode = (value: Json): string | null =>
  value === null || value === undefined ? null : JSON.stringify(value);

/** The same of a value that a client sent. @throws ValueTooLarge */
export function encodeAdmitted(sizes: ValueSizes, field: string, value: Json): string | null {
  const text = encode(value);
  sizes.admit("state", field, text);
  return text;
}

/**
 * Values of rows that are read again and again: parsed once for the same text. Bounded by the texts that it knows; the ones that were
 * used least recently go.
 */
export class ParsedValues {
  readonly #known = new Map<string, { text: string; value: Json }>();
  #chars = 0;

  constructor(private readonly maxChars = 8 * 1024 * 1024) {}

  decode(key: string, text: string | null): Json {
    if (text === null || text.length < SHORT) return decode(text);
    const known = this.#known.get(key);
    if (known?.text === text) return known.value;
    const value = decode(text);
    if (known !== undefined) this.#forget(key, known.text);
    if (text.length > this.maxChars / 8) return value;
    this.#known.set(key, { text, value });
    this.#chars += text.length;
    for (const [oldest, { text: its }] of this.#known) {
      if (this.#chars <= this.maxChars) break;
      this.#forget(oldest, its);
    }
    return value;
  }

  #forget(key: string, text: string): void {
    this.#known.delete(key);
    this.#chars -= text.length;
  }
}

/** Parsing it costs no more than looking it up. */
const SHORT = 64;

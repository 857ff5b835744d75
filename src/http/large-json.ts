// Parses large JSON without a second copy of it: its long strings are cut out of the bytes first, so that the parser sees only what is
// left, and what is left is bounded, so that no text of a hundred megabytes becomes millions of small objects.
import { isUtf8 } from "node:buffer";
import { setImmediate as nextTurn } from "node:timers/promises";
import { isTooDeepBytes } from "../limits/json-depth.ts";
import { releaseMemory } from "../limits/release-memory.ts";

/** A longer string is cut out. */
const LONG_BYTES = 8 * 1024;
/** Of all that is no long string: a hundred messages with short contents fit well. */
const MAX_REST_BYTES = 2 * 1024 * 1024;

/** Of work in one turn of the event loop. */
const WORK_MS = 10;

/** Text as it arrived, in UTF-8: becomes a string where one is needed. */
export class RawText {
  #text: string | undefined;

  constructor(readonly bytes: Uint8Array) {}

  toString(): string {
    this.#text ??= decoded(this.bytes);
    return this.#text;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** Bytes of text that came either way. */
export const textBytes = (text: string | RawText): number =>
  typeof text === "string" ? Buffer.byteLength(text) : text.bytes.byteLength;

/** More structure than any client sends. */
export class TooMuchStructure extends Error {}
export class TooDeeplyNested extends Error {}
/** Bytes that are no UTF-8 are no JSON (RFC 8259, 8.1). */
export class NotUtf8 extends Error {}

/** Text that no client can know. */
const MARK = crypto.randomUUID();

/**
 * What JSON.parse gives of the text in `chunks`, which are used up; long strings under one of `rawKeys` are RawText.
 * @throws SyntaxError; TooMuchStructure; TooDeeplyNested; NotUtf8.
 */
export async function parseLargeJson(
  chunks: readonly Uint8Array[],
  rawKeys: ReadonlySet<string>,
): Promise<unknown> {
  const { rest, cuts } = await withoutLongStrings(chunks);
  if (isTooDeepBytes(rest)) throw new TooDeeplyNested();
  const value = JSON.parse(withoutMark(decoded(rest))) as unknown;
  return cuts.length === 0 ? value : putBack(value, cuts, rawKeys);
}

/** A long string between its quotes: from a place in its first chunk to a place in its last one. */
interface Cut {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** One pass over the chunks. A string may end in another one than it began in, also between a backslash and what it escapes. */
async function withoutLongStrings(chunks: readonly Uint8Array[]): Promise<{ rest: Buffer; cuts: Cut[] }> {
  const cuts: Cut[] = [];
  const rest: Uint8Array[] = [];
  let restBytes = 0;
  const keep = (part: Uint8Array) => {
    restBytes += part.byteLength;
    rest.push(part);
  };
  const cut = (parts: readonly Uint8Array[], bytes: number) => {
    keep(Buffer.from(`"${MARK}${cuts.length}"`));
    cuts.push({ parts, bytes });
  };
  /** A string that began in an earlier chunk, without its first quote. */
  let open: { parts: Uint8Array[]; bytes: number; escapes: number } | undefined;
  let since = performance.now();
  for (const chunk of chunks) {
    // A text full of escaped quotes takes seconds.
    if (performance.now() - since > WORK_MS) {
      await nextTurn();
      since = performance.now();
    }
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    /** What was looked at and stays; nothing is copied for a short string. */
    let kept = 0;
    let at = 0;
    if (open !== undefined) {
      const end = endOfString(bytes, 0, open.escapes);
      const part = bytes.subarray(0, end < 0 ? bytes.length : end);
      open.parts.push(part);
      open.bytes += part.byteLength;
      if (end < 0) {
        open.escapes = trailingEscapes(part, open.escapes);
        continue;
      }
      if (open.bytes > LONG_BYTES) {
        cut(open.parts, open.bytes);
        kept = end + 1;
      } else {
        keep(QUOTES);
        for (const short of open.parts) keep(short);
        kept = end;
      }
      at = end + 1;
      open = undefined;
    }
    while (open === undefined) {
      if (restBytes + at - kept > MAX_REST_BYTES) throw new TooMuchStructure();
      const start = bytes.indexOf(QUOTE, at);
      if (start < 0) break;
      const end = endOfString(bytes, start + 1, 0);
      if (end < 0) {
        keep(bytes.subarray(kept, start));
        const part = bytes.subarray(start + 1);
        open = { parts: [part], bytes: part.byteLength, escapes: trailingEscapes(part, 0) };
        kept = bytes.length;
      } else if (end - start > LONG_BYTES) {
        keep(bytes.subarray(kept, start));
        cut([bytes.subarray(start + 1, end)], end - start - 1);
        kept = end + 1;
      }
      at = end + 1;
    }
    keep(bytes.subarray(kept));
    if (restBytes > MAX_REST_BYTES) throw new TooMuchStructure();
  }
  // The parser says what is wrong with a string that does not end; it need not see all of it.
  if (open !== undefined) keep(QUOTES);
  return { rest: Buffer.concat(rest), cuts };
}

const QUOTES = Buffer.from('"');

/** The next quote that is not escaped; `carried` backslashes stand before the first byte. -1 when there is none. */
function endOfString(bytes: Buffer, from: number, carried: number): number {
  for (let end = bytes.indexOf(QUOTE, from); end >= 0; end = bytes.indexOf(QUOTE, end + 1))
    if (trailingEscapes(bytes.subarray(from, end), carried) % 2 === 0) return end;
  return -1;
}

/** How many backslashes stand at the end. */
function trailingEscapes(bytes: Uint8Array, carried: number): number {
  let start = bytes.length;
  while (start > 0 && bytes[start - 1] === BACKSLASH) start--;
  return bytes.length - start + (start === 0 ? carried : 0);
}

/** Long strings one by one, each in a turn of its own: reading them is the work. */
async function putBack(value: unknown, cuts: readonly Cut[], rawKeys: ReadonlySet<string>): Promise<unknown> {
  const cutOf = (mark: string) => joined(cuts[Number(mark.slice(MARK.length))] as Cut);
  const root = { value };
  const open: Record<string, unknown>[] = [root];
  for (let holder = open.pop(); holder !== undefined; holder = open.pop()) {
    for (const [given, inner] of Object.entries(holder)) {
      const key = given.startsWith(MARK) ? textOf(cutOf(given), false).toString() : given;
      if (key !== given) {
        delete holder[given];
        Object.defineProperty(holder, key, {
          value: inner,
          writable: true,
          enumerable: true,
          configurable: true,
        });
      }
      if (typeof inner === "object" && inner !== null) open.push(inner as Record<string, unknown>);
      if (typeof inner !== "string" || !inner.startsWith(MARK)) continue;
      await nextTurn();
      Object.defineProperty(holder, key, { value: textOf(cutOf(inner), rawKeys.has(key)) });
    }
  }
  return root.value;
}

/** In memory of its own; chunks that held nothing else are given back on the way, so that no string is there twice. */
function joined({ parts, bytes }: Cut): Buffer {
  const whole = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
    if (part.byteLength === part.buffer.byteLength) releaseMemory(part);
  }
  return whole;
}

/** @throws SyntaxError for what may not stand in a JSON string; NotUtf8. */
function textOf(cut: Buffer, mayStayRaw: boolean): string | RawText {
  if (hasControls(cut) || cut.includes(BACKSLASH)) return JSON.parse(`"${decoded(cut)}"`) as string;
  if (!mayStayRaw) {
    const text = decoded(cut);
    releaseMemory(cut);
    return text;
  }
  if (!isUtf8(cut)) throw new NotUtf8();
  return new RawText(cut);
}

function hasControls(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at++) if ((bytes[at] as number) < 0x20) return true;
  return false;
}

/** A mark of byte order is text like any other. @throws NotUtf8 */
function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { ignoreBOM: true, fatal: true }).decode(bytes);
  } catch {
    throw new NotUtf8();
  }
}

/** Before the whole of a text it is none. */
const withoutMark = (text: string): string => (text.startsWith("\ufeff") ? text.slice(1) : text);

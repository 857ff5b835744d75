// Parses large JSON without a second copy of it: its long strings are cut out of the bytes first, so that the parser sees only what is
// left, and what is left is bounded, so that no text of a hundred megabytes becomes millions of small objects.
import { isUtf8 } from "node:buffer";
import { setImmediate as nextTurn } from "node:timers/promises";
import { isTooDeepBytes } from "../limits/json-depth.ts";

/** A longer string is cut out. */
const LONG_BYTES = 16 * 1024;
/** Of all that is no long string. */
const MAX_REST_BYTES = 4 * 1024 * 1024;

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
export class TooDeep extends Error {}

/** Text that no client can know. */
const MARK = crypto.randomUUID();

/**
 * What JSON.parse gives, with long strings under one of `rawKeys` as RawText.
 * @throws SyntaxError; TooMuchStructure; TooDeep.
 */
export async function parseLargeJson(body: Uint8Array, rawKeys: ReadonlySet<string>): Promise<unknown> {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const { rest, cuts } = withoutLongStrings(bytes);
  if (isTooDeepBytes(rest)) throw new TooDeep();
  const value = JSON.parse(new TextDecoder().decode(rest)) as unknown;
  if (cuts.length === 0) return value;
  return putBack(value, cuts, rawKeys);
}

function withoutLongStrings(bytes: Buffer): { rest: Buffer; cuts: Buffer[] } {
  const cuts: Buffer[] = [];
  const rest: Buffer[] = [];
  let restBytes = 0;
  let kept = 0;
  const keep = (end: number) => {
    restBytes += end - kept;
    if (restBytes > MAX_REST_BYTES) throw new TooMuchStructure();
    rest.push(bytes.subarray(kept, end));
  };
  for (let start = bytes.indexOf(QUOTE); start >= 0; ) {
    const end = endOfString(bytes, start);
    if (end < 0) break;
    if (restBytes + start - kept > MAX_REST_BYTES) throw new TooMuchStructure();
    if (end - start > LONG_BYTES) {
      keep(start);
      rest.push(Buffer.from(`"${MARK}${cuts.length}"`));
      cuts.push(bytes.subarray(start + 1, end));
      kept = end + 1;
    }
    start = bytes.indexOf(QUOTE, end + 1);
  }
  keep(bytes.length);
  return { rest: Buffer.concat(rest), cuts };
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function endOfString(bytes: Buffer, start: number): number {
  for (let end = bytes.indexOf(QUOTE, start + 1); end >= 0; end = bytes.indexOf(QUOTE, end + 1)) {
    let escapes = end - 1;
    while (bytes[escapes] === BACKSLASH) escapes--;
    if ((end - escapes) % 2 === 1) return end;
  }
  return -1;
}

/** Long strings one by one, each in a turn of its own: reading them is the work. */
async function putBack(
  value: unknown,
  cuts: readonly Buffer[],
  rawKeys: ReadonlySet<string>,
): Promise<unknown> {
  const cutOf = (mark: string) => cuts[Number(mark.slice(MARK.length))] as Buffer;
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

/** @throws SyntaxError for what may not stand in a JSON string. */
function textOf(cut: Buffer, mayStayRaw: boolean): string | RawText {
  const isPlain = !hasControls(cut);
  if (isPlain && !cut.includes(BACKSLASH)) {
    // What is not UTF-8 is replaced as everywhere else.
    return mayStayRaw && isUtf8(cut) ? new RawText(cut) : decoded(cut);
  }
  return JSON.parse(`"${decoded(cut)}"`) as string;
}

function hasControls(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at++) if ((bytes[at] as number) < 0x20) return true;
  return false;
}

/** Inside of a body a mark of byte order is text like any other. */
const decoded = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

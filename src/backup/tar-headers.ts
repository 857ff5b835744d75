// What the library that reads tar lets pass and an archive of Roost never has: numbers that are none, headers about headers, long names
// in other dialects, records that do not fit their length. Looked at as it stands in the archive, between the contents of two files.

export const BLOCK = 512;
/** Of one pax header; ours are far smaller. */
const MAX_PAX_BYTES = 64 * 1024;
const TYPE = 156;
const SIZE = { at: 124, width: 12 };
const NUMBERS = [
  { at: 100, width: 8 },
  { at: 136, width: 12 },
  { at: 148, width: 8 },
];

export const wholeBlocks = (bytes: number): number => Math.ceil(bytes / BLOCK) * BLOCK;

/**
 * Holds what precedes a content to one plain header, with one pax header before it at most. A part of it is held as far as it goes.
 * @throws Error for anything else.
 */
export function refuseHeaders(between: Buffer): void {
  if (between.byteLength < BLOCK) return;
  if (isEmpty(between.subarray(0, BLOCK))) throw new Error("The archive goes on behind its end.");
  refuseHeader(between, 0, true);
  if (typeAt(between, 0) !== "x") {
    refuseOtherType(between, 0);
    return;
  }
  const bytes = Number.parseInt(field(between, SIZE.at, SIZE.width), 8);
  if (bytes > MAX_PAX_BYTES) throw new Error("The archive has an oversized header.");
  const next = BLOCK + wholeBlocks(bytes);
  if (between.byteLength < next) return;
  const sizes = paxSizes(between.subarray(BLOCK, BLOCK + bytes));
  if (between.byteLength < next + BLOCK) return;
  // One describes the next file; a row of them would be no file for ever.
  if (typeAt(between, next) === "x") throw new Error("The archive has an unreadable header.");
  refuseOtherType(between, next);
  refuseHeader(between, next, sizes.length === 0);
}

/** @throws Error when what follows the last content is no end: then nothing says that the archive is whole. */
export function refuseOpenEnd(tail: Buffer): void {
  if (tail.byteLength >= BLOCK && isEmpty(tail.subarray(0, BLOCK))) return;
  refuseHeaders(tail);
  throw new Error("The archive is cut off.");
}

const isEmpty = (block: Uint8Array) => block.every((byte) => byte === 0);
const typeAt = (blocks: Buffer, start: number) => blocks.toString("latin1", start + TYPE, start + TYPE + 1);
const field = (blocks: Buffer, at: number, width: number) =>
  blocks.toString("latin1", at, at + width).split("\0", 1)[0] ?? "";

function refuseHeader(blocks: Buffer, start: number, saysSize: boolean): void {
  for (const { at, width } of saysSize ? [...NUMBERS, SIZE] : NUMBERS)
    if (!/^ *[0-7]{1,12} *$/.test(field(blocks, start + at, width)))
      throw new Error("The archive has a header with a number that is none.");
}

/** Links, folders, devices, and the dialects in which a header describes another one. */
function refuseOtherType(blocks: Buffer, start: number): void {
  if (["0", "\0"].includes(typeAt(blocks, start))) return;
  throw new Error(`The archive holds "${field(blocks, start, 100)}", which is no plain file.`);
}

/** Every size in the records. @throws Error for a record that is unreadable and for a size that is none. */
function paxSizes(records: Buffer): number[] {
  const sizes: number[] = [];
  for (let rest = records; rest.byteLength > 0; ) {
    const length = Number(/^(\d{1,6}) /.exec(rest.toString("latin1", 0, 20))?.[1] ?? "0");
    const [, key, value] = /^\d+ ([^=]+)=(.*)\n$/s.exec(rest.toString("utf8", 0, length)) ?? [];
    if (length > rest.byteLength || key === undefined || value === undefined)
      throw new Error("The archive has an unreadable header.");
    if (key === "size") sizes.push(usableSize(value));
    rest = rest.subarray(length);
  }
  return sizes;
}

function usableSize(text: string): number {
  const size = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(size)) throw new Error("The archive has a header without a usable size.");
  return size;
}

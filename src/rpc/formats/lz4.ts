// LZ4 frames (magic 04 22 4D 18), read and written here around a library's block functions: its own frame functions read block checksums
// as data, verify none, and expand without a bound. A block is measured before it is expanded.
import { compressBlock, decompressBlock } from "lz4js";
import { RpcError } from "../wire/rpc-error.ts";

const MAGIC = 0x184d2204;
const VERSION = 0x40;
const HAS_BLOCK_SUMS = 0x10;
const HAS_SIZE = 0x08;
const HAS_SUM = 0x04;
const HAS_DICTIONARY = 0x01;
const STORED = 0x80000000;
const MIN_MATCH = 4;
const WINDOW = 64 * 1024;
/** Of what is written; code 4 of the frame's header. */
const BLOCK_BYTES = 64 * 1024;
/** After so much work others have their turn. */
const TURN_BYTES = 256 * 1024;

type Bytes = Uint8Array<ArrayBuffer>;

const broken = (message: string) => new RpcError(1004, { message: `the body is no LZ4 frame: ${message}` });
const xxh32 = (bytes: Uint8Array): number => Number(Bun.hash.xxHash32(bytes)) >>> 0;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** @throws RpcError 1004 for what is broken, 2004 above the limit */
export async function expandLz4(bytes: Uint8Array, limitBytes: number): Promise<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const head = readHead(bytes, view);
  let out = new Uint8Array(Math.min(limitBytes, Math.max(4 * bytes.byteLength, head.contentBytes ?? 0)));
  let length = 0;
  let at = head.bytes;
  let sinceTurn = 0;
  const need = (count: number) => {
    if (at + count > bytes.byteLength) throw broken("it is cut short");
  };
  const room = (more: number) => {
    if (length + more > limitBytes)
      throw new RpcError(2004, { message: `the body has more than ${limitBytes} bytes` });
    if (length + more <= out.byteLength) return;
    const larger = new Uint8Array(Math.min(limitBytes, Math.max(2 * out.byteLength, length + more)));
    larger.set(out.subarray(0, length));
    out = larger;
  };
  for (;;) {
    need(4);
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) break;
    const size = word & ~STORED;
    if (size > head.blockBytes) throw broken("a block is larger than it may be");
    need(size + (head.hasBlockSums ? 4 : 0));
    if (head.hasBlockSums && view.getUint32(at + size, true) !== xxh32(bytes.subarray(at, at + size)))
      throw broken("the checksum of a block is wrong");
    const reach = head.isIndependent ? 0 : Math.min(length, WINDOW);
    const expanded = (word & STORED) !== 0 ? size : measure(bytes, at, at + size, head.blockBytes, reach);
    room(expanded);
    if ((word & STORED) !== 0) out.set(bytes.subarray(at, at + size), length);
    else decompressBlock(bytes, out, at, size, length);
    length += expanded;
    at += size + (head.hasBlockSums ? 4 : 0);
    sinceTurn += expanded + size;
    if (sinceTurn < TURN_BYTES) continue;
    sinceTurn = 0;
    await turn();
  }
  const content = out.subarray(0, length);
  if (head.hasSum) {
    need(4);
    if (view.getUint32(at, true) !== xxh32(content)) throw broken("the checksum is wrong");
    at += 4;
  }
  if (at !== bytes.byteLength) throw broken("something stands behind it");
  if (head.contentBytes !== undefined && head.contentBytes !== length)
    throw broken("its length is not what it says");
  return content;
}

interface Head {
  readonly bytes: number;
  readonly blockBytes: number;
  readonly isIndependent: boolean;
  readonly hasBlockSums: boolean;
  readonly hasSum: boolean;
  readonly contentBytes: number | undefined;
}

function readHead(bytes: Uint8Array, view: DataView): Head {
  if (bytes.byteLength < 7 || view.getUint32(0, true) !== MAGIC) throw broken("it does not begin as one");
  const flags = view.getUint8(4);
  const block = (view.getUint8(5) >> 4) & 7;
  if ((flags & 0xc0) !== VERSION || (flags & 0x02) !== 0 || block < 4 || (view.getUint8(5) & 0x8f) !== 0)
    throw broken("its header is not known");
  if ((flags & HAS_DICTIONARY) !== 0) throw broken("it needs a dictionary");
  const sumAt = (flags & HAS_SIZE) !== 0 ? 14 : 6;
  if (bytes.byteLength <= sumAt) throw broken("it is cut short");
  if (view.getUint8(sumAt) !== ((xxh32(bytes.subarray(4, sumAt)) >>> 8) & 0xff))
    throw broken("the checksum of its header is wrong");
  return {
    bytes: sumAt + 1,
    blockBytes: 1 << (8 + 2 * block),
    isIndependent: (flags & 0x20) !== 0,
    hasBlockSums: (flags & HAS_BLOCK_SUMS) !== 0,
    hasSum: (flags & HAS_SUM) !== 0,
    contentBytes: (flags & HAS_SIZE) !== 0 ? Number(view.getBigUint64(6, true)) : undefined,
  };
}

/** Bytes that a block expands to. `reach`: how far before it its matches may begin. @throws RpcError 1004 */
function measure(bytes: Uint8Array, start: number, end: number, maxBytes: number, reach: number): number {
  let at = start;
  let length = 0;
  const more = (first: number): number => {
    let count = first;
    if (first < 15) return count;
    for (;;) {
      const byte = at < end ? (bytes[at++] ?? 0) : -1;
      if (byte < 0) throw broken("a block is cut short");
      count += byte;
      if (byte !== 0xff) return count;
    }
  };
  while (at < end) {
    const token = bytes[at++] ?? 0;
    const literals = more(token >> 4);
    if (literals > end - at) throw broken("a block is cut short");
    at += literals;
    length += literals;
    if (length > maxBytes) throw broken("a block expands to more than it may");
    if (at === end) return length;
    if (end - at < 2) throw broken("a block is cut short");
    const offset = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
    at += 2;
    if (offset === 0 || offset > length + reach) throw broken("a match begins before the content");
    length += more(token & 15) + MIN_MATCH;
    if (length > maxBytes) throw broken("a block expands to more than it may");
  }
  throw broken("a block has no end");
}

/** Independent blocks of 64 KiB, with the checksum of the content. */
export async function compressLz4(bytes: Bytes): Promise<Bytes> {
  const blocks = Math.ceil(bytes.byteLength / BLOCK_BYTES);
  const out = new Uint8Array(7 + bytes.byteLength + 4 * blocks + 8);
  const view = new DataView(out.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, VERSION | 0x20 | HAS_SUM);
  view.setUint8(5, 4 << 4);
  view.setUint8(6, (xxh32(out.subarray(4, 6)) >>> 8) & 0xff);
  const table = new Uint32Array(1 << 16);
  // The library writes more than the block where nothing repeats.
  const scratch = new Uint8Array(BLOCK_BYTES + Math.ceil(BLOCK_BYTES / 255) + 16);
  let at = 7;
  let sinceTurn = 0;
  for (let from = 0; from < bytes.byteLength; from += BLOCK_BYTES) {
    const block = bytes.subarray(from, from + BLOCK_BYTES);
    table.fill(0);
    const size = compressBlock(block, scratch, 0, block.byteLength, table);
    const isStored = size === 0 || size >= block.byteLength;
    view.setUint32(at, isStored ? block.byteLength | STORED : size, true);
    out.set(isStored ? block : scratch.subarray(0, size), at + 4);
    at += 4 + (isStored ? block.byteLength : size);
    sinceTurn += block.byteLength;
    if (sinceTurn < TURN_BYTES) continue;
    sinceTurn = 0;
    await turn();
  }
  view.setUint32(at, 0, true);
  view.setUint32(at + 4, xxh32(bytes), true);
  return out.subarray(0, at + 8);
}

// gzip streams that share what they compress. A piece is deflated once, without looking back at what came before it, and ends at a whole
// byte (a flush, as RFC 1951 allows between blocks), so its bytes may stand anywhere in any stream. What differs between streams is the
// checksum at the end, which is put together from those of the pieces. One member a stream: browsers read no second one.
import { constants, crc32, deflateRawSync } from "node:zlib";

/** Any part of a stream that can be put into any other. */
export interface DeflatedPiece {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly plainBytes: number;
  readonly crc: number;
  /** Moves the checksum of what came before past this piece. */
  readonly shift: number;
}

/** RFC 1952: deflate, no name, no time, system unknown. */
export const GZIP_HEAD = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff);

/** Smaller ones gain nothing. */
const WORTH_BYTES = 200;
/** Larger ones would keep everybody waiting while they are compressed. */
const MAX_BYTES = 1024 * 1024;
const STORED_BYTES = 0xffff;
const STORED_HEAD = 5;
/** On JSON of a few kilobytes: less than half the time of the default, two in a hundred more bytes. */
const LEVEL = 2;

export function deflatedPiece(plain: Uint8Array<ArrayBuffer>): DeflatedPiece {
  const { byteLength } = plain;
  const isWorth = byteLength >= WORTH_BYTES && byteLength <= MAX_BYTES;
  return {
    bytes: isWorth ? compressed(plain) : stored(plain),
    plainBytes: byteLength,
    crc: crc32(plain),
    shift: powerOfX(byteLength),
  };
}

/** A copy: what zlib answers may be a part of something larger. */
function compressed(plain: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(deflateRawSync(plain, { level: LEVEL, finishFlush: constants.Z_SYNC_FLUSH }));
}

/** As it is, in blocks (RFC 1951, 3.2.4). */
function stored(plain: Uint8Array): Uint8Array<ArrayBuffer> {
  const blocks = Math.ceil(plain.byteLength / STORED_BYTES);
  const bytes = new Uint8Array(plain.byteLength + blocks * STORED_HEAD);
  const view = new DataView(bytes.buffer);
  for (let from = 0, at = 0; from < plain.byteLength; from += STORED_BYTES) {
    const block = plain.subarray(from, from + STORED_BYTES);
    view.setUint16(at + 1, block.byteLength, true);
    view.setUint16(at + 3, ~block.byteLength, true);
    bytes.set(block, at + STORED_HEAD);
    at += STORED_HEAD + block.byteLength;
  }
  return bytes;
}

/** What one stream carries, for its end. */
export class GzipSum {
  #crc = 0;
  #bytes = 0;

  add({ crc, shift, plainBytes }: DeflatedPiece): void {
    this.#crc = product(shift, this.#crc) ^ crc;
    this.#bytes += plainBytes;
  }

  /** An empty last block, and what RFC 1952 wants after it. */
  end(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(10);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 0x0003, true);
    view.setUint32(2, this.#crc, true);
    view.setUint32(6, this.#bytes % 2 ** 32, true);
    return bytes;
  }
}

// Checksums are polynomials over two elements, bits reversed, modulo CRC-32's (as zlib's crc32_combine has it).

const POLYNOMIAL = 0xedb88320 | 0;
const ONE = 1 << 31;

/** For every piece of every reader, so without a branch. */
function product(a: number, b: number): number {
  let sum = 0;
  let rest = b | 0;
  for (let bit = 31; bit >= 0; bit--) {
    sum ^= rest & -((a >>> bit) & 1);
    rest = (rest >>> 1) ^ (POLYNOMIAL & -(rest & 1));
  }
  return sum;
}

/** x to the 2 to the n. */
const SQUARES: readonly number[] = Array.from({ length: 32 }).reduce<number[]>(
  (squares) => [...squares, squares.length === 0 ? ONE >>> 1 : square(squares.at(-1) ?? 0)],
  [],
);

function square(a: number): number {
  return product(a, a);
}

/** x to the number of bits in so many bytes. */
function powerOfX(bytes: number): number {
  let power = ONE;
  for (let rest = bytes, n = 3; rest > 0; rest = Math.floor(rest / 2), n++)
    if (rest % 2 === 1) power = product(SQUARES[n % 32] ?? 0, power);
  return power;
}

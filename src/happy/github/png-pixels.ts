// RGBA pixels of a PNG as Bun.Image writes it: 8 bits a channel, colour type 6, not interlaced. Everything else is refused: pictures
// from outside are decoded by Bun, never here.
import { inflateSync } from "node:zlib";

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Row by row, four bytes a pixel. */
  readonly rgba: Uint8Array;
}

const SIGNATURE_BYTES = 8;
const CHANNELS = 4;

/** @throws Error for any other kind of PNG. */
export function pngPixels(png: Uint8Array): Pixels {
  const bytes = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  const data: Buffer[] = [];
  let header: Buffer | undefined;
  for (let at = SIGNATURE_BYTES; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const chunk = bytes.subarray(at + 8, at + 8 + length);
    const type = bytes.toString("latin1", at + 4, at + 8);
    if (type === "IHDR") header = chunk;
    else if (type === "IDAT") data.push(chunk);
    at += 12 + length;
  }
  // Depth 8, colour type 6, deflate, the standard filters, no interlace.
  if (header === undefined || header.subarray(8, 13).toString("hex") !== "0806000000")
    throw new Error("not a PNG of 8-bit RGBA");
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const rows = inflateSync(Buffer.concat(data), { maxOutputLength: height * (width * CHANNELS + 1) });
  return { width, height, rgba: unfilter(rows, width * CHANNELS, height) };
}

/** Undoes the filter of each row (PNG specification, section 9). */
function unfilter(rows: Uint8Array, stride: number, height: number): Uint8Array {
  const out = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = rows[y * (stride + 1)];
    const from = y * (stride + 1) + 1;
    const to = y * stride;
    for (let x = 0; x < stride; x++) {
      const left = x < CHANNELS ? 0 : (out[to + x - CHANNELS] ?? 0);
      const up = y === 0 ? 0 : (out[to + x - stride] ?? 0);
      const upLeft = x < CHANNELS || y === 0 ? 0 : (out[to + x - stride - CHANNELS] ?? 0);
      out[to + x] = (rows[from + x] ?? 0) + predict(filter, left, up, upLeft);
    }
  }
  return out;
}

function predict(filter: number | undefined, left: number, up: number, upLeft: number): number {
  switch (filter) {
    case 0:
      return 0;
    case 1:
      return left;
    case 2:
      return up;
    case 3:
      return (left + up) >> 1;
    case 4:
      return paeth(left, up, upLeft);
    default:
      throw new Error("a PNG row has an unknown filter");
  }
}

function paeth(left: number, up: number, upLeft: number): number {
  const estimate = left + up - upLeft;
  const toLeft = Math.abs(estimate - left);
  const toUp = Math.abs(estimate - up);
  const toUpLeft = Math.abs(estimate - upLeft);
  if (toLeft <= toUp && toLeft <= toUpLeft) return left;
  return toUp <= toUpLeft ? up : upLeft;
}

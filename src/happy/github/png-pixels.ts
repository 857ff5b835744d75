// RGBA pixels of a small PNG as Bun.Image writes it: 8 bits a channel, colour type 6, not interlaced. Everything else is refused:
// pictures from outside are decoded by Bun, never here, and what Bun keeps of theirs, such as a colour profile, is not looked at.
import { decode } from "fast-png";

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Row by row, four bytes a pixel. */
  readonly rgba: Uint8Array;
}

const CHANNELS = 4;
/** What `picture.ts` scales into. */
const MAX_PIXELS = 100 * 100;
/** Of those pixels without compression; so much can inflate to no more than some 64 MB. */
const MAX_BYTES = 64 * 1024;

const SIGNATURE_BYTES = 8;
/** Length, type and checksum around the data of a chunk. */
const FRAME_BYTES = 12;
const PIXEL_CHUNKS = new Set(["IHDR", "IDAT", "IEND"]);

/** @throws Error for any other kind of PNG. */
export function pngPixels(png: Uint8Array): Pixels {
  const bytes = pixelChunks(Buffer.from(png.buffer, png.byteOffset, png.byteLength));
  // Depth 8, colour type 6, deflate, the standard filters, no interlace.
  if (bytes.toString("latin1", 12, 16) !== "IHDR" || bytes.toString("hex", 24, 29) !== "0806000000")
    throw new Error("not a PNG of 8-bit RGBA");
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  if (width * height > MAX_PIXELS || bytes.length > MAX_BYTES) throw new Error("a PNG of too many pixels");
  const { data } = decode(bytes);
  if (!(data instanceof Uint8Array) || data.length !== width * height * CHANNELS)
    throw new Error("a PNG without all of its pixels");
  return { width, height, rgba: data };
}

/** The file without the chunks that hold no pixels: they may inflate to anything, and the library would. */
function pixelChunks(png: Buffer): Buffer {
  const kept = [png.subarray(0, SIGNATURE_BYTES)];
  for (let at = SIGNATURE_BYTES; at + FRAME_BYTES <= png.length; ) {
    const end = at + FRAME_BYTES + png.readUInt32BE(at);
    if (PIXEL_CHUNKS.has(png.toString("latin1", at + 4, at + 8))) kept.push(png.subarray(at, end));
    at = end;
  }
  return Buffer.concat(kept);
}

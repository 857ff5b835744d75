// What Roost needs to know of an avatar (HTTP contract 7.5): PNG or JPEG, its own size, and the ThumbHash of it scaled into 100x100.
// Bun decodes and scales, on every platform and off the main thread.
import { encode } from "../wire/base64.ts";

export interface Picture {
  readonly extension: "png" | "jpg";
  readonly width: number;
  readonly height: number;
  /** Padded base64. */
  readonly thumbhash: string;
}

/** Refused before a pixel is decoded: a small file can claim a huge canvas. */
const MAX_PIXELS = 64 * 1024 * 1024;
const THUMB_SIDE = 100;
const EXTENSIONS = new Map([
  ["png", "png"],
  ["jpeg", "jpg"],
] as const);

/** A picture that is neither PNG nor JPEG, is damaged, or is too large. */
export class PictureError extends Error {}

/** @throws PictureError */
export async function examine(bytes: Uint8Array<ArrayBuffer>): Promise<Picture> {
  const { width, height, format } = await decoding(() => open(bytes).metadata());
  const extension = format === "png" || format === "jpeg" ? EXTENSIONS.get(format) : undefined;
  if (extension === undefined) throw new PictureError(`a picture of format ${format} is not supported`);
  const thumb = await decoding(() =>
    open(bytes).resize(THUMB_SIDE, THUMB_SIDE, { fit: "inside" }).png({ compressionLevel: 0 }).bytes(),
  );
  // Loaded by the few requests that need them.
  const [{ pngPixels }, { rgbaToThumbHash }] = await Promise.all([
    import("./png-pixels.ts"),
    import("thumbhash"),
  ]);
  const pixels = pngPixels(thumb);
  return {
    extension,
    width,
    height,
    thumbhash: encode(rgbaToThumbHash(pixels.width, pixels.height, pixels.rgba)),
  };
}

/** Size and orientation as stored in the file, as the original reports them. */
const open = (bytes: Uint8Array<ArrayBuffer>) =>
  new Bun.Image(bytes, { maxPixels: MAX_PIXELS, autoOrient: false });

async function decoding<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new PictureError("a picture could not be read", { cause: error });
  }
}

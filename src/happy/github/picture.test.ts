// Avatars: only PNG and JPEG, their own size as stored, and the standard ThumbHash of the picture scaled into 100x100.
import { describe, expect, test } from "bun:test";
import { rgbaToThumbHash, thumbHashToApproximateAspectRatio, thumbHashToAverageRGBA } from "thumbhash";
import { gradient, pngOf } from "../../../test/support/png.ts";
import { examine, PictureError } from "./picture.ts";
import { pngPixels } from "./png-pixels.ts";

const hashOf = ({ thumbhash }: { thumbhash: string }) => Uint8Array.from(Buffer.from(thumbhash, "base64"));
const jpegOf = async (png: Uint8Array<ArrayBuffer>) =>
  Uint8Array.from(await new Bun.Image(png).jpeg({ quality: 90 }).bytes());

describe("examine", () => {
  test("a picture of 100x100 hashes to what the standard encoder makes of its pixels", async () => {
    const rgba = gradient(100, 100);
    const picture = await examine(pngOf(100, 100, rgba));
    expect(picture).toEqual({
      extension: "png",
      width: 100,
      height: 100,
      thumbhash: Buffer.from(rgbaToThumbHash(100, 100, rgba)).toString("base64"),
    });
    expect(picture.thumbhash.length % 4).toBe(0);
  });

  test.each([
    [400, 200],
    [30, 60],
    [1, 400],
  ])("%p x %p is scaled into the square and keeps its shape and colour", async (width, height) => {
    const rgba = new Uint8Array(width * height * 4);
    for (let at = 0; at < rgba.length; at += 4) rgba.set([200, 100, 50, 255], at);
    const picture = await examine(pngOf(width, height, rgba));
    expect([picture.width, picture.height]).toEqual([width, height]);
    const hash = hashOf(picture);
    const { r, g, b, a } = thumbHashToAverageRGBA(hash);
    expect([r, g, b, a].map((part) => Math.round(part * 20))).toEqual([16, 8, 4, 20]);
    const [ratio, expected] = [thumbHashToApproximateAspectRatio(hash), width / height];
    expect(ratio > 1).toBe(expected > 1);
  });

  test("transparency is in the hash", async () => {
    const clear = await examine(pngOf(50, 50, gradient(50, 50, 100)));
    expect(thumbHashToAverageRGBA(hashOf(clear)).a).toBeCloseTo(100 / 255, 1);
  });

  test("a JPEG is one, and its turning mark does not turn it", async () => {
    const jpeg = await jpegOf(pngOf(120, 60, gradient(120, 60)));
    // An EXIF segment that says "turn by 90 degrees", right after the start of the file.
    const exif = Buffer.from(
      "ffe1002245786966000049492a00080000000100120103000100000006000000000000 00".replace(" ", ""),
      "hex",
    );
    const marked = Uint8Array.from(Buffer.concat([jpeg.subarray(0, 2), exif, jpeg.subarray(2)]));
    const turned = await new Bun.Image(marked).resize(100, 100, { fit: "inside" }).png().bytes();
    expect(pngPixels(await new Bun.Image(turned).png({ compressionLevel: 0 }).bytes()).width).toBe(50);
    const picture = await examine(marked);
    expect(picture).toMatchObject({ extension: "jpg", width: 120, height: 60 });
    expect(picture.thumbhash).toBe((await examine(jpeg)).thumbhash);
    expect(thumbHashToApproximateAspectRatio(hashOf(picture))).toBeGreaterThan(1);
  });

  test.each([
    [
      "a GIF",
      Buffer.from(
        "47494638396101000100800000ffffff00000021f90400000000002c00000000010001000002024401003b",
        "hex",
      ),
      undefined,
    ],
    ["text", Buffer.from("<svg xmlns='http://www.w3.org/2000/svg'/>"), "ERR_IMAGE_UNKNOWN_FORMAT"],
    ["nothing", Buffer.alloc(0), "ERR_IMAGE_UNKNOWN_FORMAT"],
    ["half a PNG", Buffer.from(pngOf(40, 40, gradient(40, 40)).subarray(0, 300)), "ERR_IMAGE_DECODE_FAILED"],
    ["a PNG of a claimed 30000 x 30000", bomb(), "ERR_IMAGE_TOO_MANY_PIXELS"],
  ])("%s is refused", async (_name, bytes, code) => {
    const error: unknown = await examine(Uint8Array.from(bytes)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PictureError);
    const cause = error instanceof Error ? error.cause : undefined;
    expect(cause instanceof Error && "code" in cause ? cause.code : undefined).toBe(code);
  });
});

function bomb(): Buffer {
  const png = Buffer.from(pngOf(1, 1, gradient(1, 1)));
  png.writeUInt32BE(30_000, 16);
  png.writeUInt32BE(30_000, 20);
  png.writeUInt32BE(Bun.hash.crc32(png.subarray(12, 29)), 29);
  return png;
}

describe("pngPixels", () => {
  test("undoes every filter", () => {
    const rgba = gradient(13, 10, 77);
    expect(pngPixels(pngOf(13, 10, rgba, (row) => row % 5))).toEqual({ width: 13, height: 10, rgba });
    for (let filter = 0; filter < 5; filter++) {
      expect(pngPixels(pngOf(13, 10, rgba, () => filter)).rgba).toEqual(rgba);
    }
  });

  test("refuses what Bun does not write", () => {
    const png = Buffer.from(pngOf(2, 2, gradient(2, 2)));
    png[25] = 2;
    expect(() => pngPixels(png)).toThrow("not a PNG of 8-bit RGBA");
    expect(() => pngPixels(Buffer.from("plain"))).toThrow();
    expect(() => pngPixels(pngOf(2, 2, gradient(2, 2), () => 7))).toThrow("unknown filter");
  });
});

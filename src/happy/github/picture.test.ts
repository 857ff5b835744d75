// Avatars: only PNG and JPEG, their own size as stored, and the standard ThumbHash of the picture scaled into 100x100.
import { describe, expect, test } from "bun:test";
import { deflateSync } from "node:zlib";
import { rgbaToThumbHash, thumbHashToApproximateAspectRatio, thumbHashToAverageRGBA } from "thumbhash";
import { chunkOf, gradient, pngOf } from "../../../test/support/png.ts";
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

  test("a colour profile that the picture brought along changes nothing", async () => {
    const png = Buffer.from(pngOf(120, 60, gradient(120, 60)));
    const profile = Buffer.concat([Buffer.from("big\0\0"), deflateSync(Buffer.alloc(4 * 1024 * 1024, 7))]);
    const marked = Buffer.concat([png.subarray(0, 33), chunkOf("iCCP", profile), png.subarray(33)]);
    expect(await examine(Uint8Array.from(marked))).toEqual(await examine(Uint8Array.from(png)));
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

  test("of a view into other bytes are its own", () => {
    const rgba = gradient(5, 4);
    const png = pngOf(5, 4, rgba);
    const around = new Uint8Array(png.length + 20);
    around.set(png, 7);
    expect(pngPixels(around.subarray(7, 7 + png.length)).rgba).toEqual(rgba);
  });

  test("does not look at what a picture brought along", () => {
    const rgba = gradient(5, 4);
    const png = Buffer.from(pngOf(5, 4, rgba));
    const profile = chunkOf("iCCP", Buffer.from("a\0\0this is no zlib stream"));
    const more = Buffer.concat([
      png.subarray(0, 33),
      profile,
      chunkOf("tRNS", Buffer.alloc(3)),
      png.subarray(33),
    ]);
    expect(pngPixels(more).rgba).toEqual(rgba);
  });

  test("refuses more pixels than a thumbnail has, before and after they are inflated", () => {
    expect(pngPixels(pngOf(100, 100, gradient(100, 100))).height).toBe(100);
    expect(() => pngPixels(pngOf(101, 100, gradient(101, 100)))).toThrow("too many pixels");
    const noise = () => crypto.getRandomValues(new Uint8Array(40_000));
    const png = Buffer.from(pngOf(100, 200, Buffer.concat([noise(), noise()])));
    png.writeUInt32BE(100, 20);
    expect(() => pngPixels(png)).toThrow("too many pixels");
  });

  test("refuses what Bun does not write", () => {
    const png = Buffer.from(pngOf(2, 2, gradient(2, 2)));
    png[25] = 2;
    expect(() => pngPixels(png)).toThrow("not a PNG of 8-bit RGBA");
    expect(() => pngPixels(Buffer.from("plain"))).toThrow();
    expect(() => pngPixels(pngOf(2, 2, gradient(2, 2), () => 7))).toThrow("Unsupported filter");
  });
});

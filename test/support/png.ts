// Makes PNG files of 8-bit RGBA for tests, each row with the filter that the test asks for.
import { crc32, deflateSync } from "node:zlib";

/** `rgba` row by row; `filterOf` says the filter (0 to 4) of each row. */
export function pngOf(
  width: number,
  height: number,
  rgba: Uint8Array,
  filterOf: (row: number) => number = () => 0,
): Uint8Array<ArrayBuffer> {
  const stride = width * 4;
  const rows = Buffer.alloc(height * (stride + 1));
  const at = (x: number, y: number) => (x < 0 || y < 0 ? 0 : (rgba[y * stride + x] ?? 0));
  for (let y = 0; y < height; y++) {
    const filter = filterOf(y);
    rows[y * (stride + 1)] = filter;
    for (let x = 0; x < stride; x++) {
      const [left, up, corner] = [at(x - 4, y), at(x, y - 1), at(x - 4, y - 1)];
      const nearest = [left, up, corner].reduce((best, candidate) => {
        const distance = (value: number) => Math.abs(left + up - corner - value);
        return distance(candidate) < distance(best) ? candidate : best;
      });
      const predicted = [0, left, up, Math.floor((left + up) / 2), nearest][filter] ?? 0;
      rows[y * (stride + 1) + 1 + x] = (at(x, y) - predicted) & 255;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 6, 0, 0, 0], 8);
  return Uint8Array.from(
    Buffer.concat([
      Buffer.from("89504e470d0a1a0a", "hex"),
      chunkOf("IHDR", header),
      chunkOf("IDAT", deflateSync(rows)),
      chunkOf("IEND", Buffer.alloc(0)),
    ]),
  );
}

/** Pixels of a picture that has a colour of its own everywhere. */
export function gradient(width: number, height: number, alpha = 255): Uint8Array {
  const rgba = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      rgba.set([(x * 255) / width, (y * 255) / height, ((x * y) % 97) + 60, alpha], (y * width + x) * 4);
    }
  }
  return rgba;
}

export function chunkOf(type: string, data: Uint8Array): Buffer {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, "latin1");
  out.set(data, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}

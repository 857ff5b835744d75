// Compressed bodies, in and out (contract 11.3). What expands stops at the limit, wherever it stands; above 64 KiB nothing holds the event
// loop.
import { promisify } from "node:util";
import { gunzip, gzip, gzipSync, zstdCompress, zstdCompressSync, zstdDecompress } from "node:zlib";
import type { Compression } from "../document/document.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { checkZstdFrame } from "./zstd-frame.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SYNC_BYTES = 64 * 1024;
const GZIP = { level: 6 };
const inflate = promisify(gunzip) as (bytes: Uint8Array, options: object) => Promise<Bytes>;
const deflate = promisify(gzip) as (bytes: Uint8Array, options: object) => Promise<Bytes>;
const unzstd = promisify(zstdDecompress) as (bytes: Uint8Array, options: object) => Promise<Bytes>;
const zstd = promisify(zstdCompress) as (bytes: Uint8Array) => Promise<Bytes>;

/** @throws RpcError 1004 for what is broken, 2004 above the limit */
export async function expand(
  bytes: Uint8Array,
  compression: Compression,
  limitBytes: number,
): Promise<Uint8Array> {
  try {
    if (compression === "lz4") return await (await import("./lz4.ts")).expandLz4(bytes, limitBytes);
    if (compression === "gzip") return await inflate(bytes, { maxOutputLength: limitBytes });
    checkZstdFrame(bytes);
    return await unzstd(bytes, { maxOutputLength: limitBytes });
  } catch (cause) {
    if (cause instanceof RpcError) throw cause;
    if ((cause as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE")
      throw new RpcError(2004, { message: `the body expands to more than ${limitBytes} bytes` });
    throw new RpcError(1004, { message: `the body is no ${compression}`, cause });
  }
}

export async function compress(bytes: Bytes, compression: Compression): Promise<Bytes> {
  if (compression === "lz4") return await (await import("./lz4.ts")).compressLz4(bytes);
  const isSmall = bytes.byteLength <= SYNC_BYTES;
  // Level 3 is zstd's own default.
  if (compression === "zstd") return isSmall ? (zstdCompressSync(bytes) as Bytes) : await zstd(bytes);
  return isSmall ? (gzipSync(bytes, GZIP) as Bytes) : await deflate(bytes, GZIP);
}

// Where a zstd frame ends (RFC 8878, 3.1.1), read from its headers alone: the decoder takes a frame that is cut short for a short one, and
// what stands behind a frame for nothing.
import { RpcError } from "../wire/rpc-error.ts";

const MAGIC = 0xfd2fb528;
const DICTIONARY_BYTES = [0, 1, 2, 4];
const broken = (message: string) => new RpcError(1004, { message: `the body is no zstd frame: ${message}` });

/** @throws RpcError 1004 unless it is one whole frame */
export function checkZstdFrame(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const byte = (at: number): number => {
    if (at >= bytes.byteLength) throw broken("it is cut short");
    return view.getUint8(at);
  };
  if (bytes.byteLength < 6 || view.getUint32(0, true) !== MAGIC) throw broken("it does not begin as one");
  const descriptor = byte(4);
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 ? (isSingle ? 1 : 0) : 1 << sizeFlag;
  let at = 5 + (isSingle ? 0 : 1) + (DICTIONARY_BYTES[descriptor & 3] ?? 0) + sizeBytes;
  for (;;) {
    const header = byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16);
    const type = (header >> 1) & 3;
    if (type === 3) throw broken("a block is of no known type");
    at += 3 + (type === 1 ? 1 : header >> 3);
    if ((header & 1) !== 0) break;
  }
  at += (descriptor & 0x04) !== 0 ? 4 : 0;
  if (at !== bytes.byteLength)
    throw broken(at > bytes.byteLength ? "it is cut short" : "something stands behind it");
}

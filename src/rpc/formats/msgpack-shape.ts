// Walks a MessagePack body before it is decoded: one whole value, nothing behind it, no extension types, keys that are strings, integers
// that a number can hold, and no more levels than are allowed. A body that claims more elements than it has bytes ends here, before the
// decoder makes room for them. Texts are UTF-8: read as something else, two different keys would be the same one.
import { isUtf8 } from "node:buffer";
import { RpcError } from "../wire/rpc-error.ts";
import { MAX_NESTING } from "./format.ts";
import { ValueCount } from "./value-count.ts";

export interface MsgpackShape {
  readonly hasBinary: boolean;
  /** What its values take beside their bytes. */
  readonly heldBytes: number;
}

const broken = (message: string) =>
  new RpcError(1003, { message: `the body is no MessagePack of ours: ${message}` });

/** @throws RpcError 1003; 2004 for more values than a message may have */
export function msgpackShape(bytes: Uint8Array): MsgpackShape {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** Values that are left at each level; of a map twice as many as it has entries. */
  const left: number[] = [1];
  const isMap: boolean[] = [false];
  const count = new ValueCount();
  let at = 0;
  let hasBinary = false;

  const need = (count: number) => {
    if (at + count > bytes.byteLength) throw broken("it is cut short");
  };
  const number = (size: 1 | 2 | 4): number => {
    need(size);
    const value = size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at) : view.getUint32(at);
    at += size;
    return value;
  };
  const skip = (count: number) => {
    need(count);
    at += count;
  };
  const text = (length: number) => {
    need(length);
    if (!isText(bytes, at, length)) throw broken("a text is no UTF-8");
    at += length;
  };
  const open = (values: number, map: boolean) => {
    // Every value takes a byte at least.
    if (values > bytes.byteLength - at) throw broken("it is cut short");
    count.container();
    if (values === 0) return;
    count.value(values);
    if (left.length > MAX_NESTING) throw broken(`it has more than ${MAX_NESTING} levels`);
    left.push(values);
    isMap.push(map);
  };
  const large = (signed: boolean) => {
    need(8);
    const value = signed ? view.getBigInt64(at) : view.getBigUint64(at);
    if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER))
      throw broken("an integer has more than 53 bits");
    at += 8;
  };

  while (left.length > 0) {
    const level = left.length - 1;
    const rest = left[level] ?? 0;
    if (rest === 0) {
      left.pop();
      isMap.pop();
      continue;
    }
    left[level] = rest - 1;
    const isKey = isMap[level] === true && rest % 2 === 0;
    const head = number(1);
    const isString = (head >= 0xa0 && head <= 0xbf) || (head >= 0xd9 && head <= 0xdb);
    if (isKey && !isString) throw broken("a key is no string");
    if (head <= 0x7f || head >= 0xe0 || head === 0xc0 || head === 0xc2 || head === 0xc3) continue;
    if (head <= 0x8f) open((head & 0x0f) * 2, true);
    else if (head <= 0x9f) open(head & 0x0f, false);
    else if (head <= 0xbf) text(head & 0x1f);
    else if (head >= 0xc4 && head <= 0xc6) {
      hasBinary = true;
      skip(number(sizeOf(head - 0xc4)));
    } else if (head === 0xca) skip(4);
    else if (head === 0xcb) skip(8);
    else if (head >= 0xcc && head <= 0xce) skip(sizeOf(head - 0xcc));
    else if (head >= 0xd0 && head <= 0xd2) skip(sizeOf(head - 0xd0));
    else if (head === 0xcf || head === 0xd3) large(head === 0xd3);
    else if (head >= 0xd9 && head <= 0xdb) text(number(sizeOf(head - 0xd9)));
    else if (head === 0xdc || head === 0xdd) open(number(head === 0xdc ? 2 : 4), false);
    else if (head === 0xde || head === 0xdf) open(number(head === 0xde ? 2 : 4) * 2, true);
    else throw broken("it has an extension type");
  }
  if (at !== bytes.byteLength) throw broken("something stands behind it");
  return { hasBinary, heldBytes: count.bytes };
}

const sizeOf = (step: number): 1 | 2 | 4 => (step === 0 ? 1 : step === 1 ? 2 : 4);

/** Short ones are mostly ASCII, which a look at each byte tells faster than a view of them. */
const SHORT = 32;

function isText(bytes: Uint8Array, at: number, length: number): boolean {
  if (length <= SHORT) {
    let end = at;
    while (end < at + length && (bytes[end] ?? 0) < 0x80) end++;
    if (end === at + length) return true;
  }
  return isUtf8(bytes.subarray(at, at + length));
}

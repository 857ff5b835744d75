// google.protobuf.Struct and Value, read from bytes and written to them without the objects in between. Numbers are doubles, levels are
// bounded, an object's prototype is never reached, texts are UTF-8 on both ways.
import { type Reader, Writer } from "protobufjs/minimal";
import { RpcError } from "../wire/rpc-error.ts";
import { MAX_NESTING } from "./format.ts";
import { ValueCount } from "./value-count.ts";

const tooDeep = () =>
  new RpcError(1003, { message: `the body is nested more than ${MAX_NESTING} levels deep` });

type Fields = Record<string, unknown>;

/** `end`: where it ends in the reader. */
export function readStruct(reader: Reader, end: number, depth = 1, count = new ValueCount()): Fields {
  if (depth > MAX_NESTING) throw tooDeep();
  count.container();
  const fields: Fields = {};
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag >>> 3 !== 1) {
      reader.skipType(tag & 7);
      continue;
    }
    const entryEnd = reader.uint32() + reader.pos;
    let key = "";
    let value: unknown = null;
    while (reader.pos < entryEnd) {
      const part = reader.uint32();
      if (part >>> 3 === 1) key = reader.stringVerify();
      else if (part >>> 3 === 2) value = readValue(reader, reader.uint32() + reader.pos, depth, count);
      else reader.skipType(part & 7);
    }
    if (key === "__proto__")
      Object.defineProperty(fields, key, { value, enumerable: true, configurable: true, writable: true });
    else fields[key] = value;
  }
  return fields;
}

export function readValue(reader: Reader, end: number, depth = 0, count = new ValueCount()): unknown {
  count.value();
  let value: unknown = null;
  while (reader.pos < end) {
    const tag = reader.uint32();
    switch (tag >>> 3) {
      case 1:
        reader.int32();
        value = null;
        break;
      case 2:
        value = reader.double();
        break;
      case 3:
        value = reader.stringVerify();
        break;
      case 4:
        value = reader.bool();
        break;
      case 5:
        value = readStruct(reader, reader.uint32() + reader.pos, depth + 1, count);
        break;
      case 6:
        value = readList(reader, reader.uint32() + reader.pos, depth + 1, count);
        break;
      default:
        reader.skipType(tag & 7);
    }
  }
  return value;
}

function readList(reader: Reader, end: number, depth: number, count: ValueCount): unknown[] {
  if (depth > MAX_NESTING) throw tooDeep();
  count.container();
  const items: unknown[] = [];
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) items.push(readValue(reader, reader.uint32() + reader.pos, depth, count));
    else reader.skipType(tag & 7);
  }
  return items;
}

/** A whole Value. What JSON leaves out is left out, what it cannot say is null. */
export const valueBytes = (value: unknown): Uint8Array<ArrayBuffer> =>
  writeValue(Writer.create(), value).finish() as Uint8Array<ArrayBuffer>;

export const structBytes = (fields: Readonly<Fields>): Uint8Array<ArrayBuffer> =>
  writeStruct(Writer.create(), fields).finish() as Uint8Array<ArrayBuffer>;

const isLeftOut = (value: unknown) =>
  value === undefined || typeof value === "function" || typeof value === "symbol";

function writeStruct(writer: Writer, fields: Readonly<Fields>): Writer {
  for (const key of Object.keys(fields)) {
    const value = plain(fields[key]);
    if (isLeftOut(value)) continue;
    writer.uint32(0x0a).fork().uint32(0x0a).string(key.toWellFormed()).uint32(0x12).fork();
    writeValue(writer, value).ldelim().ldelim();
  }
  return writer;
}

function writeValue(writer: Writer, given: unknown): Writer {
  const value = plain(given);
  if (typeof value === "number" && Number.isFinite(value)) return writer.uint32(0x11).double(value);
  if (typeof value === "string") return writer.uint32(0x1a).string(value.toWellFormed());
  if (typeof value === "boolean") return writer.uint32(0x20).bool(value);
  if (Array.isArray(value)) {
    writer.uint32(0x32).fork();
    for (const item of value) writeValue(writer.uint32(0x0a).fork(), item).ldelim();
    return writer.ldelim();
  }
  if (typeof value === "object" && value !== null)
    return writeStruct(writer.uint32(0x2a).fork(), value as Fields).ldelim();
  return writer.uint32(0x08).int32(0);
}

/** As JSON would see it: dates, and bytes, say themselves as text. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return "toJSON" in value && typeof value.toJSON === "function" ? value.toJSON() : value;
}

// Walks an Avro datum along its schema before it is decoded: the decoder believes every length and every count, and a body of ten bytes
// could claim two thousand million items.
import { isUtf8 } from "node:buffer";
import { RpcError } from "../wire/rpc-error.ts";
import type { Claim } from "./format.ts";
import { ValueCount } from "./value-count.ts";

const broken = (message: string) =>
  new RpcError(1003, { message: `the body is no Avro request: ${message}` });

/** A count or a length above this is none of a body that we read. */
const MAX_VARINT_BYTES = 10;

interface SchemaObject {
  readonly type: string;
  readonly fields?: readonly { readonly type: unknown }[];
  readonly items?: unknown;
  readonly values?: unknown;
}

/** @throws RpcError 1003 unless exactly one datum is there; 2004 for more values than a message may have */
export function checkAvro(bytes: Uint8Array, schema: unknown, claim: Claim): void {
  const walk = new Walk(bytes);
  walk.datum(schema);
  walk.end();
  claim(walk.count.bytes);
}

class Walk {
  #at = 0;
  readonly count = new ValueCount();

  constructor(private readonly bytes: Uint8Array) {}

  datum(schema: unknown): void {
    if (typeof schema === "string") this.#primitive(schema);
    else if (Array.isArray(schema)) this.#union(schema);
    else this.#complex(schema as SchemaObject);
  }

  end(): void {
    if (this.#at !== this.bytes.byteLength) throw broken("something stands behind it");
  }

  #primitive(name: string): void {
    if (name === "string") this.#text(this.#varint());
    else if (name === "int" || name === "long") this.#varint();
    else if (name === "double") this.#skip(8);
    else if (name === "boolean") this.#skip(1);
    else if (name !== "null") throw new Error(`no type of ours: ${name}`);
  }

  #union(branches: readonly unknown[]): void {
    const index = this.#varint();
    if (index < 0 || index >= branches.length) throw broken("a union has no such branch");
    this.datum(branches[index]);
  }

  #complex({ type, fields = [], items, values }: SchemaObject): void {
    if (type === "record") for (const field of fields) this.datum(field.type);
    else if (type === "array") this.#blocks(() => this.datum(items));
    else
      this.#blocks(() => {
        this.#primitive("string");
        this.datum(values);
      });
  }

  #blocks(item: () => void): void {
    for (;;) {
      let count = this.#varint();
      if (count === 0) return;
      if (count < 0) {
        count = -count;
        this.#varint();
      }
      // Each item takes a byte at least.
      if (count > this.bytes.byteLength - this.#at) throw broken("it is cut short");
      this.count.value(count);
      for (; count > 0; count--) item();
    }
  }

  /** Read as something else, two different texts would be the same one. */
  #text(length: number): void {
    const start = this.#at;
    this.#skip(length);
    if (!isUtf8(this.bytes.subarray(start, this.#at))) throw broken("a text is no UTF-8");
  }

  #skip(count: number): void {
    if (count < 0 || count > this.bytes.byteLength - this.#at) throw broken("it is cut short");
    this.#at += count;
  }

  /** Zigzag. Large ones lose their last digits, which no length or count has. */
  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < MAX_VARINT_BYTES; count++) {
      const byte = this.bytes[this.#at++];
      if (byte === undefined) throw broken("it is cut short");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      scale *= 128;
    }
    throw broken("a number is too long");
  }
}

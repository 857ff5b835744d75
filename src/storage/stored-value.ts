// A large value of an answer that stays in the database until its turn to be written: read in pieces, so that memory holds one piece
// of it and never the whole. Bodies carry it where they carry the text otherwise.

import { releaseMemory } from "../limits/release-memory.ts";

/** Of one reading. A multiple of 3, so that pieces of base64 meet without padding. */
export const PIECE_BYTES = 3 * 1024 * 1024;
/** SQLite goes through the whole value for each piece, so that a very large one comes in no more than so many. */
const MAX_PIECES = 10;

/** The value is gone, or another one by now; what was written of it is worth nothing. */
export class ValueChanged extends Error {}

export class StoredValue {
  constructor(
    /** As it is stored. */
    readonly bytes: number,
    /** `text` is UTF-8 in the database; `base64` are bytes there and base64 in the answer. */
    private readonly as: "text" | "base64",
    /** Gives memory of its own; undefined when the value is gone. Offsets count bytes from 0. */
    private readonly read: (offset: number, bytes: number) => Promise<Uint8Array | null | undefined>,
  ) {}

  /** The inside of its JSON string, piece by piece. @throws ValueChanged */
  async *pieces(): AsyncGenerator<Uint8Array> {
    for await (const bytes of this.#stored()) {
      const text = this.as === "base64" ? base64Of(bytes) : escaped(bytes);
      if (text !== bytes) releaseMemory(bytes);
      yield text;
    }
  }

  /** As its column has it: a text, or bytes. For what is small beside the rest. @throws ValueChanged */
  async whole(): Promise<string | Uint8Array> {
    const bytes = Buffer.concat(await Array.fromAsync(this.#stored()));
    return this.as === "base64" ? bytes : bytes.toString();
  }

  async *#stored(): AsyncGenerator<Buffer> {
    const size = Math.max(PIECE_BYTES, Math.ceil(this.bytes / MAX_PIECES / 3) * 3);
    for (let offset = 0; offset < this.bytes; offset += size) {
      const piece = await this.read(offset, Math.min(size, this.bytes - offset));
      if (piece === null || piece === undefined) throw new ValueChanged("a value changed while it was read");
      yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    }
  }

  /** Leaves a gap in the text, see `jsonWithGaps`. @throws Error in a body that is written at once. */
  toJSON(): string {
    if (collected === undefined) throw new Error("a stored value is written piece by piece");
    collected.push(this);
    return MARK;
  }
}

/** Text that no client can know, and so none can send. */
const MARK = crypto.randomUUID();
const QUOTED_MARK = `"${MARK}"`;
let collected: StoredValue[] | undefined;

/** JSON text with gaps: the stored value `values[n]` belongs between `texts[n]` and `texts[n + 1]`. */
export interface JsonWithGaps {
  readonly texts: readonly string[];
  readonly values: readonly StoredValue[];
}

export function jsonWithGaps(value: unknown): JsonWithGaps {
  const values: StoredValue[] = [];
  collected = values;
  try {
    const text = JSON.stringify(value);
    return { texts: values.length === 0 ? [text] : text.split(QUOTED_MARK), values };
  } finally {
    collected = undefined;
  }
}

/** The whole JSON text, its stored values read as they come. */
export async function* jsonPieces({ texts, values }: JsonWithGaps): AsyncGenerator<string | Uint8Array> {
  for (const [index, text] of texts.entries()) {
    const stored = values[index - 1];
    if (stored !== undefined) {
      yield '"';
      yield* stored.pieces();
      yield '"';
    }
    yield text;
  }
}

/** All that JSON wants escaped is one byte in UTF-8, so bytes can be read as if they were Latin-1. Most texts want nothing. */
function escaped(bytes: Buffer): Buffer {
  if (!wantsEscapes(bytes)) return bytes;
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += ESCAPED_BYTES) {
    const text = bytes.toString("latin1", at, at + ESCAPED_BYTES);
    parts.push(Buffer.from(JSON.stringify(text).slice(1, -1), "latin1"));
  }
  return Buffer.concat(parts);
}

/** At one time: what this needs beside the bytes is strings, which stay until they are collected. */
const ESCAPED_BYTES = 256 * 1024;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function wantsEscapes(bytes: Buffer): boolean {
  if (bytes.includes(QUOTE) || bytes.includes(BACKSLASH)) return true;
  for (let at = 0; at < bytes.length; at++) if ((bytes[at] as number) < 0x20) return true;
  return false;
}

function base64Of(bytes: Buffer): Buffer {
  const text = Buffer.allocUnsafeSlow(Math.ceil(bytes.length / 3) * 4);
  let end = 0;
  for (let at = 0; at < bytes.length; at += BASE64_BYTES)
    end += text.write(bytes.toString("base64", at, at + BASE64_BYTES), end, "latin1");
  return text;
}

/** A multiple of 3. */
const BASE64_BYTES = 192 * 1024;

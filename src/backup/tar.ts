// The tar format, as much of it as an archive of plain files needs (POSIX ustar, with pax headers for long names and large sizes).
// Both ways are streams: never more than one chunk of a file is in memory, and a truncated archive is an error, not an end. An archive
// may come from anybody: a number that is none, or none that can be, is an error too.

const BLOCK = 512;
/** Of one pax header; ours are far smaller. */
const MAX_PAX_BYTES = 64 * 1024;
const MAX_OCTAL_SIZE = 8 ** 11 - 1;
/** Behind the end: other programs fill up to 10 KiB, and what goes on for ever is no archive. */
const MAX_TRAILING_BYTES = 1024 * 1024;

export interface TarHeader {
  readonly name: string;
  readonly size: number;
  readonly mode: number;
  readonly modifiedMs: number;
}

export interface TarEntry extends TarHeader {
  /** To be read before the next entry is asked for; what is left unread is skipped. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** The archive of these files. @throws Error when a content is not exactly as long as its header says. */
export async function* writeTar(entries: AsyncIterable<TarEntry>): AsyncGenerator<Uint8Array> {
  for await (const entry of entries) {
    yield* headerBlocks(entry);
    let written = 0;
    for await (const chunk of entry.content) {
      written += chunk.byteLength;
      yield chunk;
    }
    if (written !== entry.size)
      throw new Error(
        `${entry.name} has ${written} bytes instead of ${entry.size}; it changed while it was read.`,
      );
    yield padding(entry.size);
  }
  yield new Uint8Array(2 * BLOCK);
}

const padding = (size: number) => new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);

function* headerBlocks(entry: TarHeader): Generator<Uint8Array> {
  const { name, size } = entry;
  const long = Buffer.byteLength(name) > 100 || /[^\x20-\x7e]/.test(name);
  if (long || size > MAX_OCTAL_SIZE) {
    const records = Buffer.from(
      (long ? paxRecord("path", name) : "") + (size > MAX_OCTAL_SIZE ? paxRecord("size", String(size)) : ""),
    );
    yield header({ ...entry, name: "pax", size: records.byteLength }, "x");
    yield records;
    yield padding(records.byteLength);
  }
  yield header({ ...entry, name: long ? "long-name" : name, size: size > MAX_OCTAL_SIZE ? 0 : size }, "0");
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (String(length).length !== String(rest).length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function header({ name, size, mode, modifiedMs }: TarHeader, type: string): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, width: number) =>
    block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, "latin1");
  block.write(name, 0, 100, "latin1");
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(Math.min(MAX_OCTAL_SIZE, Math.max(0, Math.floor(modifiedMs / 1000))), 136, 12);
  block.write("        ", 148, "latin1");
  block.write(type, 156, "latin1");
  block.write("ustar\0" + "00", 257, "latin1");
  block.write(`${checksum(block).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** Sum of the block's bytes with blanks in place of the sum itself. */
function checksum(block: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < BLOCK; at++) sum += at >= 148 && at < 156 ? 32 : (block[at] ?? 0);
  return sum;
}

/** The files of an archive, in its order. @throws Error for anything but whole, plain files. */
export async function* readTar(archive: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const source = new ByteReader(archive);
  let pax: Map<string, string> | undefined;
  for (;;) {
    const block = await source.exactly(BLOCK);
    if (block.every((byte) => byte === 0)) {
      // What follows the end is padding; reading it lets the decompression check its own sum.
      await source.drain();
      return;
    }
    const { entry, type } = parseHeader(block);
    if (type === "x") {
      // One describes the next file; a row of them would be no file for ever.
      if (pax !== undefined) throw new Error("The archive has an unreadable header.");
      if (entry.size > MAX_PAX_BYTES) throw new Error("The archive has an oversized header.");
      pax = parsePax(await source.exactly(entry.size));
      await source.skip(padding(entry.size).byteLength);
      continue;
    }
    if (type !== "0" && type !== "\0")
      throw new Error(`The archive holds "${entry.name}", which is no plain file.`);
    const size = pax?.has("size") ? decimal(pax.get("size") ?? "") : entry.size;
    const name = pax?.get("path") ?? entry.name;
    pax = undefined;
    const content = source.part(size);
    yield { ...entry, name, size, content };
    for await (const _ of content) {
      // Skips what the reader of the entry left.
    }
    await source.skip(padding(size).byteLength);
  }
}

function parseHeader(block: Uint8Array): { entry: TarHeader; type: string } {
  const text = Buffer.from(block.buffer, block.byteOffset, BLOCK).toString("latin1");
  const field = (at: number, width: number) => text.slice(at, at + width).split("\0", 1)[0] ?? "";
  const octal = (at: number, width: number) => {
    const [, digits] = /^ *([0-7]{1,12}) *$/.exec(field(at, width)) ?? [];
    if (digits === undefined) throw new Error("The archive has a header with a number that is none.");
    return Number.parseInt(digits, 8);
  };
  if (octal(148, 8) !== checksum(block))
    throw new Error("The archive is damaged: a header does not fit its checksum.");
  const prefix = field(345, 155);
  const name = prefix === "" ? field(0, 100) : `${prefix}/${field(0, 100)}`;
  return {
    entry: { name, size: octal(124, 12), mode: octal(100, 8) & 0o777, modifiedMs: octal(136, 12) * 1000 },
    type: text[156] ?? "",
  };
}

function parsePax(records: Uint8Array): Map<string, string> {
  const found = new Map<string, string>();
  let rest = Buffer.from(records);
  while (rest.byteLength > 0) {
    const [, digits = ""] = /^(\d{1,6}) /.exec(rest.toString("latin1", 0, 20)) ?? [];
    const length = Number(digits);
    const record = rest.toString("utf8", 0, length);
    const [, key, value] = /^\d+ ([^=]+)=(.*)\n$/s.exec(record) ?? [];
    if (length > rest.byteLength || key === undefined || value === undefined)
      throw new Error("The archive has an unreadable header.");
    found.set(key, value);
    rest = rest.subarray(length);
  }
  return found;
}

/** @throws Error for anything but digits that make a size. */
function decimal(text: string): number {
  const size = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(size)) throw new Error("The archive has a header without a usable size.");
  return size;
}

/** Hands out a stream of chunks in the pieces that are asked for. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** For small pieces only: they are held in memory. */
  async exactly(bytes: number): Promise<Uint8Array> {
    const whole = new Uint8Array(bytes);
    let at = 0;
    for await (const piece of this.part(bytes)) {
      whole.set(piece, at);
      at += piece.byteLength;
    }
    return whole;
  }

  async skip(bytes: number): Promise<void> {
    for await (const _ of this.part(bytes)) {
      // Only passed over.
    }
  }

  /** The next `bytes` bytes, once: iterating again goes on where the last iteration ended. */
  part(bytes: number): AsyncIterable<Uint8Array> {
    // Counted down to nothing below: of another number there would be no end.
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw new Error("not a number of bytes");
    let left = bytes;
    const next = async (): Promise<IteratorResult<Uint8Array>> => {
      if (left === 0) return { done: true, value: undefined };
      while (this.#rest.byteLength === 0) {
        const { done, value } = await this.#chunks.next();
        if (done === true) throw new Error("The archive is cut off.");
        this.#rest = value;
      }
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.byteLength);
      left -= piece.byteLength;
      return { done: false, value: piece };
    };
    return { [Symbol.asyncIterator]: () => ({ next }) };
  }

  /** To the end. @throws Error when it does not come. */
  async drain(): Promise<void> {
    let seen = this.#rest.byteLength;
    this.#rest = new Uint8Array(0);
    for (;;) {
      const { done, value } = await this.#chunks.next();
      if (done === true) return;
      seen += value.byteLength;
      if (seen > MAX_TRAILING_BYTES) throw new Error("The archive goes on behind its end.");
    }
  }
}

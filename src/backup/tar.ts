// The tar format by the library `tar-stream`, both ways as streams: never more than a few chunks of a file are in memory. The library
// is lenient, an archive may come from anybody: what stands between two contents is held to plain headers (./tar-headers.ts), and a
// truncated archive, or one that goes on behind its end, is an error.
import { once } from "node:events";
import { pipeline } from "node:stream/promises";
import { extract, type Header, type Pack, pack } from "tar-stream";
import { BLOCK, refuseHeaders, refuseOpenEnd, wholeBlocks } from "./tar-headers.ts";

/** Between two contents: a header with its long names; behind the end other programs fill up to 10 KiB. */
const MAX_BETWEEN_BYTES = 1024 * 1024;
/** A size that needs more digits stands in a pax header, which every program reads. */
const MAX_OCTAL_SIZE = 8 ** 11 - 1;
/** The library counts seconds in 32 bits. */
const MAX_SECONDS = 2 ** 31 - 1;

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
  const archive = pack();
  const packing = (async () => {
    for await (const entry of entries) await put(entry, archive);
    archive.finalize();
  })().catch((error: unknown) => {
    archive.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  try {
    yield* archive as AsyncIterable<Uint8Array>;
  } finally {
    archive.destroy();
    await packing;
  }
}

async function put(entry: TarEntry, archive: Pack): Promise<void> {
  const { promise: written, resolve, reject } = Promise.withResolvers<void>();
  const into = archive.entry(headersOf(entry), (error) => (error ? reject(error) : resolve()));
  // What fails is told once, by the callback.
  into.on("error", () => {});
  written.catch(() => {});
  for await (const chunk of asAnnounced(entry))
    if (!into.write(chunk)) await Promise.race([once(into, "drain"), written]);
  into.end(undefined);
  await written;
}

function headersOf({ name, size, mode, modifiedMs }: TarHeader): Partial<Header> & { name: string } {
  const seconds = Math.min(MAX_SECONDS, Math.max(0, Math.floor(modifiedMs / 1000)));
  const pax = size > MAX_OCTAL_SIZE ? { pax: { size: String(size) } } : {};
  return { name, size, mode, mtime: new Date(seconds * 1000), type: "file", ...pax };
}

async function* asAnnounced({ name, size, content }: TarEntry): AsyncGenerator<Uint8Array> {
  let read = 0;
  for await (const chunk of content) {
    read += chunk.byteLength;
    if (chunk.byteLength > 0) yield chunk;
  }
  if (read !== size)
    throw new Error(`${name} has ${read} bytes instead of ${size}; it changed while it was read.`);
}

/** The files of an archive, in its order. @throws Error for anything but whole, plain files. */
export async function* readTar(archive: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const entries = extract();
  const between = new Between();
  const failed = (error: unknown) => {
    throw between.explained(error);
  };
  // What goes wrong here, the entries throw.
  const feeding = pipeline(between.watched(archive), entries).catch(() => {});
  try {
    for await (const entry of entries) {
      const { name, size, mode, mtime, type } = entry.header;
      const start = entry.offset + BLOCK;
      refuseHeaders(between.until(start));
      // Some programs' folders: files whose names end in a slash.
      if (type !== "file") throw new Error(`The archive holds "${name}", which is no plain file.`);
      between.beginsAt(start + wholeBlocks(size));
      const chunks = entry[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
      // Without `return`: whoever stops in the middle has not ended the archive.
      const content = { [Symbol.asyncIterator]: () => ({ next: () => chunks.next().catch(failed) }) };
      yield { name, size, mode: mode & 0o777, modifiedMs: mtime.getTime(), content };
      while ((await chunks.next()).done !== true);
    }
    refuseOpenEnd(between.until());
  } catch (error) {
    throw between.explained(error);
  } finally {
    entries.destroy();
    await feeding;
  }
}

/** The archive's bytes from the end of the last content on: headers of the next one, or the end. */
class Between {
  #start = 0;
  /** Whole chunks, from the one that has the start. */
  readonly #kept: Uint8Array[] = [];
  #keptFrom = 0;
  #seen = 0;

  async *watched(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of archive) {
      if (this.#seen - this.#start > MAX_BETWEEN_BYTES) {
        refuseHeaders(this.until());
        throw new Error("The archive goes on behind its end.");
      }
      this.#kept.push(chunk);
      this.#seen += chunk.byteLength;
      this.beginsAt(this.#start);
      yield chunk;
    }
  }

  beginsAt(start: number): void {
    this.#start = start;
    for (;;) {
      const bytes = this.#kept[0]?.byteLength;
      if (bytes === undefined || this.#keptFrom + bytes > start) return;
      this.#keptFrom += bytes;
      this.#kept.shift();
    }
  }

  until(end = this.#seen): Buffer {
    const [first = new Uint8Array(0), ...more] = this.#kept;
    // Copies only where a border of chunks is in between.
    const whole = end - this.#keptFrom > first.byteLength ? Buffer.concat([first, ...more]) : first;
    const [from, to] = [this.#start - this.#keptFrom, end - this.#keptFrom];
    return Buffer.from(whole.buffer, whole.byteOffset, whole.byteLength).subarray(from, to);
  }

  /** What the library says of an archive, as a sentence for a person. */
  explained(error: unknown): unknown {
    const message = error instanceof Error ? error.message : "";
    if (message === "Unexpected end of data") return new Error("The archive is cut off.");
    if (!message.startsWith("Invalid ")) return error;
    try {
      refuseHeaders(this.until());
    } catch (found) {
      return found;
    }
    return new Error("The archive is damaged: a header does not fit its checksum.");
  }
}

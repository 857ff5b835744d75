// Contents of messages: a cell is JSON text, or a zstd blob of it; which one is told by its storage class (hapi-data 6).
import type { Json, StoredJson } from "./rows.ts";

export type Cell = string | Uint8Array;

/**
 * Shorter texts are stored as they are: to compress one costs as much as to store it. Longer ones too, because nothing else happens
 * meanwhile. The format lets a writer choose.
 */
const COMPRESSED_FROM = 2 * 1024;
const COMPRESSED_TO = 1024 * 1024;

export class StoredContent implements StoredJson {
  #text: string | undefined;
  #value: { readonly value: Json } | undefined;

  /** `isJson` of a text that was looked at. */
  constructor(
    private readonly cell: Cell,
    private readonly isJson = false,
  ) {}

  /** What was just encoded need not be decoded. */
  static of(value: Json, text: string): StoredContent {
    const content = new StoredContent(text);
    content.#text = text;
    content.#value = { value };
    return content;
  }

  get text(): string {
    this.#text ??= this.#checked();
    return this.#text;
  }

  get value(): Json {
    this.#value ??= { value: parsed(cellText(this.cell)) };
    return this.#value.value;
  }

  toJSON(): Json {
    return this.value;
  }

  /** Another hub's text may be no JSON, or stand on several lines. */
  #checked(): string {
    const { cell } = this;
    // SQLite looks at a text up to its first zero only.
    if (this.isJson && typeof cell === "string" && !cell.includes("\n") && !cell.includes("\0")) return cell;
    const text = cellText(this.cell);
    const { value } = this;
    return text === undefined || value === UNREADABLE || text.includes("\n") ? JSON.stringify(value) : text;
  }
}

const UNREADABLE = null;

function parsed(text: string | undefined): Json {
  try {
    return text === undefined ? UNREADABLE : (JSON.parse(text) as Json);
  } catch {
    return UNREADABLE;
  }
}

function cellText(cell: Cell): string | undefined {
  if (typeof cell === "string") return cell;
  try {
    return Bun.zstdDecompressSync(cell).toString();
  } catch {
    return undefined;
  }
}

/** JSON text of any value; what JSON has no word for is null. */
export const contentText = (value: Json): string => JSON.stringify(value) ?? "null";

export function encodeContent(text: string): Cell {
  if (text.length < COMPRESSED_FROM || text.length > COMPRESSED_TO) return text;
  const bytes = Bun.zstdCompressSync(text);
  return bytes.byteLength < text.length ? bytes : text;
}

/** How large a content is once it is read, told by its first bytes (RFC 8878, 3.1.1.1). */
export function plainBytes(bytes: number, head: Uint8Array | null): number {
  if (head === null || head.byteLength < 6) return bytes;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const descriptor = view.getUint8(4);
  const isSingle = (descriptor & 0x20) !== 0;
  const at = 5 + (isSingle ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] ?? 0);
  try {
    switch (descriptor >> 6) {
      case 0:
        return isSingle ? view.getUint8(at) : bytes * UNKNOWN_RATIO;
      case 1:
        return view.getUint16(at, true) + 256;
      case 2:
        return view.getUint32(at, true);
      default:
        return Number(view.getBigUint64(at, true));
    }
  } catch {
    return bytes;
  }
}

/** As much of a blob as tells its size. */
export const HEAD_BYTES = 18;
/** For a frame that does not say. */
const UNKNOWN_RATIO = 8;

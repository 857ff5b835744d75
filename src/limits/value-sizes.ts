// How large one stored value may be, in bytes as they are stored: text in UTF-8, blobs decoded. The store asks before it writes, so
// that HTTP and sockets share one answer. A value that an earlier version stored is still read, whatever its size.

/** `metadata`: small texts such as metadata, keys, tokens; `state`: documents; `content`: one message. */
export type ValueKind = "metadata" | "state" | "content";

export type ValueLimits = Readonly<Record<ValueKind, number>>;

const MIB = 1024 * 1024;
export const DEFAULT_VALUE_LIMITS: ValueLimits = { metadata: MIB, state: 8 * MIB, content: 32 * MIB };

/** The value is not stored. Over HTTP it is a 413, on a socket the event's own error acknowledgement. */
export class ValueTooLarge extends Error {
  constructor(
    /** Name of the field, as the client calls it. */
    readonly field: string,
    readonly bytes: number,
    readonly limitBytes: number,
  ) {
    super(`${field} is larger than ${limitBytes} bytes`);
  }
}

export class ValueSizes {
  /** The limits are asked each time: they may change while the server runs. */
  constructor(private readonly limits: () => ValueLimits = () => DEFAULT_VALUE_LIMITS) {}

  limit(kind: ValueKind): number {
    return this.limits()[kind];
  }

  /** Whether a text fits, without counting the bytes of one that obviously does. */
  fits(kind: ValueKind, text: string): boolean {
    const limit = this.limit(kind);
    // A UTF-16 unit is one to three bytes.
    return text.length * 3 <= limit || (text.length <= limit && Buffer.byteLength(text) <= limit);
  }

  /** @throws ValueTooLarge. Absent and null fit. */
  admit(kind: ValueKind, field: string, text: string | null | undefined): void {
    if (text === null || text === undefined || this.fits(kind, text)) return;
    throw new ValueTooLarge(field, Buffer.byteLength(text), this.limit(kind));
  }

  /** The same for base64, counted as it will be stored, before it is decoded. @throws ValueTooLarge */
  admitBase64(kind: ValueKind, field: string, base64: string | null | undefined): void {
    if (base64 === null || base64 === undefined) return;
    this.admitBytes(kind, field, Buffer.byteLength(base64, "base64"));
  }

  /** @throws ValueTooLarge */
  admitBytes(kind: ValueKind, field: string, bytes: number): void {
    const limit = this.limit(kind);
    if (bytes > limit) throw new ValueTooLarge(field, bytes, limit);
  }
}

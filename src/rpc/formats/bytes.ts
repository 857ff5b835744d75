// Binary data in a message: bytes where a format has them, base64 text where it has not.

export class Bytes extends Uint8Array {
  toJSON(): string {
    return Buffer.from(this.buffer as ArrayBuffer, this.byteOffset, this.byteLength).toString("base64");
  }
}

/** The same value, with every piece of binary data as Bytes. Changes it in place: it was just decoded. */
export function withBytes(value: unknown): unknown {
  if (value instanceof Uint8Array) {
    const bytes = new Bytes(value.byteLength);
    bytes.set(value);
    return bytes;
  }
  if (typeof value !== "object" || value === null) return value;
  const holder = value as Record<string, unknown>;
  for (const key of Object.keys(holder)) holder[key] = withBytes(holder[key]);
  return value;
}

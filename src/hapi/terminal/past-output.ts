// The last output of one terminal, for a page that takes it over: bytes of UTF-8, never more than the limit. It grows with what there is,
// and when it is full the oldest quarter goes at once, so that a flood costs no copy for each piece.

const FIRST_BYTES = 4 * 1024;

export class PastOutput {
  #bytes = new Uint8Array(0);
  #used = 0;

  constructor(private readonly limitBytes: number) {}

  /** Bytes that are held, used or not. */
  get heldBytes(): number {
    return this.#bytes.byteLength;
  }

  add(data: string): void {
    const { limitBytes } = this;
    // A UTF-16 unit is one to three bytes; more of them than the limit cannot all stay.
    const piece = Buffer.from(data.length > limitBytes ? data.slice(-limitBytes) : data);
    const added = piece.byteLength > limitBytes ? piece.subarray(-limitBytes) : piece;
    this.#makeRoom(added.byteLength);
    this.#bytes.set(added, this.#used);
    this.#used += added.byteLength;
  }

  /** Begins with a whole character. */
  text(): string {
    let start = 0;
    while (start < this.#used && ((this.#bytes[start] ?? 0) & 0xc0) === 0x80) start++;
    return Buffer.from(this.#bytes.buffer, start, this.#used - start).toString("utf8");
  }

  clear(): void {
    this.#bytes = new Uint8Array(0);
    this.#used = 0;
  }

  #makeRoom(more: number): void {
    const needed = this.#used + more;
    if (needed <= this.#bytes.byteLength) return;
    if (needed <= this.limitBytes) {
      const grown = new Uint8Array(
        Math.min(this.limitBytes, Math.max(FIRST_BYTES, needed, this.#bytes.byteLength * 2)),
      );
      grown.set(this.#bytes.subarray(0, this.#used));
      this.#bytes = grown;
      return;
    }
    const gone = Math.min(this.#used, Math.max(needed - this.limitBytes, Math.floor(this.limitBytes / 4)));
    if (this.#bytes.byteLength < this.limitBytes) {
      const full = new Uint8Array(this.limitBytes);
      full.set(this.#bytes.subarray(gone, this.#used));
      this.#bytes = full;
    } else this.#bytes.copyWithin(0, gone, this.#used);
    this.#used -= gone;
  }
}

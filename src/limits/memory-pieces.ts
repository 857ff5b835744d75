// A part of the memory ceiling that consists of pieces, each somebody's: queues of sockets, frames on their way in. It knows its sum at
// any time, and gives up its largest piece first.
import type { MemoryCeiling, MemoryUser } from "./memory-ceiling.ts";

interface Piece {
  bytes: number;
  readonly giveUp: () => void;
}

export class MemoryPieces implements MemoryUser {
  readonly #pieces = new Map<object, Piece>();
  #held = 0;

  constructor(
    readonly name: string,
    private readonly ceiling: MemoryCeiling,
  ) {
    ceiling.join(this);
  }

  held(): number {
    return this.#held;
  }

  /** How many hold something. */
  get size(): number {
    return this.#pieces.size;
  }

  /**
   * What `owner` holds now; 0 forgets it. When all parts together pass the ceiling, the largest pieces are given up at once: this
   * one may be among them. `giveUp` ends what holds the bytes and is called once.
   */
  set(owner: object, bytes: number, giveUp: () => void): void {
    const piece = this.#pieces.get(owner);
    this.#held += bytes - (piece?.bytes ?? 0);
    if (bytes <= 0) this.#pieces.delete(owner);
    else if (piece === undefined) this.#pieces.set(owner, { bytes, giveUp });
    else {
      const grown = bytes > piece.bytes;
      piece.bytes = bytes;
      if (!grown) return;
    }
    if (bytes > 0 && !this.ceiling.fits(0)) this.ceiling.relieve();
  }

  /** So much more is on its way, nobody knows to whom: there is room for it, or the largest pieces are given up. */
  expect(bytes: number): void {
    if (!this.ceiling.fits(bytes)) this.ceiling.relieve(bytes);
  }

  forget(owner: object): void {
    const piece = this.#pieces.get(owner);
    if (piece === undefined) return;
    this.#pieces.delete(owner);
    this.#held -= piece.bytes;
  }

  giveUp(): number {
    let owner: object | undefined;
    let largest: Piece | undefined;
    for (const [candidate, piece] of this.#pieces) {
      if (piece.bytes <= (largest?.bytes ?? 0)) continue;
      owner = candidate;
      largest = piece;
    }
    if (owner === undefined || largest === undefined) return 0;
    this.forget(owner);
    largest.giveUp();
    return largest.bytes;
  }
}

// One ceiling for everything that clients make the server hold in memory: bodies on their way in, answers on their way out, queues of
// slow sockets. Each part says what it holds; when all together are past the ceiling, a part that can give something up is asked to:
// who takes or brings nothing goes before anybody who does.

export interface MemoryUser {
  readonly name: string;
  /** Bytes held now. Cheap: asked often. */
  held(): number;
  /** What it would give up next; where it does not say, everything it holds, still for a moment. */
  next?(): NextPiece | undefined;
  /** Gives up that piece, such as the fullest socket. Returns the bytes that this frees, 0 when there is nothing to give up. */
  giveUp?(): number;
}

export interface NextPiece {
  readonly bytes: number;
  /** Since its client took or brought anything. */
  readonly stillMs: number;
}

/** Longer than an active reader's buffers in the system last; whoever takes nothing for so long goes first. */
const STILL_MS = 2_000;
const MOMENT_MS = 500;
/** Among those that moved just now the size decides. */
const LEAST_MS = 100;

/** Bytes times the time that they lie there. */
const weightOf = ({ bytes, stillMs }: NextPiece): number => bytes * (stillMs + LEAST_MS);

/** Whether `one` goes before `other`. */
export function goesBefore(one: NextPiece, other: NextPiece | undefined): boolean {
  if (other === undefined) return true;
  const isStill = one.stillMs >= STILL_MS;
  return isStill === other.stillMs >= STILL_MS ? weightOf(one) > weightOf(other) : isStill;
}

export class MemoryCeiling {
  readonly #users = new Set<MemoryUser>();

  /** `limitBytes` is asked each time: it may change while the server runs. `gaveUp` hears of each piece that had to go. */
  constructor(
    private readonly limitBytes: () => number,
    private readonly gaveUp: (part: string, bytes: number) => void = () => {},
  ) {}

  /** @returns how to leave. */
  join(user: MemoryUser): () => void {
    this.#users.add(user);
    return () => this.#users.delete(user);
  }

  get limit(): number {
    return this.limitBytes();
  }

  get heldBytes(): number {
    let total = 0;
    for (const user of this.#users) total += user.held();
    return total;
  }

  users(): Iterable<MemoryUser> {
    return this.#users;
  }

  /** Whether so much more fits. */
  fits(bytes: number): boolean {
    return this.heldBytes + bytes <= this.limitBytes();
  }

  /**
   * Brings the sum below the ceiling, with room for `bytes` more, as far as parts can give something up.
   * @returns bytes freed.
   */
  relieve(bytes = 0): number {
    let freed = 0;
    const exhausted = new Set<MemoryUser>();
    while (!this.fits(bytes)) {
      let first: { readonly user: MemoryUser; readonly piece: NextPiece } | undefined;
      for (const user of this.#users) {
        if (user.giveUp === undefined || exhausted.has(user) || user.held() <= 0) continue;
        const piece = user.next === undefined ? { bytes: user.held(), stillMs: MOMENT_MS } : user.next();
        if (piece !== undefined && goesBefore(piece, first?.piece)) first = { user, piece };
      }
      if (first === undefined) break;
      const { user } = first;
      const gone = user.giveUp?.() ?? 0;
      if (gone <= 0) exhausted.add(user);
      else this.gaveUp(user.name, gone);
      freed += gone;
    }
    return freed;
  }
}

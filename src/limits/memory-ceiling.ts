// One ceiling for everything that clients make the server hold in memory: bodies on their way in, answers on their way out, queues of
// slow sockets. Each part says what it holds; when all together are past the ceiling, a part that can give something up is asked to.

export interface MemoryUser {
  readonly name: string;
  /** Bytes held now. Cheap: asked often. */
  held(): number;
  /** Gives up its largest piece, such as the fullest socket. Returns the bytes that this frees, 0 when there is nothing to give up. */
  giveUp?(): number;
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
   * Brings the sum below the ceiling, with room for `bytes` more, as far as parts can give something up, the fullest part first.
   * @returns bytes freed.
   */
  relieve(bytes = 0): number {
    let freed = 0;
    const exhausted = new Set<MemoryUser>();
    while (!this.fits(bytes)) {
      let fullest: MemoryUser | undefined;
      for (const user of this.#users)
        if (user.giveUp !== undefined && !exhausted.has(user) && user.held() > (fullest?.held() ?? 0))
          fullest = user;
      if (fullest === undefined) break;
      const gone = fullest.giveUp?.() ?? 0;
      if (gone <= 0) exhausted.add(fullest);
      else this.gaveUp(fullest.name, gone);
      freed += gone;
    }
    return freed;
  }
}

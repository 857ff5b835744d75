// Whose a method is: `<id>:<name>` may be registered only by a socket whose namespace has a session or machine of that id, so that no
// token holder answers for another namespace (hapi-socket 11 and 17.2).

/** Ids that are looked up for one socket at one time, and that are remembered. */
const MAX_WAITING = 64;
const MAX_KNOWN = 256;

export class OwnIds {
  readonly #known: Set<string>;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(
    /** Found when the socket connected. */
    ids: readonly string[],
    private readonly isOwn: (id: string) => Promise<boolean>,
  ) {
    this.#known = new Set(ids);
  }

  /**
   * Does `work` with the id that a method begins with, or not at all; at once when the id is known, so that what a socket registers and
   * takes back keeps its order. False when too many are being looked up.
   */
  with(method: string, work: (id: string) => void): boolean {
    const id = this.#prefixOf(method);
    if (id === undefined) return true;
    if (this.#waiting === 0 && this.#known.has(id)) {
      work(id);
      return true;
    }
    if (this.#waiting >= MAX_WAITING) return false;
    this.#waiting++;
    this.#last = this.#last.then(() => this.#looked(id, work)).finally(() => this.#waiting--);
    // What is unexpected concerns this method only.
    this.#last = this.#last.catch(() => {});
    return true;
  }

  async #looked(id: string, work: (id: string) => void): Promise<void> {
    if (!this.#known.has(id)) {
      if (!(await this.isOwn(id))) return;
      if (this.#known.size < MAX_KNOWN) this.#known.add(id);
    }
    work(id);
  }

  /** Ids of machines are free texts, which may have a colon; such a one is recognized where the socket came for it. */
  #prefixOf(method: string): string | undefined {
    for (const id of this.#known)
      if (id.includes(":") && method.startsWith(`${id}:`) && method.length > id.length + 1) return id;
    const at = method.indexOf(":");
    return at > 0 && at < method.length - 1 ? method.slice(0, at) : undefined;
  }
}

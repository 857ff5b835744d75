// Waiting for an event that a socket recorded. Every wait has a bound and says on failure what it waited for and what it saw instead.

/** Everything that arrived on one channel, in order, with a way to wait for what has not come yet. */
export class Recorder<T> {
  readonly all: T[] = [];
  readonly #watchers = new Set<() => void>();

  push(item: T): void {
    this.all.push(item);
    for (const watcher of this.#watchers) watcher();
  }

  /** Calls it for each item, those that are there already first. */
  subscribe(listener: (item: T) => void): void {
    let next = 0;
    const follow = () => {
      while (next < this.all.length) listener(this.all[next++] as T);
    };
    follow();
    this.#watchers.add(follow);
  }

  /** A place in the record: "from now on". */
  get mark(): number {
    return this.all.length;
  }

  /** The first item at or after `from` for which `select` gives something other than undefined. */
  async first<R>(what: string, boundMs: number, select: (item: T) => R | undefined, from = 0): Promise<R> {
    let next = from;
    const look = (): { found: R } | undefined => {
      for (; next < this.all.length; next++) {
        const found = select(this.all[next] as T);
        if (found !== undefined) return { found };
      }
      return undefined;
    };
    const already = look();
    if (already !== undefined) return already.found;
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    const watcher = () => {
      try {
        const result = look();
        if (result !== undefined) resolve(result.found);
      } catch (error) {
        reject(error);
      }
    };
    const timer = setTimeout(() => {
      const seen = this.all.slice(from).slice(-5);
      reject(
        new Error(
          `Waited ${boundMs} ms in vain for ${what}. Last seen: ${JSON.stringify(seen).slice(0, 2000)}`,
        ),
      );
    }, boundMs);
    this.#watchers.add(watcher);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#watchers.delete(watcher);
    });
  }
}

// Places for calls that run, and a queue for those that wait (contract 10.5, 12.3). The queue goes by priority, within one by age; each whole
// second of waiting lifts a call by one level. A full queue takes a more important call in place of the newest of the least important ones.
import type { Priority } from "../wire/qos.ts";

export interface BulkheadSettings {
  readonly max_concurrent: number;
  readonly max_wait_ms: number;
  readonly queue_depth: number;
}

const LEVEL_MS = 1_000;
const HIGHEST = 3;

export type Refusal = "full" | "waited" | "deadline" | "left";

interface Waiting {
  readonly priority: Priority;
  readonly since: number;
  readonly enter: () => void;
  readonly refuse: (why: Refusal) => void;
}

export class Bulkhead {
  #active = 0;
  /** In the order of arrival. */
  readonly #queue: Waiting[] = [];

  constructor(private readonly now: () => number) {}

  get active(): number {
    return this.#active;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get isIdle(): boolean {
    return this.#active === 0 && this.#queue.length === 0;
  }

  /** True: it has a place. */
  tryEnter({ max_concurrent }: BulkheadSettings): boolean {
    if (this.#active >= max_concurrent || this.#queue.length > 0) return false;
    this.#active++;
    return true;
  }

  /** Resolves with a place; rejects with why not. `deadlineMs`: at most so long. */
  wait(
    settings: BulkheadSettings,
    priority: Priority,
    deadlineMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (!this.#makeRoom(settings, priority)) {
      reject("full" satisfies Refusal);
      return promise;
    }
    const boundMs = Math.min(settings.max_wait_ms, deadlineMs);
    const end = (work: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", left);
      work();
    };
    const waiting: Waiting = {
      priority,
      since: this.now(),
      enter: () => end(resolve),
      refuse: (why) => end(() => reject(why)),
    };
    const leave = (why: Refusal) => {
      const at = this.#queue.indexOf(waiting);
      if (at < 0) return;
      this.#queue.splice(at, 1);
      waiting.refuse(why);
    };
    const left = () => leave("left");
    const timer = setTimeout(
      () => leave(deadlineMs <= settings.max_wait_ms ? "deadline" : "waited"),
      boundMs,
    );
    signal?.addEventListener("abort", left, { once: true });
    this.#queue.push(waiting);
    if (signal?.aborted === true) left();
    else this.#fill(settings);
    return promise;
  }

  /** A place is free. `settings` may have changed meanwhile. */
  release(settings: BulkheadSettings): void {
    this.#active--;
    this.#fill(settings);
  }

  #fill({ max_concurrent }: BulkheadSettings): void {
    while (this.#active < max_concurrent && this.#queue.length > 0) {
      const at = this.#best();
      const [next] = this.#queue.splice(at, 1);
      if (next === undefined) return;
      this.#active++;
      next.enter();
    }
  }

  #level({ priority, since }: Waiting, now: number): number {
    return Math.min(HIGHEST, priority + Math.floor((now - since) / LEVEL_MS));
  }

  #best(): number {
    const now = this.now();
    let best = 0;
    let level = -1;
    for (const [at, waiting] of this.#queue.entries()) {
      const own = this.#level(waiting, now);
      if (own <= level) continue;
      best = at;
      level = own;
    }
    return best;
  }

  /** False: there is no room for a call of this priority. */
  #makeRoom({ queue_depth }: BulkheadSettings, priority: Priority): boolean {
    if (this.#queue.length < queue_depth) return true;
    const now = this.now();
    let worst = -1;
    let level = Number.POSITIVE_INFINITY;
    for (const [at, waiting] of this.#queue.entries()) {
      const own = this.#level(waiting, now);
      // The newest of the lowest level.
      if (own > level) continue;
      worst = at;
      level = own;
    }
    if (worst < 0 || level >= priority) return false;
    const [evicted] = this.#queue.splice(worst, 1);
    evicted?.refuse("full");
    return true;
  }
}

// The same event pushed twice is one push: told while the first is under way, and for ten seconds from its beginning once it was
// delivered, by the monotonic clock. One that reached no device may be tried again at once.
import type { PushDecision } from "./decision.ts";

/** Ten seconds after a push began, a repeat is a new event. */
export const SAME_EVENT_MS = 10_000;
/** Delivered ones that are remembered for one owner; more than anyone can tell apart in ten seconds. */
const REMEMBERED = 100;

/** The same for the same event, and for no other. `event`: everything that tells it from others. */
export function eventKey(event: readonly unknown[]): string {
  return new Bun.CryptoHasher("sha256").update(JSON.stringify(event)).digest("base64url");
}

interface Recent {
  readonly decision: Promise<PushDecision>;
  /** Undefined while it is under way. */
  timer: Timer | undefined;
}

export class RecentPushes {
  /** owner -> key of the event */
  readonly #owners = new Map<string, Map<string, Recent>>();

  find(owner: string, key: string): Promise<PushDecision> | undefined {
    return this.#owners.get(owner)?.get(key)?.decision;
  }

  /** How many of an owner are under way. */
  underWay(owner: string): number {
    let count = 0;
    for (const { timer } of this.#owners.get(owner)?.values() ?? []) if (timer === undefined) count++;
    return count;
  }

  add(owner: string, key: string, decision: Promise<PushDecision>): void {
    const startedAt = performance.now();
    const recent: Recent = { decision, timer: undefined };
    const pushes = this.#owners.get(owner) ?? new Map<string, Recent>();
    this.#owners.set(owner, pushes);
    pushes.set(key, recent);
    const forget = () => {
      clearTimeout(recent.timer);
      if (pushes.get(key) === recent) pushes.delete(key);
      if (pushes.size === 0 && this.#owners.get(owner) === pushes) this.#owners.delete(owner);
    };
    void decision.then(({ delivered }) => {
      const leftMs = startedAt + SAME_EVENT_MS - performance.now();
      if (delivered === 0 || leftMs <= 0) return forget();
      recent.timer = setTimeout(forget, leftMs);
      this.#cut(pushes);
    }, forget);
  }

  /** Ends every timer. */
  clear(): void {
    for (const pushes of this.#owners.values()) for (const { timer } of pushes.values()) clearTimeout(timer);
    this.#owners.clear();
  }

  #cut(pushes: Map<string, Recent>): void {
    const delivered = [...pushes].filter(([, { timer }]) => timer !== undefined);
    for (const [key, { timer }] of delivered.slice(0, -REMEMBERED)) {
      clearTimeout(timer);
      pushes.delete(key);
    }
  }
}

// The same event pushed twice is one push: told while the first is under way, and for ten seconds from its beginning once it was
// delivered, by the monotonic clock. One that reached no phone may be tried again at once.
import type { PushDecision, PushEvent } from "./pusher.ts";

/** Ten seconds after a push began, a repeat is a new event. */
export const SAME_EVENT_MS = 10_000;
/** Delivered ones that are remembered for one account; more than anyone can tell apart in ten seconds. */
const REMEMBERED = 100;

/** The same for the same event, and for no other. */
export function eventKey({ account, sessionId, kind, title, body, data }: PushEvent): string {
  const text = JSON.stringify([account, sessionId, kind, title, body, data]);
  return new Bun.CryptoHasher("sha256").update(text).digest("base64url");
}

interface Recent {
  readonly decision: Promise<PushDecision>;
  /** Undefined while it is under way. */
  timer: Timer | undefined;
}

export class RecentPushes {
  /** account -> key of the event */
  readonly #accounts = new Map<string, Map<string, Recent>>();

  find(account: string, key: string): Promise<PushDecision> | undefined {
    return this.#accounts.get(account)?.get(key)?.decision;
  }

  /** How many of an account are under way. */
  underWay(account: string): number {
    let count = 0;
    for (const { timer } of this.#accounts.get(account)?.values() ?? []) if (timer === undefined) count++;
    return count;
  }

  add(account: string, key: string, decision: Promise<PushDecision>): void {
    const startedAt = performance.now();
    const recent: Recent = { decision, timer: undefined };
    const pushes = this.#accounts.get(account) ?? new Map<string, Recent>();
    this.#accounts.set(account, pushes);
    pushes.set(key, recent);
    const forget = () => {
      clearTimeout(recent.timer);
      if (pushes.get(key) === recent) pushes.delete(key);
      if (pushes.size === 0 && this.#accounts.get(account) === pushes) this.#accounts.delete(account);
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
    for (const pushes of this.#accounts.values())
      for (const { timer } of pushes.values()) clearTimeout(timer);
    this.#accounts.clear();
  }

  #cut(pushes: Map<string, Recent>): void {
    const delivered = [...pushes].filter(([, { timer }]) => timer !== undefined);
    for (const [key, { timer }] of delivered.slice(0, -REMEMBERED)) {
      clearTimeout(timer);
      pushes.delete(key);
    }
  }
}

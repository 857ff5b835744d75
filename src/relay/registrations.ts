// Which sockets answer a method: all that registered it, the newest first asked. A socket holds so many methods and no more, and one
// that is gone holds none. A caller can wait for the next registration.
import type { RpcTarget } from "./target.ts";

export class Registrations {
  /** Registrants of a method, oldest first. */
  readonly #registrants = new Map<string, readonly RpcTarget[]>();
  /** Methods of a socket. */
  readonly #methods = new Map<string, Set<string>>();
  /** What wakes those who wait for a method. */
  readonly #wakers = new Map<string, Set<() => void>>();

  constructor(private readonly maxMethods: number) {}

  /** Idempotent, and no reason to be newer. False when the socket holds as many methods as it may. */
  add(key: string, target: RpcTarget): boolean {
    const methods = this.#methods.get(target.id) ?? new Set();
    if (methods.size >= this.maxMethods && !methods.has(key)) return false;
    this.#methods.set(target.id, methods.add(key));
    const registrants = this.#registrants.get(key) ?? [];
    if (!registrants.some(({ id }) => id === target.id)) this.#registrants.set(key, [...registrants, target]);
    for (const wake of this.#wakers.get(key) ?? []) wake();
    return true;
  }

  remove(key: string, targetId: string): void {
    const methods = this.#methods.get(targetId);
    methods?.delete(key);
    if (methods?.size === 0) this.#methods.delete(targetId);
    const left = this.#registrants.get(key)?.filter(({ id }) => id !== targetId) ?? [];
    if (left.length > 0) this.#registrants.set(key, left);
    else this.#registrants.delete(key);
  }

  removeAll(targetId: string): void {
    for (const key of [...(this.#methods.get(targetId) ?? [])]) this.remove(key, targetId);
  }

  /** The newest registrant that is not the caller; `own-method` when only the caller is one; undefined when there is none. */
  newest(key: string, caller: string): RpcTarget | "own-method" | undefined {
    const registrants = this.#registrants.get(key);
    if (registrants === undefined) return undefined;
    return registrants.findLast(({ id }) => id !== caller) ?? "own-method";
  }

  /** Resolves at the next registration of the method, or when the wait is over. */
  next(key: string, waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wakers = this.#wakers.get(key) ?? new Set();
    this.#wakers.set(key, wakers);
    const wake = () => {
      clearTimeout(timer);
      wakers.delete(wake);
      if (wakers.size === 0) this.#wakers.delete(key);
      resolve();
    };
    const timer = setTimeout(wake, waitMs);
    wakers.add(wake);
    return promise;
  }
}

// Looks at every instance in turn, as often as the document says. So many at once at most, one look at each instance at a time.
import type { RpcDocument } from "../document/document.ts";
import { checkInstance, isCheckable } from "./check.ts";
import type { Entry, Instances } from "./instances.ts";

const AT_ONCE = 16;

export class HealthChecker {
  readonly #looking = new Set<string>();
  #timer: Timer | undefined;
  #isStopped = true;

  constructor(
    private readonly instances: Instances,
    private readonly settings: () => RpcDocument["discovery"],
    private readonly look: typeof checkInstance = checkInstance,
  ) {}

  start(): void {
    this.#isStopped = false;
    this.#later();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #later(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(
      () => void this.round().finally(() => this.#later()),
      this.settings().check_interval_ms,
    );
    // Nobody waits for a look.
    this.#timer.unref();
  }

  /** Once at each. */
  async round(): Promise<void> {
    this.instances.expire();
    const due = [...this.instances.entries()].filter(({ given }) => isCheckable(given));
    const next = due[Symbol.iterator]();
    await Promise.all(
      Array.from({ length: Math.min(AT_ONCE, due.length) }, async () => {
        for (const entry of next) await this.#check(entry);
      }),
    );
  }

  async #check(entry: Entry): Promise<void> {
    const key = `${entry.tenant}|${entry.given.instance_id}`;
    if (this.#looking.has(key) || !this.instances.has(entry)) return;
    this.#looking.add(key);
    try {
      this.instances.checked(entry, await this.look(entry.given, this.settings()));
    } finally {
      this.#looking.delete(key);
    }
  }
}

// One key of the etcd that the nodes of a cluster already speak through: all of them follow one document (contract 16).
import type { ValueBoard, WatchedValue } from "../../bus/message-bus.ts";
import { readText, tell } from "./given.ts";
import type { Provider, ProviderHooks } from "./provider.ts";

/** For the first answer at a start. */
const FIRST_MS = 10_000;

export class EtcdProvider implements Provider {
  readonly name: string;
  #watched: WatchedValue | undefined;
  #hooks: ProviderHooks | undefined;
  /** Of what was told last. */
  #seen: Buffer | undefined;
  #isBroken = false;

  constructor(
    private readonly board: ValueBoard,
    private readonly key: string,
    private readonly firstMs = FIRST_MS,
  ) {
    this.name = `etcd ${key}`;
  }

  async load(): Promise<unknown> {
    const first = Promise.withResolvers<Uint8Array | undefined>();
    let isFirst = true;
    const timer = setTimeout(() => first.reject(new Error("etcd does not answer")), this.firstMs);
    this.#watched = this.board.watchValue(this.key, {
      value: (bytes) => {
        if (isFirst) first.resolve(bytes);
        else this.#told(bytes);
        isFirst = false;
      },
      lost: () => {
        this.#isBroken = true;
        this.#hooks?.failed(new Error("etcd does not answer"));
      },
      back: () => this.#back(),
    });
    try {
      const bytes = await first.promise;
      this.#seen = bytes === undefined ? undefined : Buffer.from(bytes);
      return bytes === undefined ? undefined : readText(bytes);
    } finally {
      clearTimeout(timer);
    }
  }

  watch(hooks: ProviderHooks): void {
    this.#hooks = hooks;
  }

  async close(): Promise<void> {
    this.#hooks = undefined;
    await this.#watched?.close();
  }

  #back(): void {
    if (this.#isBroken) this.#hooks?.recovered();
    this.#isBroken = false;
  }

  #told(bytes: Uint8Array | undefined): void {
    const hooks = this.#hooks;
    const value = bytes === undefined ? undefined : Buffer.from(bytes);
    if (value !== undefined && this.#seen?.equals(value) === true) return;
    this.#seen = value;
    if (hooks !== undefined) tell(hooks, value, "the key is gone");
  }
}

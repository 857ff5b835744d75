// The map under `rpc.document` of roost.yaml. The server itself follows that file; here its settled value is looked at.
import type { Provider, ProviderHooks } from "./provider.ts";

const LOOK_EVERY_MS = 200;

export class SettingProvider implements Provider {
  readonly name = "rpc.document";
  #timer: Timer | undefined;
  #seen: unknown;

  constructor(
    private readonly read: () => unknown,
    private readonly lookEveryMs = LOOK_EVERY_MS,
  ) {}

  async load(): Promise<unknown> {
    this.#seen = this.read();
    return this.#seen;
  }

  watch(hooks: ProviderHooks): void {
    this.#timer = setInterval(() => {
      const now = this.read();
      if (now === this.#seen) return;
      const isBack = this.#seen === undefined;
      this.#seen = now;
      if (now === undefined) hooks.failed(new Error("it is gone; what it said last stays"));
      else {
        if (isBack) hooks.recovered();
        hooks.changed(now);
      }
    }, this.lookEveryMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

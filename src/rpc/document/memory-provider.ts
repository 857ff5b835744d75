// A document that a program holds and changes, for tests.
import type { Provider, ProviderHooks } from "./provider.ts";

export class MemoryProvider implements Provider {
  readonly name = "memory";
  #hooks: ProviderHooks | undefined;

  constructor(private given: unknown = {}) {}

  async load(): Promise<unknown> {
    return this.given;
  }

  watch(hooks: ProviderHooks): void {
    this.#hooks = hooks;
  }

  set(given: unknown): void {
    this.given = given;
    this.#hooks?.changed(given);
  }

  close(): void {
    this.#hooks = undefined;
  }
}

// The configuration of a running server. Settings marked `live` change in place, so that whoever reads them at the time of use
// has the new value; the others keep what the server was started with, and are named to the person.
import type { Parsed } from "./config.ts";
import type { Settings } from "./setting.ts";

export interface Change {
  /** Took effect. */
  readonly applied: readonly string[];
  /** Take effect at the next start. */
  readonly atRestart: readonly string[];
}

export class LiveConfig<C extends Parsed> {
  readonly #values: C;
  readonly #listeners = new Set<(applied: readonly string[]) => void>();

  constructor(
    private readonly settings: Settings,
    initial: C,
  ) {
    this.#values = { ...initial };
  }

  /** Always the same object; its live settings change. */
  get config(): C {
    return this.#values;
  }

  /** Calls the listener after live settings changed, with their names. @returns how to stop it. */
  onChange(listener: (applied: readonly string[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  update(next: C): Change {
    const changed = Object.keys(this.settings).filter(
      (name) => !Bun.deepEquals(this.#values[name], next[name]),
    );
    const isLive = (name: string) => this.settings[name]?.live === true;
    const applied = changed.filter(isLive);
    Object.assign(this.#values, Object.fromEntries(applied.map((name) => [name, next[name]])));
    if (applied.length > 0) for (const listener of [...this.#listeners]) listener(applied);
    return { applied, atRestart: changed.filter((name) => !isLive(name)) };
  }
}

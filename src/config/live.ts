// The configuration of a running server. Settings marked `live` change in place, so that whoever reads them at the time of use
// has the new value; the others keep what the server was started with, and are named to the person.
import type { Setting } from "./setting.ts";
import { type Config, type SettingName, settings } from "./settings.ts";

export interface Change {
  /** Took effect. */
  readonly applied: readonly SettingName[];
  /** Take effect at the next start. */
  readonly atRestart: readonly SettingName[];
}

export class LiveConfig {
  readonly #values: Config;
  readonly #listeners = new Set<(applied: readonly SettingName[]) => void>();

  constructor(initial: Config) {
    this.#values = { ...initial };
  }

  /** Always the same object; its live settings change. */
  get config(): Config {
    return this.#values;
  }

  /** Calls the listener after live settings changed, with their names. @returns how to stop it. */
  onChange(listener: (applied: readonly SettingName[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  update(next: Config): Change {
    const changed = (Object.keys(settings) as SettingName[]).filter(
      (name) => !Bun.deepEquals(this.#values[name], next[name]),
    );
    const isLive = (name: SettingName) => (settings[name] as Setting).live === true;
    const applied = changed.filter(isLive);
    Object.assign(this.#values, Object.fromEntries(applied.map((name) => [name, next[name]])));
    if (applied.length > 0) for (const listener of [...this.#listeners]) listener(applied);
    return { applied, atRestart: changed.filter((name) => !isLive(name)) };
  }
}

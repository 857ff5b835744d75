// The headers of one request, read once: the stages ask for a score of names, most of which are not there, and each asking of Bun's own
// headers costs as much as reading them all.
import type { HeaderSource } from "../pipeline/incoming.ts";

export class HeaderSnapshot implements HeaderSource {
  readonly #all: Readonly<Record<string, unknown>>;

  constructor(private readonly headers: Headers) {
    this.#all = headers.toJSON();
  }

  /** As Headers has it, whatever the name is. */
  get(name: string): string | null {
    const value = this.#all[name];
    if (typeof value === "string") return value;
    return value === undefined && name === name.toLowerCase() ? null : this.headers.get(name);
  }

  has(name: string): boolean {
    return this.get(name) !== null;
  }

  forEach(visit: (value: string, name: string) => void): void {
    this.headers.forEach(visit);
  }
}

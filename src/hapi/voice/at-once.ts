// How much of one kind of work is under way, of all namespaces and of one: recordings and conversations cost memory and the owner's money
// while they last.
import type { Bounds } from "../../limits/bounds.ts";

export interface AtOnceParts {
  readonly bounds: Pick<Bounds, "refused">;
  /** Of the bound, in bounds.ts. */
  readonly name: string;
  readonly all: number;
  readonly perNamespace: number;
}

export class AtOnce {
  readonly #byNamespace = new Map<string, number>();
  #all = 0;

  constructor(private readonly parts: AtOnceParts) {}

  get size(): number {
    return this.#all;
  }

  /** @returns how to end it; undefined when there is no room. */
  begin(namespace: string): (() => void) | undefined {
    const { bounds, name, all, perNamespace } = this.parts;
    const own = this.#byNamespace.get(namespace) ?? 0;
    if (this.#all >= all || own >= perNamespace) {
      bounds.refused(name, { namespace, limit: own >= perNamespace ? perNamespace : all });
      return undefined;
    }
    this.#all++;
    this.#byNamespace.set(namespace, own + 1);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#all--;
      const left = (this.#byNamespace.get(namespace) ?? 1) - 1;
      if (left === 0) this.#byNamespace.delete(namespace);
      else this.#byNamespace.set(namespace, left);
    };
  }
}

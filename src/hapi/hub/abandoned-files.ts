// Which files nobody names have looked old, and for how long while a server ran: kept beside the home's database, so that a server that
// never runs for long removes them too. Time in which none ran does not count: a clock may have been set in it, and whoever uploaded
// before that comes back to a server. Nothing is written while there is no such file.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { writeFileDurably } from "../../storage/durable-file.ts";

const NAME = "roost-abandoned.json";
/** Those beyond are noted when these are gone. */
const MAX_NOTED = 20_000;

const shape = z.object({
  /** For how long servers have run. */
  ranMs: z.number().min(0),
  /** When in that time each was first found so, by the hash of its path. */
  found: z.record(z.string(), z.number()),
});

export class AbandonedFiles {
  readonly #path: string;
  readonly #ranBefore: number;
  readonly #startedAt: number;
  #found: Map<string, number>;
  #isKept: boolean;

  constructor(
    home: string,
    private readonly steady: () => number,
  ) {
    this.#path = join(home, NAME);
    this.#startedAt = steady();
    const kept = read(this.#path);
    this.#isKept = kept !== undefined;
    this.#ranBefore = kept?.ranMs ?? 0;
    this.#found = new Map(Object.entries(kept?.found ?? {}));
  }

  /** One look at all files: `isFor(path, ms)` says of one that looks old whether it has for so long; whoever is not asked about is forgotten. */
  look(): { isFor(path: string, ms: number): boolean; end(): void } {
    const still = new Map<string, number>();
    const ran = this.#ran();
    return {
      isFor: (path, ms) => {
        const key = Bun.hash(path).toString(36);
        const since = this.#found.get(key) ?? ran;
        const isDue = ran - since >= ms;
        if (!isDue && still.size < MAX_NOTED) still.set(key, since);
        return isDue;
      },
      end: () => {
        this.#found = still;
        this.keep();
      },
    };
  }

  /** How long this server has run counts from now on, also when it is killed. */
  keep(): void {
    if (this.#found.size > 0)
      writeFileDurably(
        this.#path,
        JSON.stringify({ ranMs: Math.round(this.#ran()), found: Object.fromEntries(this.#found) }),
        0o600,
      );
    else if (this.#isKept) rmSync(this.#path, { force: true });
    this.#isKept = this.#found.size > 0;
  }

  #ran(): number {
    return this.#ranBefore + this.steady() - this.#startedAt;
  }
}

/** Of a file that is damaged all begins anew. */
function read(path: string): z.output<typeof shape> | undefined {
  try {
    return shape.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return undefined;
  }
}

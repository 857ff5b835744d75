// Whether the clock can be believed when it says that something is old. A clock that is a year ahead makes everything old: so nothing
// is deleted by age while now is far beyond the last moment that is known to be right, which is kept in a file of the data folder, or
// at first is that of the newest thing that is stored. What is stored afterwards, with the same wrong clock, proves nothing. Only a
// person can say that it is right all the same: the server was off for that long.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { writeFileDurably } from "../storage/durable-file.ts";

const FILE = "retention-clock.json";
const DAY_MS = 86_400_000;
/** How far now may be ahead: at most half of what is kept, so that the newer half of it stays whatever happens. */
const SHARE = 0.5;
const LEAST_MS = DAY_MS;
const MOST_MS = 30 * DAY_MS;
const SAVE_EVERY_MS = 10 * 60_000;

const moment = z.int().min(0).max(8.64e15);
const fileSchema = z.record(z.string(), moment);

export interface ClockDoubt {
  /** What the clock says. */
  readonly now: number;
  /** The last moment that is known to be right. */
  readonly known: number;
}

export interface RetentionClockOptions {
  readonly dataDir: string;
  /** Of what it decides: each kind of data has limits and a moment of its own. */
  readonly name: string;
  /** The newest moment in the store that is not later than `now`. */
  readonly newest: (now: number) => Promise<number | undefined>;
  readonly now?: () => number;
}

export class RetentionClock {
  /** Undefined while nothing is known: then nothing that is stored can be old either. */
  #known: number | undefined;
  #savedAt = Number.NEGATIVE_INFINITY;
  /** What the file said when it was last read or written: something else in it is a person's word. */
  #written: number | undefined;
  readonly #now: () => number;

  constructor(private readonly options: RetentionClockOptions) {
    this.#now = options.now ?? Date.now;
    this.#written = readMoments(options.dataDir)[options.name];
    this.#known = this.#written;
  }

  /** To be called by a server before it stores anything: a wrong clock of this start must not become what is known at the next. */
  async begin(): Promise<void> {
    this.#known ??= await this.options.newest(this.#now());
    if (readMoments(this.options.dataDir)[this.options.name] === undefined) this.#write();
  }

  /**
   * Asked before anything is deleted by age. A clock that is believed moves the known moment on.
   * @param shortestMs the shortest time for which something is kept.
   * @returns undefined when the clock is believed.
   */
  async doubt(shortestMs: number): Promise<ClockDoubt | undefined> {
    const doubt = await this.look(shortestMs);
    const now = doubt?.now ?? this.#now();
    // What was known lies ahead, and what is stored agrees with now: it was a wrong clock that was believed once (nothing had been
    // stored yet), and that must not be believed at once when it comes again.
    if (
      this.#known !== undefined &&
      now < this.#known - DAY_MS &&
      (await this.#isNearStored(now, shortestMs))
    ) {
      this.#known = now;
      this.#write();
    }
    if (doubt === undefined && now > (this.#known ?? Number.POSITIVE_INFINITY)) {
      this.#known = now;
      this.#save();
    }
    return doubt;
  }

  /** The same without moving anything on. */
  async look(shortestMs: number): Promise<ClockDoubt | undefined> {
    const { dataDir, name, newest } = this.options;
    const now = this.#now();
    // A person may have said meanwhile, by a command, that it is right.
    const said = readMoments(dataDir)[name];
    if (said !== undefined && said !== this.#written) this.#known = said;
    this.#written = said;
    this.#known ??= await newest(now);
    return this.#known !== undefined && now > this.#known + reachOf(shortestMs)
      ? { now, known: this.#known }
      : undefined;
  }

  async #isNearStored(now: number, shortestMs: number): Promise<boolean> {
    const newest = await this.options.newest(now);
    return newest !== undefined && now <= newest + reachOf(shortestMs);
  }

  #save(): void {
    if (performance.now() - this.#savedAt < SAVE_EVERY_MS) return;
    this.#savedAt = performance.now();
    this.#write();
  }

  #write(): void {
    const { dataDir, name } = this.options;
    if (this.#known === undefined) return;
    writeMoments(dataDir, { ...readMoments(dataDir), [name]: this.#known });
    this.#written = this.#known;
  }
}

/** A person says that the clock is right: for these names, and for every other that is known. */
export function believeClock(dataDir: string, names: readonly string[], now: number): void {
  const known = readMoments(dataDir);
  const all = [...new Set([...Object.keys(known), ...names])];
  writeMoments(dataDir, Object.fromEntries(all.map((name) => [name, now])));
}

/** Sentences for the person: what is wrong, and what to do. */
export function doubtInWords({ now, known }: ClockDoubt): { problem: string; fix: string } {
  const days = Math.round((now - known) / DAY_MS);
  return {
    problem: `Nothing is deleted by its age: the clock says ${new Date(now).toISOString()}, ${days} days after the last moment that is known to be right (${new Date(known).toISOString()}).`,
    fix: "Put the clock right (timedatectl set-ntp true). When it is right, because nothing ran for so long: roost prune --now-is-right",
  };
}

export function reachOf(shortestMs: number): number {
  return Math.min(MOST_MS, Math.max(LEAST_MS, shortestMs * SHARE));
}

/** What the file says; nothing where it is missing or unreadable. */
export function readMoments(dataDir: string): Readonly<Record<string, number>> {
  try {
    return fileSchema.safeParse(JSON.parse(readFileSync(join(dataDir, FILE), "utf8"))).data ?? {};
  } catch {
    return {};
  }
}

function writeMoments(dataDir: string, moments: Readonly<Record<string, number>>): void {
  writeFileDurably(join(dataDir, FILE), `${JSON.stringify(moments)}\n`, 0o600);
}

// A clock that a test can move under a running server and across its restarts, by libfaketime (Debian: libfaketime). Only wall-clock
// time moves: timers and performance.now() go on as they are, as after a real correction of the clock. Tests that need it are
// skipped by name where the library is missing.
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Launch, type ServerProcess, startProcess } from "../faults/server-process.ts";
import { needs } from "./needs.ts";

export const DAY_MS = 86_400_000;
export const YEAR_MS = 365 * DAY_MS;

const LIBRARY = findLibrary();

/** `test`, or one that is skipped by name. */
export const clockTest = needs.program("faketime", () => LIBRARY).test;

export interface FakeClock extends Disposable {
  /** What a server with this clock takes for now; Unix ms. */
  now(): number;
  /** Steps forward, or back with a negative number. Whole seconds; a server sees it at its next look at the clock. */
  move(ms: number): void;
  /** For a process that is started in another way than `startWithClock`. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Begins at the real time.
 * @example using clock = fakeClock();
 *          const server = await startWithClock({ dataDir }, clock);
 *          clock.move(YEAR_MS);
 */
export function fakeClock(): FakeClock {
  if (LIBRARY === undefined) throw new Error("libfaketime is not installed: use clockTest.");
  const folder = mkdtempSync(join(tmpdir(), "roost-clock-"));
  const file = join(folder, "offset");
  let offsetMs = 0;
  const write = () => {
    // Replaced as a whole: the server may be reading it.
    writeFileSync(`${file}.new`, `${offsetMs < 0 ? "-" : "+"}${Math.abs(offsetMs) / 1_000}\n`);
    renameSync(`${file}.new`, file);
  };
  write();
  return {
    now: () => Date.now() + offsetMs,
    move: (ms) => {
      if (!Number.isInteger(ms / 1_000)) throw new Error("The clock moves by whole seconds.");
      offsetMs += ms;
      write();
    },
    env: {
      LD_PRELOAD: LIBRARY,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      // A file keeps the time at which it was written: without this its age would move with the clock.
      NO_FAKE_STAT: "1",
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A server, and every process that it starts, with this clock. Start it again with the same clock for a restart. */
export function startWithClock(launch: Launch, clock: FakeClock): Promise<ServerProcess> {
  return startProcess({ ...launch, env: { ...launch.env, ...clock.env } });
}

/** Debian puts it into a folder named for the machine. */
function findLibrary(): string | undefined {
  if (process.platform !== "linux") return undefined;
  const folders = readdirSync("/usr/lib").flatMap((name) => [
    join("/usr/lib", name, "faketime"),
    join("/usr/lib", name),
  ]);
  return folders.map((folder) => join(folder, "libfaketime.so.1")).find((path) => existsSync(path));
}

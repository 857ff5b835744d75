// Every process that a test starts and listens to: what it printed is at hand, every wait has a bound, and none outlives the run.
import { resolve } from "node:path";

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly pid: number;
  /** Resolves with the exit code; a signal counts as 128 and its number. */
  readonly exited: Promise<number>;
  /** Everything it wrote so far. */
  readonly output: { readonly stdout: string; readonly stderr: string };
  /** Resolves with what the first group of the pattern holds, as soon as it is on standard output. @throws Error when it ends before. */
  printed(pattern: RegExp): Promise<string>;
  /** Waits for the end, and for all that it printed. What runs on is killed. */
  finished(): Promise<Finished>;
  /** Sends the signal, SIGTERM by default, and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<Finished>;
  /** Sends the signal and returns at once. */
  signal(signal: NodeJS.Signals): void;
}

export interface Surroundings {
  readonly cwd?: string;
  /** All of it: variables of the person who runs the tests configure nothing. PATH alone by default. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

const BOUND_MS = 30_000;
const running = new Set<Bun.Subprocess>();
process.once("exit", killAll);

/** At the end of the run (summary.ts), for what tests left behind that failed. */
export function killAll(): void {
  for (const child of running) child.kill("SIGKILL");
}

/** For a process that is started in a way of its own. */
export function untilTheRunEnds<Child extends Bun.Subprocess>(child: Child): Child {
  running.add(child);
  void child.exited.then(() => running.delete(child));
  return child;
}

/** The compiled file when ROOST_EXECUTABLE names one, else the sources: for what is the same in both. */
export function roostCommand(): string[] {
  const named = process.env.ROOST_EXECUTABLE;
  if (named !== undefined && named !== "") return [resolve(named)];
  return [process.execPath, resolve(import.meta.dir, "../../src/main.ts")];
}

/**
 * Ends with this process, however that ends: a run of tests that is killed runs nothing at its end. Where the system cannot do that the
 * command is as it was.
 */
export function endsWithUs(command: readonly string[]): string[] {
  const setpriv = process.platform === "linux" ? Bun.which("setpriv") : null;
  return setpriv === null ? [...command] : [setpriv, "--pdeathsig", "KILL", "--", ...command];
}

/** Runs to its end. */
export const run = (command: readonly string[], surroundings?: Surroundings): Promise<Finished> =>
  start(command, surroundings).finished();

/** `roost <words>`. */
export const runRoost = (words: readonly string[], surroundings?: Surroundings): Promise<Finished> =>
  run([...roostCommand(), ...words], surroundings);

export function start(
  command: readonly string[],
  { cwd, env = { PATH: process.env.PATH ?? "" }, stdin }: Surroundings = {},
): Started {
  const child = untilTheRunEnds(
    Bun.spawn([...command], {
      ...(cwd !== undefined && { cwd }),
      env: { ...env },
      stdin: stdin === undefined ? "ignore" : Buffer.from(stdin),
      stdout: "pipe",
      stderr: "pipe",
    }),
  );
  const output = { stdout: "", stderr: "" };
  const looks = new Set<() => void>();
  const follow = async (name: "stdout" | "stderr") => {
    for await (const text of child[name].pipeThrough(new TextDecoderStream())) {
      output[name] += text;
      for (const look of [...looks]) look();
    }
  };
  const complete = Promise.all([follow("stdout"), follow("stderr")]);
  const finished = async (): Promise<Finished> => {
    const timer = setTimeout(() => child.kill("SIGKILL"), BOUND_MS);
    const code = await child.exited;
    clearTimeout(timer);
    await complete;
    return { code, ...output };
  };
  return {
    pid: child.pid,
    exited: child.exited,
    output,
    finished,
    signal: (signal) => child.kill(signal),
    end: (signal = "SIGTERM") => {
      child.kill(signal);
      return finished();
    },
    printed: (pattern) =>
      new Promise((found, fail) => {
        const settle = (act: () => void) => {
          clearTimeout(timer);
          looks.delete(look);
          act();
        };
        const look = () => {
          const match = pattern.exec(output.stdout);
          if (match !== null) settle(() => found(match[1] ?? match[0]));
        };
        const missed = (why: string) =>
          settle(() =>
            fail(new Error(`${why}: ${pattern}; it printed:\n${output.stdout}\n${output.stderr}`)),
          );
        const timer = setTimeout(() => missed(`not printed within ${BOUND_MS} ms`), BOUND_MS);
        looks.add(look);
        void child.exited.then(async (code) => {
          await complete;
          if (looks.has(look)) missed(`it ended with code ${code} before it printed`);
        });
        look();
      }),
  };
}

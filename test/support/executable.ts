// The compiled executable as a process: in an empty folder, with an empty environment unless a test says otherwise.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const os = process.platform === "win32" ? "windows" : process.platform;

/**
 * What `bun build.ts` made for this platform, or what ROOST_EXECUTABLE names; undefined when nothing was built.
 * @throws Error when ROOST_EXECUTABLE names a file that is not there.
 */
export function executable(): string | undefined {
  const named = process.env.ROOST_EXECUTABLE;
  if (named !== undefined && named !== "") {
    if (!existsSync(named)) throw new Error(`ROOST_EXECUTABLE names ${named}, which is not there.`);
    return resolve(named);
  }
  const built = resolve(import.meta.dir, "../../dist", `roost-${os}-${process.arch}`);
  return existsSync(built) ? built : undefined;
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Launched {
  readonly pid: number;
  /** Resolves with what the first group of the pattern holds, as soon as the process has printed it. */
  printed(pattern: RegExp): Promise<string>;
  /** Sends the signal, SIGTERM by default, and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<Finished>;
  /** Sends the signal and returns at once. */
  signal(signal: NodeJS.Signals): void;
}

const BOUND_MS = 30_000;

/** A folder of its own for one test. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "roost-run-"));
  readonly #started: Bun.Subprocess[] = [];

  /** Runs to its end. */
  async run(command: readonly string[], env: Record<string, string> = {}): Promise<Finished> {
    return await this.start(command, env).finished();
  }

  start(
    command: readonly string[],
    env: Record<string, string> = {},
  ): Launched & { finished(): Promise<Finished> } {
    const child = Bun.spawn([...command], {
      cwd: this.path,
      env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#started.push(child);
    let stdout = "";
    const waiting = new Set<() => void>();
    const reading = (async () => {
      for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
        stdout += chunk;
        for (const look of [...waiting]) look();
      }
    })();
    const errors = child.stderr.text();
    const finished = async (): Promise<Finished> => {
      const timer = setTimeout(() => child.kill("SIGKILL"), BOUND_MS);
      const code = await child.exited;
      clearTimeout(timer);
      await reading;
      return { code, stdout, stderr: await errors };
    };
    return {
      pid: child.pid,
      finished,
      signal: (signal) => child.kill(signal),
      end: (signal = "SIGTERM") => {
        child.kill(signal);
        return finished();
      },
      printed: (pattern) =>
        new Promise((resolve, reject) => {
          const fail = (why: string) => reject(new Error(`${why}; it printed:\n${stdout}`));
          const timer = setTimeout(() => fail(`${pattern} was not printed in time`), BOUND_MS);
          const look = () => {
            const found = pattern.exec(stdout);
            if (found === null) return;
            clearTimeout(timer);
            waiting.delete(look);
            resolve(found[1] ?? found[0]);
          };
          waiting.add(look);
          void finished().then(async ({ code, stderr }) => {
            clearTimeout(timer);
            if (waiting.delete(look)) fail(`it ended with code ${code} and ${stderr}`);
          });
          look();
        }),
    };
  }

  async remove(): Promise<void> {
    for (const child of this.#started) {
      child.kill("SIGKILL");
      await child.exited;
    }
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The compiled file when ROOST_EXECUTABLE names one, else the sources: for what is the same in both. */
export function roost(): string[] {
  const named = process.env.ROOST_EXECUTABLE;
  if (named !== undefined && named !== "") return [resolve(named)];
  return [process.execPath, resolve(import.meta.dir, "../../src/main.ts")];
}

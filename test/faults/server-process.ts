// A real Roost as a process of its own, for faults that a test must not do to itself: from source, or the compiled file that
// ROOST_EXECUTABLE names. Nothing that is started here survives the test run.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

export interface ServerProcess {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves with the exit code; a signal counts as 128 and its number. */
  readonly exited: Promise<number>;
  /** Everything it wrote so far. The log is JSON lines on standard output. */
  readonly output: { readonly stdout: string; readonly stderr: string };
  /** Log lines of at least this level (pino: 40 warn, 50 error). */
  logged(level: number): { readonly level: number; readonly msg: string }[];
  /** Sends the signal and waits for the end. @returns the exit code. */
  end(signal: "SIGKILL" | "SIGTERM" | "SIGINT"): Promise<number>;
}

export interface Launch {
  readonly dataDir: string;
  /** 0, the default, picks a free one. */
  readonly port?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Words before the command, such as `setpriv ... --`. */
  readonly wrapper?: readonly string[];
}

const START_BOUND_MS = 30_000;
const running = new Set<Bun.Subprocess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export function serveCommand(): string[] {
  const compiled = process.env.ROOST_EXECUTABLE;
  if (compiled !== undefined && compiled !== "") return [resolve(compiled), "serve"];
  return [process.execPath, resolve(import.meta.dir, "../../src/main.ts"), "serve"];
}

/** Resolves when it answers. @throws Error with its output when it ends instead. */
export async function startProcess(launch: Launch): Promise<ServerProcess> {
  const { child, output } = spawn(launch);
  const port = await Promise.race([
    output.untilStdout(/http:\/\/127\.0\.0\.1:(\d+)/, START_BOUND_MS),
    child.exited.then(async (code) => {
      await output.complete;
      throw new Error(`the server ended with code ${code} instead:\n${output.stdout}\n${output.stderr}`);
    }),
  ]);
  return {
    url: `http://127.0.0.1:${port}`,
    port: Number(port),
    pid: child.pid,
    exited: child.exited,
    output,
    logged: (level) => logLines(output.stdout).filter((line) => line.level >= level),
    end: async (signal) => {
      child.kill(signal);
      const code = await child.exited;
      await output.complete;
      return code;
    },
  };
}

export interface Refusal {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** For a start that must fail: resolves with how it ended. @throws Error when it runs on. */
export async function refusedProcess(launch: Launch): Promise<Refusal> {
  const { child, output } = spawn(launch);
  const timer = setTimeout(() => child.kill("SIGKILL"), START_BOUND_MS);
  const code = await child.exited;
  clearTimeout(timer);
  await output.complete;
  return { code, stdout: output.stdout, stderr: output.stderr };
}

/** Memory of a process in bytes: resident now, and the most it ever was. Linux only; undefined elsewhere. */
export function memoryOf(pid: number): { resident: number; peak: number } | undefined {
  if (process.platform !== "linux") return undefined;
  // Not Bun.file: what is in /proc says of itself that it has no bytes.
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const bytes = (name: string) => {
    const kilobytes = new RegExp(`${name}:\\s+(\\d+) kB`).exec(text)?.[1];
    if (kilobytes === undefined) throw new Error(`the system does not tell ${name}`);
    return Number(kilobytes) * 1024;
  };
  return { resident: bytes("VmRSS"), peak: bytes("VmHWM") };
}

function spawn({ dataDir, port = 0, env = {}, wrapper = [] }: Launch) {
  const flags = ["--host", "127.0.0.1", "--port", `${port}`, "--data-dir", dataDir];
  const child = Bun.spawn([...wrapper, ...serveCommand(), ...flags], {
    // Only what is given here: variables of the person who runs the tests must not configure the server.
    env: {
      PATH: process.env.PATH ?? "",
      HOME: process.env.HOME ?? "/",
      // Tests make several accounts; the default admits one.
      ROOST_REGISTRATION: "open",
      ...env,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  running.add(child);
  void child.exited.then(() => running.delete(child));
  return { child, output: new Output(child.stdout, child.stderr) };
}

class Output {
  stdout = "";
  stderr = "";
  /** Resolves when both streams have ended. */
  readonly complete: Promise<unknown>;
  readonly #waiting = new Set<() => void>();

  constructor(stdout: ReadableStream<Uint8Array>, stderr: ReadableStream<Uint8Array>) {
    this.complete = Promise.all([
      follow(stdout, (text) => {
        this.stdout += text;
        for (const look of [...this.#waiting]) look();
      }),
      follow(stderr, (text) => {
        this.stderr += text;
      }),
    ]);
  }

  /** The first group of the pattern's first match. */
  untilStdout(pattern: RegExp, boundMs: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(
          new Error(`not printed within ${boundMs} ms: ${pattern}; printed:\n${this.stdout}\n${this.stderr}`),
        );
      }, boundMs);
      const look = () => {
        const found = pattern.exec(this.stdout);
        if (found === null) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(found[1] ?? found[0]);
      };
      this.#waiting.add(look);
      look();
    });
  }
}

async function follow(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }));
}

function logLines(text: string): { level: number; msg: string }[] {
  return text.split("\n").flatMap((line) => {
    if (!line.startsWith("{")) return [];
    try {
      return [JSON.parse(line) as { level: number; msg: string }];
    } catch {
      return [];
    }
  });
}

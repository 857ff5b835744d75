// A real Roost as a process of its own, for faults that a test must not do to itself: from source, or the compiled file that
// ROOST_EXECUTABLE names. Nothing that is started here survives the test run.
import { readFileSync } from "node:fs";
import { type Finished, roostCommand, type Started, start } from "../support/process.ts";

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
  /** In place of Roost: a program of its own that serves like it. */
  readonly command?: readonly string[];
  /** Words before the command, such as `setpriv ... --`. */
  readonly wrapper?: readonly string[];
}

export const serveCommand = (): string[] => [...roostCommand(), "serve"];

/** Resolves when it answers. @throws Error with its output when it ends instead. */
export async function startProcess(launch: Launch): Promise<ServerProcess> {
  const server = spawn(launch);
  const port = await server.printed(/http:\/\/127\.0\.0\.1:(\d+)/);
  return {
    url: `http://127.0.0.1:${port}`,
    port: Number(port),
    pid: server.pid,
    exited: server.exited,
    output: server.output,
    logged: (level) => logLines(server.output.stdout).filter((line) => line.level >= level),
    end: async (signal) => (await server.end(signal)).code,
  };
}

/** For a start that must fail: resolves with how it ended. One that runs on is killed. */
export const refusedProcess = (launch: Launch): Promise<Finished> => spawn(launch).finished();

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

function spawn({ dataDir, port = 0, env = {}, wrapper = [], command = serveCommand() }: Launch): Started {
  const flags = ["--host", "127.0.0.1", "--port", `${port}`, "--data-dir", dataDir];
  return start([...wrapper, ...command, ...flags], {
    env: {
      PATH: process.env.PATH ?? "",
      HOME: process.env.HOME ?? "/",
      // Tests make several accounts; the default admits one.
      ROOST_REGISTRATION: "open",
      ...env,
    },
  });
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

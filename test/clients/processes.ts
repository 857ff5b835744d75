// Every process that the client tests start, in one register: nothing survives the run, not even an aborted one, and what a process
// printed is at hand when a test fails.
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";

export interface Launched {
  readonly name: string;
  readonly child: Bun.Subprocess;
  /** Everything it printed so far, both streams, as printed. */
  output(): string;
}

const launched = new Set<Launched>();

/** Starts a process without a terminal; its output goes to `logPath`. */
export function launch(
  name: string,
  command: readonly string[],
  options: { cwd: string; env: Record<string, string>; logPath: string },
): Launched {
  const log = openSync(options.logPath, "a");
  const child = Bun.spawn([...command], {
    cwd: options.cwd,
    env: options.env,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  return register({ name, child, output: () => readFileSync(options.logPath, "utf8") });
}

/** Starts a process in a terminal of its own, for programs that insist on one. */
export function launchInTerminal(
  name: string,
  command: readonly string[],
  options: { cwd: string; env: Record<string, string> },
): Launched & { type(keys: string): void } {
  const decoder = new TextDecoder();
  let printed = "";
  const child = Bun.spawn([...command], {
    cwd: options.cwd,
    env: options.env,
    terminal: {
      cols: 200,
      rows: 60,
      data: (_terminal, chunk) => {
        printed += decoder.decode(chunk, { stream: true });
      },
    },
  });
  const type = (keys: string): void => {
    child.terminal?.write(keys);
  };
  return { ...register({ name, child, output: () => Bun.stripANSI(printed) }), type };
}

function register(process: Launched): Launched {
  launched.add(process);
  return process;
}

/** Waits for something that needs the process: its end is the answer when it ends first. */
export function whileRunning<T>({ name, child }: Launched, wait: Promise<T>): Promise<T> {
  const ended = child.exited.then((code) => {
    throw new Error(`${name} ended with ${child.signalCode ?? `code ${code}`} instead.`);
  });
  return Promise.race([wait, ended]);
}

/** The processes since the last `killAll`, ended ones included. */
export const allLaunched = (): readonly Launched[] => [...launched];

export async function killAll(): Promise<void> {
  killAllNow();
  await Promise.all([...launched].map(({ child }) => child.exited));
  // What they printed goes with their folder.
  launched.clear();
}

/** The same at once, for a run that is cut off. */
export function killAllNow(): void {
  for (const { child } of launched) child.kill("SIGKILL");
}

/** The last lines of everything that was printed, and of further logs. */
export function endOfLogs(further: readonly { title: string; text: string }[], lines: number): string {
  const sections = [
    ...allLaunched().map(({ name, child, output }) => ({
      title: `${name} (pid ${child.pid}, ${child.exitCode === null ? "running" : `exit ${child.exitCode}`})`,
      text: output(),
    })),
    ...further,
  ];
  const end = (text: string) => {
    const last = text.trimEnd().split("\n").slice(-lines);
    return last.map((line) => line.slice(0, 300)).join("\n");
  };
  return sections.map(({ title, text }) => `--- ${title}\n${end(text)}`).join("\n");
}

export function killPid(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended before.
  }
}

/** Process ids whose environment names the folder. Only Linux shows that. */
export function processesWith(folder: string): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "utf8").includes(folder);
      } catch {
        return false; // gone, or somebody else's
      }
    })
    .map(Number);
}

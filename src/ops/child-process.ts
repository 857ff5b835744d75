// The one way to run another program: its output is read while it runs, so that a full pipe never holds it up.

export interface Child {
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<Ended>;
}

export interface Ended {
  readonly code: number;
  readonly errors: string;
  /** Where it was to be kept. */
  readonly output?: string | undefined;
}

export interface ChildOptions {
  /** All of its variables; ours when absent. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Keeps what it prints. */
  readonly output?: boolean;
  /** A process group of its own: a signal reaches the programs that it started too, and what interrupts us does not. */
  readonly ownGroup?: boolean;
}

/** Without input; what it prints is dropped, its standard error is kept. @throws Error when there is no such program. */
export function startChild(
  command: readonly string[],
  { env, cwd, output = false, ownGroup = false }: ChildOptions = {},
): Child {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: output ? "pipe" : "ignore",
    stderr: "pipe",
    detached: ownGroup,
    ...(env !== undefined && { env: { ...env } }),
    ...(cwd !== undefined && { cwd }),
  });
  const printed = child.stdout instanceof ReadableStream ? child.stdout.text() : undefined;
  return {
    pid: child.pid,
    kill: (signal) => {
      if (ownGroup && process.platform !== "win32") signalGroup(child.pid, signal);
      else child.kill(signal);
    },
    ended: Promise.all([child.exited, child.stderr.text(), printed]).then(([code, errors, all]) => ({
      code,
      errors: errors.trim(),
      output: all?.trim(),
    })),
  };
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // All of them have ended.
  }
}

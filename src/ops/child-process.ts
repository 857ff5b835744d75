// The one way to run another program: its output is read while it runs, so that a full pipe never holds it up.

export interface Child {
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<{ readonly code: number; readonly errors: string }>;
}

/** Without input; what it prints is dropped, its standard error is kept. @throws Error when there is no such program. */
export function startChild(command: readonly string[]): Child {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  return {
    pid: child.pid,
    kill: (signal) => child.kill(signal),
    ended: Promise.all([child.exited, child.stderr.text()]).then(([code, errors]) => ({
      code,
      errors: errors.trim(),
    })),
  };
}

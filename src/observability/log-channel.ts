// The way out of log lines: hands over what goes at once and never waits for who reads. How that is done depends on what standard
// output is; each way below was tried with a reader that stopped.
import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { isatty } from "node:tty";

export interface LogChannel {
  /** @returns how many of the bytes went, 0 when there is no room now. @throws the system's error when nobody can read them. */
  write(bytes: Uint8Array): number;
}

export function openChannel(fd: number): LogChannel {
  const kind = fstatSync(fd);
  if (kind.isFIFO() || isatty(fd)) return reopened(fd) ?? (kind.isFIFO() ? queued(fd) : direct(fd));
  return kind.isSocket() ? queued(fd) : direct(fd);
}

/** A file never makes anybody wait for a reader. */
function direct(fd: number): LogChannel {
  return { write: (bytes) => unlessFull(() => writeSync(fd, bytes)) };
}

/**
 * A pipe or terminal through a descriptor of our own that does not wait. Ours, because the flag belongs to the open file: the shell and
 * whoever else writes there would lose lines by it. Linux only; undefined where the pipe belongs to another user.
 */
function reopened(fd: number): LogChannel | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const own = openSync(
      `/proc/self/fd/${fd}`,
      constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
    return { write: (bytes) => unlessFull(() => writeSync(own, bytes)) };
  } catch {
    return undefined;
  }
}

function unlessFull(write: () => number): number {
  try {
    return write();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EAGAIN") return 0;
    throw error;
  }
}

/** A socket, such as journald's, cannot be opened again: Bun writes to it without waiting, one piece at a time. */
function queued(fd: number): LogChannel {
  const sink = Bun.file(fd).writer();
  let isBusy = false;
  let problem: unknown;
  const failed = (error: unknown) => {
    isBusy = false;
    problem = error;
  };
  return {
    write: (bytes) => {
      if (problem !== undefined) {
        const error = problem;
        problem = undefined;
        throw error;
      }
      if (isBusy) return 0;
      const written: unknown = sink.write(bytes);
      if (written instanceof Promise) written.catch(failed);
      const flushed: unknown = sink.flush();
      if (flushed instanceof Promise) {
        isBusy = true;
        flushed.then(() => {
          isBusy = false;
        }, failed);
      }
      return bytes.byteLength;
    },
  };
}

// Stops reading of single connections, which Bun does not offer: their senders wait as for any slow receiver, and nothing is lost (Linux).
// The descriptor stays in the event loop of Bun's main thread, without its interest in what arrives; ends and errors are seen as before.
// What Bun itself asks of the loop meanwhile holds: then the connection is read again, and whoever paused it looks again.
import { dlopen, FFIType } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface PausedReading {
  /** Those of the descriptors that are not read now. */
  pause(fds: readonly number[]): ReadonlySet<number>;
  /** False when one of them could not be found. */
  resume(fds: readonly number[]): boolean;
}

const EPOLLIN = 1;
const EPOLL_CTL_MOD = 3;
/** The kernel adds these to every interest. */
const ALWAYS = 0x18;
/** struct epoll_event is packed on x86 alone. */
const DATA_AT = process.arch === "x64" ? 4 : 8;
const EVENT_BYTES = DATA_AT + 8;

const SYMBOLS = {
  epoll_ctl: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
} as const;

interface Interest {
  readonly loop: number;
  readonly events: number;
  readonly data: bigint;
}

/** Undefined where it is not possible. */
export function pausedReading(): PausedReading | undefined {
  if (process.platform !== "linux") return undefined;
  const c = library();
  if (c === undefined) return undefined;
  const bytes = new Uint8Array(EVENT_BYTES);
  const view = new DataView(bytes.buffer);
  let loops: readonly number[] | undefined;

  const change = (fd: number, { loop, data }: Interest, events: number): boolean => {
    view.setUint32(0, events, true);
    view.setBigUint64(DATA_AT, data, true);
    return c.epoll_ctl(loop, EPOLL_CTL_MOD, fd, bytes) === 0;
  };
  const interests = (fds: readonly number[]): Map<number, Interest> => {
    loops ??= eventLoops();
    return interestsOf(loops, new Set(fds));
  };
  return {
    pause: (fds) => {
      const paused = new Set<number>();
      for (const [fd, interest] of interests(fds)) {
        const { events } = interest;
        if ((events & EPOLLIN) === 0 || change(fd, interest, events & ~EPOLLIN & ~ALWAYS)) paused.add(fd);
      }
      return paused;
    },
    resume: (fds) => {
      const found = interests(fds);
      let isWhole = found.size === fds.length;
      for (const [fd, interest] of found) {
        const { events } = interest;
        if ((events & EPOLLIN) === 0 && !change(fd, interest, (events & ~ALWAYS) | EPOLLIN)) isWhole = false;
      }
      return isWhole;
    },
  };
}

/** glibc, then musl. */
function library() {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  for (const name of ["libc.so.6", `libc.musl-${machine}.so.1`, `ld-musl-${machine}.so.1`]) {
    try {
      return dlopen(name, SYMBOLS).symbols;
    } catch {
      // The next one.
    }
  }
  return undefined;
}

function eventLoops(): number[] {
  return readdirSync("/proc/self/fd").flatMap((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`) === "anon_inode:[eventpoll]" ? [Number(name)] : [];
    } catch {
      // Closed meanwhile.
      return [];
    }
  });
}

/** As the kernel tells them, one line for each descriptor of a loop. */
const LINE = /^tfd:\s*(\d+)\s+events:\s*([0-9a-f]+)\s+data:\s*([0-9a-f]+)/gm;

function interestsOf(loops: readonly number[], fds: ReadonlySet<number>): Map<number, Interest> {
  const found = new Map<number, Interest>();
  for (const loop of loops)
    for (const [, fd = "", events = "", data = ""] of told(loop).matchAll(LINE))
      if (fds.has(Number(fd)))
        found.set(Number(fd), { loop, events: Number.parseInt(events, 16), data: BigInt(`0x${data}`) });
  return found;
}

function told(loop: number): string {
  try {
    return readFileSync(`/proc/self/fdinfo/${loop}`, "utf8");
  } catch {
    return "";
  }
}

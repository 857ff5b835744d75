// What a process asked of the system, in the order in which it happened, read from the output of strace. Nothing is guessed: a line
// that cannot be read, or data that were cut off, is an error.

export interface SystemCall {
  readonly name: string;
  /**
   * Places in the recording at which the call began and was over: of two calls, one came first only when it was over by then. Infinite
   * for one that was under way when the process ended: it has done its work, or has not.
   */
  readonly began: number;
  readonly over: number;
  /** Negative for a call that failed, or never came back. */
  readonly result: number;
  /** Number of the file or socket that it was about. */
  readonly fd: number | undefined;
  /** The file's path, or the socket's two ends, such as `TCP:[127.0.0.1:3005->127.0.0.1:40000]`. */
  readonly target: string;
  /** Absolute paths that it named. */
  readonly paths: readonly string[];
  /** Of a call that opens: words such as O_CREAT. */
  readonly flags: readonly string[];
  /** Bytes that it wrote, sent or received. */
  readonly data: Uint8Array;
  /** Where it wrote; undefined at the file's own position. For ftruncate and fallocate, the size. */
  readonly offset: number | undefined;
}

/** Everything that changes files or their names, makes them durable, or tells somebody outside. */
export const TRACED = [
  ["open", "openat", "openat2", "creat", "mkdir", "mkdirat", "rmdir"],
  ["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"],
  ["write", "pwrite64", "writev", "pwritev", "pwritev2", "truncate", "ftruncate", "fallocate"],
  ["copy_file_range", "sendfile", "splice", "io_uring_setup"],
  ["fsync", "fdatasync", "sync", "syncfs", "sync_file_range"],
  ["sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg"],
].flat();

const BEGUN = " <unfinished ...>";
const AGAIN = /^<\.\.\. (\w+) resumed>/;
/** A number with what it stands for: `11<\x2f...>` or `17<TCP:[...]>`. */
const FD = /^(-?\d+|AT_FDCWD)<([A-Z][\w-]*:\[.*?\]|[^>]*)>/;

/**
 * @param text what `strace -f -yy -xx` wrote.
 * @param isOfInterest whether calls about this file or socket are wanted; the others are not even unpacked.
 * @param from place of the first line.
 */
export function readCalls(
  text: string,
  isOfInterest: (target: string) => boolean,
  from: number,
): { calls: SystemCall[]; end: number } {
  const calls: SystemCall[] = [];
  const begun = new Map<string, { place: number; text: string }>();
  let place = from;
  for (let at = 0; at < text.length; place++) {
    const newline = text.indexOf("\n", at);
    const line = text.slice(at, newline < 0 ? text.length : newline);
    at = newline < 0 ? text.length : newline + 1;
    const blank = line.indexOf(" ");
    const thread = line.slice(0, blank);
    let rest = line.slice(blank).trimStart();
    if (!/^\w+\(|^<\.\.\. /.test(rest)) continue;
    if (rest.endsWith(BEGUN)) {
      begun.set(thread, { place, text: rest.slice(0, -BEGUN.length) });
      continue;
    }
    let began = place;
    const again = AGAIN.exec(rest);
    if (again !== null) {
      const first = begun.get(thread);
      if (first === undefined) continue;
      begun.delete(thread);
      rest = first.text + rest.slice(again[0].length);
      began = first.place;
    }
    const call = readCall(rest, isOfInterest, began, place);
    if (call !== undefined) calls.push(call);
  }
  for (const { place: began, text: rest } of begun.values()) {
    const call = readCall(`${rest}) = ?`, isOfInterest, began, place);
    if (call !== undefined) calls.push(call);
  }
  return { calls: calls.sort((a, b) => a.began - b.began), end: place };
}

function readCall(
  line: string,
  isOfInterest: (target: string) => boolean,
  began: number,
  end: number,
): SystemCall | undefined {
  const open = line.indexOf("(");
  const equals = line.lastIndexOf(") = ") >= 0 ? line.lastIndexOf(") = ") : line.search(/\)\s+= /);
  if (equals < 0) throw new Error(`a line of the trace cannot be read: ${line.slice(0, 200)}`);
  const name = line.slice(0, open);
  const parts = line.slice(open + 1, equals);
  const answer = line.slice(equals).replace(/^\)\s+= /, "");
  const isCutOff = answer.startsWith("?");
  const result = isCutOff ? -1 : Number.parseInt(answer, 10);
  const over = isCutOff ? Number.POSITIVE_INFINITY : end;
  const about = FD.exec(parts);
  const fd = about === null || about[1] === "AT_FDCWD" ? undefined : Number(about[1]);
  const base = { name, began, over, result, flags: [], paths: [], data: NOTHING, offset: undefined };
  if (/^(open|creat|mkdir|rename|link|symlink|unlink|rmdir|truncate)/.test(name)) {
    const paths = namedPaths(parts);
    if (!paths.some(isOfInterest)) return undefined;
    const flags = /\bO_[A-Z_|]+/.exec(parts)?.[0].split("|") ?? [];
    const size = name === "truncate" ? lastNumber(parts) : undefined;
    return { ...base, fd: undefined, target: paths[0] ?? "", paths, flags, offset: size };
  }
  const target = about === null ? "" : unescaped(about[2] ?? "").toString();
  if (name === "io_uring_setup" && result >= 0)
    throw new Error("the process writes by io_uring, which this recording does not see");
  if (/^(copy_file_range|sendfile|splice)$/.test(name)) {
    const targets = [...parts.matchAll(/\d+<([^>]*)>/g)].map(([, path = ""]) => unescaped(path).toString());
    if (targets.some(isOfInterest)) throw new Error(`${name} of ${targets.join(", ")} cannot be replayed`);
    return undefined;
  }
  if (name === "sync") return { ...base, fd, target };
  if (!isOfInterest(target)) return undefined;
  if (/^(ftruncate|fallocate)$/.test(name)) return { ...base, fd, target, offset: lastNumber(parts) };
  if (!/write|send|recv/.test(name)) return { ...base, fd, target };
  const data = result <= 0 && !isCutOff ? NOTHING : bytesOf(parts);
  const whole = result < 0 ? data : data.subarray(0, result);
  return { ...base, fd, target, data: whole, offset: placeOf(name, parts) };
}

const NOTHING = new Uint8Array(0);

/** Paths in quotes, made absolute by the folder that stands before them. */
function namedPaths(parts: string): string[] {
  const found: string[] = [];
  for (const [, folder, text = ""] of parts.matchAll(/(?:(?:\d+|AT_FDCWD)<([^>]*)>, )?"([^"]*)"/g)) {
    const path = unescaped(text).toString();
    found.push(path.startsWith("/") || folder === undefined ? path : `${unescaped(folder)}/${path}`);
  }
  return found;
}

function bytesOf(parts: string): Uint8Array {
  const pieces: Buffer[] = [];
  for (const [, text = "", more] of parts.matchAll(/"([^"]*)"(\.\.\.)?/g)) {
    if (more !== undefined) throw new Error("the trace has cut-off data");
    pieces.push(unescaped(text));
  }
  return pieces.length === 1 ? (pieces[0] ?? NOTHING) : Buffer.concat(pieces);
}

function placeOf(name: string, parts: string): number | undefined {
  if (name === "pwritev2") return Number(/(-?\d+), [^,]*$/.exec(parts)?.[1]);
  return name.startsWith("pwrite") ? lastNumber(parts) : undefined;
}

const lastNumber = (parts: string): number => Number(/(-?\d+)\s*$/.exec(parts)?.[1]);

/** `-xx` writes every byte of a string as `\x` and two digits; a socket's ends stand as they are. */
function unescaped(text: string): Buffer {
  return text.startsWith("\\x") ? Buffer.from(text.replaceAll("\\x", ""), "hex") : Buffer.from(text);
}

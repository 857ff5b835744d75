// What the kernel knows of our TCP connections and Bun does not say: which descriptor belongs to which peer, and how many bytes it
// has sent, also those of a request or frame that is not whole yet. Linux only (TCP_INFO); elsewhere there is no answer, and callers
// keep a stricter bound. Descriptor numbers are used again: whoever acts on one asks in the same turn of the event loop for its peer.
import { dlopen, FFIType } from "bun:ffi";
import { readdirSync } from "node:fs";
import { descriptorLimit } from "./descriptors.ts";

export interface KernelConnection {
  readonly fd: number;
  readonly localPort: number;
  /** `::ffff:1.2.3.4` is 1.2.3.4, as Bun gives it. */
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** The other end of a connection, and the port of ours: from one of its ports it may reach several of ours. */
export interface RemoteEnd {
  readonly address: string;
  readonly port: number;
  readonly localPort: number;
}

export interface KernelConnections {
  /** Connected TCP sockets of this process, in both directions. About 2 µs for each open descriptor; `skip` saves half of that. */
  list(skip?: (fd: number) => boolean): KernelConnection[];
  /** The connection behind a descriptor, now; undefined when it is closed or no TCP connection. */
  connection(fd: number): KernelConnection | undefined;
  /**
   * Bytes of its stream that this process ever read; undefined when it is closed. What has arrived and was not read yet is the
   * kernel's memory, bounded by it, and says nothing of a sender but that it is fast.
   */
  bytesRead(fd: number): number | undefined;
  /** What has arrived and was not read yet; undefined when it is closed. */
  unread(fd: number): number | undefined;
  /** Milliseconds since anything came from the other end, or since the connection began; undefined when it is closed. */
  silentMs(fd: number): number | undefined;
  /** Ends both directions: its owner sees the end of the stream and closes the descriptor itself. */
  shutdown(fd: number): boolean;
}

const AF_INET = 2;
const AF_INET6 = 10;
const SOL_TCP = 6;
const TCP_INFO = 11;
const SHUT_RDWR = 2;
/** How much waits to be read. */
const FIONREAD = 0x541b;
/** `tcpi_bytes_received` of struct tcp_info; since Linux 4.1. */
const BYTES_RECEIVED_AT = 128;
/** `tcpi_last_data_recv`. */
const LAST_RECEIVED_AT = 52;
const ADDRESS_BYTES = 128;
const INFO_BYTES = 256;

const SYMBOLS = {
  getpeername: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  getsockname: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  getsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr],
    returns: FFIType.i32,
  },
  ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
  shutdown: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
} as const;

let opened: KernelConnections | null | undefined;

/** Undefined where the system cannot be asked. Loads the C library at the first call. */
export function kernelConnections(): KernelConnections | undefined {
  opened ??= open() ?? null;
  return opened ?? undefined;
}

function open(): KernelConnections | undefined {
  if (process.platform !== "linux") return undefined;
  const c = library();
  if (c === undefined) return undefined;
  const address = new Uint8Array(ADDRESS_BYTES);
  const info = new Uint8Array(INFO_BYTES);
  const infoView = new DataView(info.buffer);
  const length = new Uint32Array(1);
  const unread = new Int32Array(1);

  const name = (ask: typeof c.getpeername, fd: number): { address: string; port: number } | undefined => {
    length[0] = ADDRESS_BYTES;
    return ask(fd, address, length) === 0 ? readAddress(address) : undefined;
  };
  const connection = (fd: number): KernelConnection | undefined => {
    const remote = name(c.getpeername, fd);
    const local = remote && name(c.getsockname, fd);
    if (remote === undefined || local === undefined) return undefined;
    return { fd, localPort: local.port, remoteAddress: remote.address, remotePort: remote.port };
  };
  const askInfo = (fd: number, field: number, bytes: number): boolean => {
    length[0] = INFO_BYTES;
    return c.getsockopt(fd, SOL_TCP, TCP_INFO, info, length) === 0 && (length[0] ?? 0) >= field + bytes;
  };
  return {
    list: (skip = () => false) =>
      descriptors().flatMap((fd) => {
        const found = skip(fd) ? undefined : connection(fd);
        return found === undefined ? [] : [found];
      }),
    connection,
    bytesRead: (fd) => {
      if (!askInfo(fd, BYTES_RECEIVED_AT, 8)) return undefined;
      const received = Number(infoView.getBigUint64(BYTES_RECEIVED_AT, true));
      // Asked after: what arrives in between makes it less, never more.
      return c.ioctl(fd, FIONREAD, unread) === 0 ? received - (unread[0] ?? 0) : undefined;
    },
    unread: (fd) => (c.ioctl(fd, FIONREAD, unread) === 0 ? unread[0] : undefined),
    silentMs: (fd) =>
      askInfo(fd, LAST_RECEIVED_AT, 4) ? infoView.getUint32(LAST_RECEIVED_AT, true) : undefined,
    shutdown: (fd) => c.shutdown(fd, SHUT_RDWR) === 0,
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

/** Where none is left to read the folder with, every number up to here is asked. */
const MAX_BLIND = 65_536;

function descriptors(): number[] {
  try {
    return readdirSync("/proc/self/fd").map(Number);
  } catch {
    return Array.from({ length: Math.min(descriptorLimit() ?? MAX_BLIND, MAX_BLIND) }, (_, fd) => fd);
  }
}

/** Of struct sockaddr_in and sockaddr_in6; undefined for other families, such as local sockets. */
function readAddress(bytes: Uint8Array): { address: string; port: number } | undefined {
  const family = (bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8);
  const port = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
  if (family === AF_INET) return { address: bytes.subarray(4, 8).join("."), port };
  if (family !== AF_INET6) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + 8, 16);
  const isMapped = view.getBigUint64(0) === 0n && view.getUint32(8) === 0xffff;
  if (isMapped) return { address: bytes.subarray(20, 24).join("."), port };
  return { address: ipv6Text(view), port };
}

/** RFC 5952: lower case, the longest run of zero groups shortened. */
function ipv6Text(view: DataView): string {
  const groups = Array.from({ length: 8 }, (_, index) => view.getUint16(index * 2).toString(16));
  let longest = { at: -1, count: 1 };
  for (let at = 0; at < 8; at++) {
    let count = 0;
    while (groups[at + count] === "0") count++;
    if (count > longest.count) longest = { at, count };
  }
  if (longest.at < 0) return groups.join(":");
  return `${groups.slice(0, longest.at).join(":")}::${groups.slice(longest.at + longest.count).join(":")}`;
}

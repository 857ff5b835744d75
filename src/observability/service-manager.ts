// Tells systemd how this service is doing, over its notification socket (sd_notify(3)): ready, reloading, stopping, alive. Bun has
// no API for Unix datagrams, so the three system calls are made through the C library.
import type { Logger } from "pino";

export interface ServiceManager {
  ready(status: string): void;
  reloading(): void;
  stopping(): void;
}

const SILENT: ServiceManager = { ready: () => {}, reloading: () => {}, stopping: () => {} };

/** Does nothing where no service manager asked to be told. */
export async function serviceManager(
  log: Logger,
  environment: Record<string, string | undefined> = process.env,
): Promise<ServiceManager> {
  const path = environment.NOTIFY_SOCKET;
  if (path === undefined || path === "" || process.platform !== "linux") return SILENT;
  try {
    const send = await datagramsTo(path);
    keepAlive(send, environment);
    return {
      ready: (status) => send(`READY=1\nSTATUS=${status}`),
      reloading: () => send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
      stopping: () => send("STOPPING=1"),
    };
  } catch (error) {
    log.warn({ err: error }, "the service manager cannot be told");
    return SILENT;
  }
}

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
const MSG_NOSIGNAL = 0x4000;

async function datagramsTo(path: string): Promise<(message: string) => void> {
  const { dlopen, ptr } = await import("bun:ffi");
  const { symbols: c } = dlopen("libc.so.6", {
    socket: { args: ["int", "int", "int"], returns: "int" },
    sendto: { args: ["int", "ptr", "u64", "int", "ptr", "u32"], returns: "i64" },
    close: { args: ["int"], returns: "int" },
  });
  const address = socketAddress(path);
  return (message) => {
    const bytes = Buffer.from(message);
    const socket = c.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
    c.sendto(socket, ptr(bytes), BigInt(bytes.byteLength), MSG_NOSIGNAL, ptr(address), address.byteLength);
    c.close(socket);
  };
}

/** struct sockaddr_un; a name that begins with @ is in the abstract namespace. */
function socketAddress(path: string): Buffer {
  const family = Buffer.alloc(2);
  family.writeUInt16LE(AF_UNIX);
  return Buffer.concat([family, Buffer.from(path.startsWith("@") ? `\0${path.slice(1)}` : `${path}\0`)]);
}

/** Twice in each period that systemd grants: an event loop that stands still is restarted. */
function keepAlive(send: (message: string) => void, environment: Record<string, string | undefined>): void {
  const periodMs = Number(environment.WATCHDOG_USEC ?? 0) / 1000;
  const meant = environment.WATCHDOG_PID === undefined || Number(environment.WATCHDOG_PID) === process.pid;
  if (periodMs > 0 && meant) setInterval(() => send("WATCHDOG=1"), periodMs / 2).unref();
}

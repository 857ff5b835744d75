// Tells systemd how this service is doing, over its notification socket (sd_notify(3)): ready, reloading, stopping, alive. Bun has
// no API for Unix datagrams, so the three system calls are made through the C library.
import type { Logger } from "pino";

export interface ServiceManager {
  ready(status: string): void;
  reloading(): void;
  stopping(): void;
  /**
   * Says from now on that the service lives, as often as it is asked to, and no more once `deadly` names something that a restart
   * mends. An event loop that stands still says nothing either. What a restart does not mend is no reason to be restarted.
   */
  keepAlive(deadly: () => string | undefined): void;
}

const SILENT: ServiceManager = {
  ready: () => {},
  reloading: () => {},
  stopping: () => {},
  keepAlive: () => {},
};

/** Does nothing where no service manager asked to be told. */
export async function serviceManager(
  log: Logger,
  environment: Record<string, string | undefined> = process.env,
  connect: (path: string) => Promise<(message: string) => void> = datagramsTo,
): Promise<ServiceManager> {
  const path = environment.NOTIFY_SOCKET;
  if (path === undefined || path === "" || process.platform !== "linux") return SILENT;
  try {
    const send = await connect(path);
    return {
      ready: (status) => send(`READY=1\nSTATUS=${status}`),
      reloading: () => send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
      stopping: () => send("STOPPING=1"),
      keepAlive: (deadly) => keepAlive(send, periodOf(environment), deadly, log),
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

/** How often systemd wants to hear of this process; 0 when it does not. */
function periodOf({ WATCHDOG_USEC, WATCHDOG_PID }: Record<string, string | undefined>): number {
  const periodMs = Number(WATCHDOG_USEC ?? 0) / 1000;
  return WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === process.pid ? periodMs : 0;
}

/** Twice in each period. */
function keepAlive(
  send: (message: string) => void,
  periodMs: number,
  deadly: () => string | undefined,
  log: Logger,
): void {
  if (!(periodMs > 0)) return;
  let told = false;
  setInterval(() => {
    const problem = deadly();
    if (problem === undefined) {
      send("WATCHDOG=1");
      told = false;
    } else if (!told) {
      told = true;
      log.fatal({ problem }, "the service manager is asked for a restart");
    }
  }, periodMs / 2).unref();
}

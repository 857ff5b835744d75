// What makes an open file durable, and the system's own calls that do it by way of bun:ffi, with their errors by name.
import { dlopen, read } from "bun:ffi";
import { fdatasyncSync } from "node:fs";
import { constants } from "node:os";

/** What makes the bytes of an open file durable. */
export interface Syncing {
  /** Off the event loop. */
  sync(descriptor: number): Promise<void>;
  /** On it. */
  now(descriptor: number): void;
  stop(): void;
}

/** `full`: fcntl(F_FULLFSYNC), which only macOS has. `data`: fdatasync, as Linux has it. */
export type SyncWay = "full" | "data";

const F_FULLFSYNC = 51;
/** What a file system says that has no such call, such as some of networks. Everything else is a sync that failed. */
const NOT_THERE = ["ENOTSUP", "EOPNOTSUPP", "ENOTTY", "EINVAL"];

/** @returns a call that throws an Error with the system's code when the file could not be synced. */
export function syncCall(way: SyncWay): (descriptor: number) => void {
  if (way === "data") {
    const { fdatasync, __errno_location } = dlopen("libc.so.6", {
      fdatasync: { args: ["int"], returns: "int" },
      __errno_location: { args: [], returns: "ptr" },
    }).symbols;
    return (descriptor) => {
      if (fdatasync(descriptor) !== 0) throw failure("fdatasync", numberAt(__errno_location()));
    };
  }
  const { fcntl, __error } = dlopen("libSystem.B.dylib", {
    // Its third argument is not looked at for this command.
    fcntl: { args: ["int", "int"], returns: "int" },
    __error: { args: [], returns: "ptr" },
  }).symbols;
  let isThere = true;
  return (descriptor) => {
    if (isThere && fcntl(descriptor, F_FULLFSYNC) === 0) return;
    const error = isThere ? failure("fcntl(F_FULLFSYNC)", numberAt(__error())) : undefined;
    if (error !== undefined && !NOT_THERE.includes(error.code)) throw error;
    isThere = false;
    fdatasyncSync(descriptor);
  };
}

const numberAt = (pointer: Parameters<typeof read.i32>[0] | null) =>
  pointer === null ? 0 : read.i32(pointer);

function failure(call: string, number: number): Error & { code: string } {
  const [code = `errno ${number}`] =
    Object.entries(constants.errno).find(([, value]) => value === number) ?? [];
  return Object.assign(new Error(`${code}: the system refused ${call}`), { code });
}

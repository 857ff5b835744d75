// Ends the process without closing anything. A normal end closes every database, and closing one whose files were replaced writes
// into, or deletes, files that belong to another program by now.
import { dlopen } from "bun:ffi";

/** Runs when the process is about to end, whoever ends it. */
export function neverClose(): void {
  process.on("exit", (code) => endAtOnce(code === 0 ? 1 : code));
}

function endAtOnce(code: number): void {
  if (process.platform === "linux" || process.platform === "darwin") {
    try {
      const library = process.platform === "linux" ? "libc.so.6" : "libSystem.B.dylib";
      dlopen(library, { _exit: { args: ["int"], returns: "void" } }).symbols._exit(code);
    } catch {
      // Another C library: the signal below is as sudden.
    }
  }
  process.kill(process.pid, "SIGKILL");
}

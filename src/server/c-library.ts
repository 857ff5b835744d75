// The C library's own functions, for what the kernel does and Bun does not offer. Opening it costs some MB: on first use only.
import { dlopen, type FFIFunction } from "bun:ffi";

/** glibc, then musl. Undefined where neither has all of them. */
export function openCLibrary<const S extends Record<string, FFIFunction>>(symbols: S) {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  for (const name of ["libc.so.6", `libc.musl-${machine}.so.1`, `ld-musl-${machine}.so.1`]) {
    try {
      return dlopen(name, symbols).symbols;
    } catch {
      // The next one.
    }
  }
  return undefined;
}

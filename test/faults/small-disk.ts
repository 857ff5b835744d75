// A small file system of its own, so that it can be filled to the last byte and freed again. Needs the right to mount one.
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Need, needs } from "../support/needs.ts";

export interface SmallDisk {
  readonly path: string;
  /** Tests that are skipped by name where nothing can be mounted. */
  readonly small: Need;
  /** Takes every byte that is left. */
  fill(): void;
  /** Gives them back. */
  free(): void;
  unmount(): void;
}

export function smallDisk(bytes: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), "roost-disk-"));
  const filler = join(path, "filler");
  const small = needs.machine(
    "mounting of a small file system",
    () =>
      process.platform === "linux" &&
      Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${bytes}`, "none", path]).exitCode === 0,
  );
  return {
    path,
    small,
    fill: () => {
      const file = openSync(filler, "a");
      try {
        for (const size of [1024 * 1024, 4096, 1])
          while (written(file, size)) {
            // Until this size does not fit any more.
          }
      } finally {
        closeSync(file);
      }
    },
    free: () => rmSync(filler),
    unmount: () => {
      Bun.spawnSync(["umount", path]);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

function written(file: number, bytes: number): boolean {
  try {
    return writeSync(file, new Uint8Array(bytes)) === bytes;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOSPC") return false;
    throw error;
  }
}

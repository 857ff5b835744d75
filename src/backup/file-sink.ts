// A file that is filled piece by piece and, where it is to stay, synced a little at a time: one large flush at the end would make
// the commits of a server on the same disk wait for all of it. For the owner's eyes only.
import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import type { FileSink } from "./verify.ts";

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
const SYNC_EVERY_BYTES = 8 * 1024 * 1024;

/** Makes the folders above it. @throws the system's error when the file is there already. */
export async function fileSink(path: string, { durable }: { durable: boolean }): Promise<FileSink> {
  await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
  const file = await open(path, "wx", FILE_MODE);
  let unsynced = 0;
  return {
    write: async (chunk) => {
      let written = 0;
      while (written < chunk.byteLength) written += (await file.write(chunk, written)).bytesWritten;
      unsynced += written;
      if (!durable || unsynced < SYNC_EVERY_BYTES) return;
      unsynced = 0;
      await file.datasync();
    },
    close: async () => {
      try {
        if (durable) await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}

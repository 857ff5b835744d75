// A file that is filled piece by piece and synced before it counts as written. For the owner's eyes only.
import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import type { FileSink } from "./verify.ts";

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** Makes the folders above it. @throws the system's error when the file is there already. */
export async function fileSink(path: string): Promise<FileSink> {
  await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
  const file = await open(path, "wx", FILE_MODE);
  return {
    write: async (chunk) => {
      let written = 0;
      while (written < chunk.byteLength) written += (await file.write(chunk, written)).bytesWritten;
    },
    close: async () => {
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}

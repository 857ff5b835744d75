// Blobs that count against the storage maximum: an upload is refused before its first byte is read, and counts as soon as it is there.
import type { BlobContent, BlobStore, StoredBlob } from "./blobs.ts";
import type { Quota } from "./quota.ts";

export class MeteredBlobs implements BlobStore {
  constructor(
    private readonly blobs: BlobStore,
    private readonly quota: Quota,
    /** Called when blobs went away, so that the room they took is found. */
    private readonly onRemoved: () => void,
  ) {}

  get direct() {
    return this.blobs.direct;
  }

  async put(key: string, content: BlobContent, roomBytes: number): Promise<void> {
    this.quota.admit("upload", roomBytes);
    // Held while it arrives: many at once must not pass the maximum together.
    this.quota.blobBytes += roomBytes;
    let stored = 0;
    try {
      await this.blobs.put(
        key,
        counted(content, (bytes) => {
          stored += bytes;
        }),
        roomBytes,
      );
    } catch (error) {
      stored = 0;
      throw error;
    } finally {
      this.quota.blobBytes += stored - roomBytes;
    }
  }

  find(key: string): Promise<StoredBlob | undefined> {
    return this.blobs.find(key);
  }

  folderBytes(folder: string): Promise<number> {
    return this.blobs.folderBytes(folder);
  }

  async removeFolder(folder: string): Promise<void> {
    try {
      await this.blobs.removeFolder(folder);
    } finally {
      this.onRemoved();
    }
  }

  start(): void {
    this.blobs.start();
  }

  stop(): Promise<void> {
    return this.blobs.stop();
  }
}

async function* counted(content: BlobContent, count: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) {
    count(chunk.byteLength);
    yield chunk;
  }
}

// Files that clients exchange, under keys such as `<folder>/<id>/<name>`. A blob is wholly there or not at all. Each way to
// keep them is one file beside this one, held to the same tests.

export interface StoredBlob {
  readonly size: number;
  /** Read when it is used; not in memory before. */
  readonly bytes: Blob;
}

export interface BlobStore {
  /**
   * Stores or replaces a blob and resolves once it is durable. Nothing is left when `content` throws.
   * `roomBytes` is the size of the content, or the most that it can be: disk space is held for it.
   * @throws StorageError "disk-full" before the content is read, or whatever `content` throws.
   */
  put(key: string, content: BlobContent, roomBytes: number): Promise<void>;
  find(key: string): Promise<StoredBlob | undefined>;
  /** Deletes every blob whose key begins with `folder` and a slash. */
  removeFolder(folder: string): Promise<void>;
  /** Bytes of every blob whose key begins with `folder` and a slash. */
  folderBytes(folder: string): Promise<number>;
  /** Where clients exchange bytes with the store itself; undefined when they pass through this server. */
  readonly direct: DirectTransfer | undefined;
  /** Begins background work. */
  start(): void;
  stop(): Promise<void>;
}

export type BlobContent = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Addresses that admit whoever holds them, for a time. */
export interface DirectTransfer {
  /** An HTML form upload: `fields` first, then a part named `file` of at most `maxBytes`. */
  uploadForm(
    key: string,
    maxBytes: number,
  ): { readonly url: string; readonly fields: Record<string, string> };
  downloadUrl(key: string): string;
}

/** Types of what the server itself stores; anything else is bytes, never a page. */
const TYPES = new Map([
  ["png", "image/png"],
  ["jpg", "image/jpeg"],
  ["jpeg", "image/jpeg"],
  ["gif", "image/gif"],
  ["webp", "image/webp"],
]);

export function contentType(key: string): string {
  return TYPES.get(key.split(".").at(-1)?.toLowerCase() ?? "") ?? "application/octet-stream";
}

/** A key is parts joined by `/`, none of them empty, `.` or `..`. */
export function isBlobKey(key: string): boolean {
  return key.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

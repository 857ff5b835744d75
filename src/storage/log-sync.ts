// Makes what is committed durable: syncs the write-ahead log off the event loop, while the next transactions already go into it. SQLite
// writes there without a sync of its own (synchronous=NORMAL), which is sound because
// 1. frames carry a running checksum: what a crash keeps of the log is a beginning of it, and a sync covers all that was committed before;
// 2. the log starts over only after a checkpoint has synced log and database, so a commit whose frames are written over is durable in
//    the database; and SQLite syncs the new header itself, before the first frame that it begins;
// 3. every connection that makes checkpoints has synchronous NORMAL or FULL: without that it would not sync;
// 4. SQLite's locks are on the database and on the index: to open and close this file drops none of them (log-sync.test.ts looks).
import { closeSync, fdatasync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { basename } from "node:path";
import { asStorageError, StorageError } from "./errors.ts";
import { FullSync } from "./full-sync.ts";
import { type LiveFiles, pathOf } from "./live-files.ts";
import type { Syncing } from "./sync-call.ts";

const DATA_SYNC: Syncing = {
  sync: (descriptor) =>
    new Promise((resolve, reject) => {
      fdatasync(descriptor, (error) => (error === null || error === undefined ? resolve() : reject(error)));
    }),
  now: fdatasyncSync,
  stop: () => {},
};

const RENEWED_BYTES = 1024 * 1024;

export class LogSync {
  /**
   * Two, each for syncs of one kind: the kernel reports a write that failed to every open file once, and of two syncs of the same one that
   * run side by side, the second would hear nothing of it.
   */
  readonly #offLoop: number;
  readonly #onLoop: number;
  #underWay: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  /** To be made once a connection has read: the log is then there. @throws StorageError */
  constructor(
    path: string,
    files: Pick<LiveFiles, "opened">,
    private readonly syncing: Syncing = process.platform === "darwin" ? new FullSync() : DATA_SYNC,
  ) {
    this.#offLoop = openLog(path, files);
    try {
      this.#onLoop = openLog(path, files);
    } catch (error) {
      closeSync(this.#offLoop);
      throw error;
    }
  }

  /** Everything that was committed before the call is durable when it resolves. One at a time. Rejects with what the disk says. */
  sync(): Promise<void> {
    const syncing = this.syncing.sync(this.#offLoop);
    this.#underWay = syncing.catch(() => {});
    return syncing;
  }

  /** The same on the event loop, also while another one is under way. @throws what the disk says. */
  now(): void {
    this.syncing.now(this.#onLoop);
  }

  /**
   * Writes all of the log again as it is, and syncs it: what the system has forgotten to write after a sync that failed would be a hole,
   * and what is committed behind it is lost with the power, however well it is synced. To be called while nobody else may write.
   * @throws what the disk says.
   */
  renew(): void {
    const piece = Buffer.allocUnsafe(RENEWED_BYTES);
    for (let at = 0, bytes = 1; bytes > 0; at += bytes) {
      bytes = readSync(this.#onLoop, piece, 0, piece.length, at);
      if (bytes > 0 && writeSync(this.#onLoop, piece, 0, bytes, at) < bytes)
        throw Object.assign(new Error("the disk took only a part of the log"), { code: "ENOSPC" });
    }
    this.now();
  }

  /** Waits for a sync that is under way: its descriptor might be somebody else's by then. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Once: a second time the numbers would be somebody else's. */
  async #close(): Promise<void> {
    await this.#underWay;
    this.syncing.stop();
    closeSync(this.#offLoop);
    closeSync(this.#onLoop);
  }
}

function openLog(path: string, files: Pick<LiveFiles, "opened">): number {
  const log = pathOf(path, "log");
  let descriptor: number;
  try {
    descriptor = openSync(log, "r+");
  } catch (error) {
    const known = asStorageError(error);
    if (known instanceof StorageError) throw known;
    const problem = error instanceof Error ? error.message : String(error);
    throw new StorageError("failed", `The log ${log} cannot be opened: ${problem}.`, { cause: error });
  }
  const { dev, ino } = fstatSync(descriptor, { bigint: true });
  const ours = files.opened("log");
  if (ours === undefined || (ours.dev === dev && ours.ino === ino)) return descriptor;
  closeSync(descriptor);
  throw new StorageError(
    "replaced",
    `The file ${basename(log)} was replaced while the database was opened. Let no other program touch it, then start again.`,
  );
}

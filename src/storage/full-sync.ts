// Syncs through a thread with the call that the platform really needs: macOS leaves what fsync and fdatasync "synced" in the drive's own
// memory, and only fcntl(F_FULLFSYNC) has the drive write it. Bun has no name for that call.
import type { FullSyncAnswer, FullSyncTask } from "./full-sync-worker.ts";
import { type Syncing, type SyncWay, syncCall } from "./sync-call.ts";

export class FullSync implements Syncing {
  #worker: Worker | undefined;
  #waiting: PromiseWithResolvers<void> | undefined;
  #descriptor = 0;
  #call: ((descriptor: number) => void) | undefined;

  constructor(
    /** Elsewhere than on macOS only a test uses this class. */
    private readonly way: SyncWay = "full",
    private readonly newThread = newWorker,
  ) {}

  /** One at a time. */
  sync(descriptor: number): Promise<void> {
    const waiting = Promise.withResolvers<void>();
    this.#waiting = waiting;
    this.#descriptor = descriptor;
    try {
      this.#worker ??= this.#begin();
      // Whoever waits for a sync keeps the process alive; a thread that rests does not.
      this.#worker.ref();
      this.#worker.postMessage({ descriptor, way: this.way } satisfies FullSyncTask);
    } catch {
      // The system has no thread left, say.
      this.stop();
      this.#instead();
    }
    return waiting.promise;
  }

  now(descriptor: number): void {
    this.#call ??= syncCall(this.way);
    this.#call(descriptor);
  }

  stop(): void {
    const worker = this.#worker;
    this.#worker = undefined;
    worker?.terminate();
  }

  #begin(): Worker {
    const worker = this.newThread();
    worker.onmessage = ({ data }: MessageEvent<FullSyncAnswer>) => {
      // Late words of one that was replaced tell nothing of the sync that is under way.
      if (this.#worker === worker) this.#answered(data);
    };
    // A thread that ends says nothing about the disk: what waits for it is synced here, and the next sync begins another one.
    const ended = () => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#instead();
    };
    worker.onerror = ended;
    worker.addEventListener("close", ended);
    return worker;
  }

  #answered({ error }: FullSyncAnswer): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#worker?.unref();
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(Object.assign(new Error(error.message), { code: error.code }));
  }

  #instead(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) return;
    try {
      this.now(this.#descriptor);
      waiting.resolve();
    } catch (error) {
      waiting.reject(error);
    }
  }
}

/** The path is resolved by the bundler: the worker is embedded in the executable as an entry of its own (build.ts). */
function newWorker(): Worker {
  return new Worker(new URL("./full-sync-worker.ts", import.meta.url).href);
}

// Writes of one node, in the order of the calls: one request is in flight, and what waits behind it goes together in the next
// transaction. Every key hangs on a lease, so that it vanishes 20 to 30 seconds after its last write (bus contract 10.2).
import { z } from "zod";
import { endsWithin } from "../../within.ts";
import { BusClosedError, PublishFailedError } from "../errors.ts";
import { base64, EtcdError, type EtcdGateway } from "./gateway.ts";

/** etcd takes requests of 1.5 MiB; the rest is left for the key and the lease. */
export const MAX_VALUE_BYTES = 1_500_000;
/** etcd takes 128 operations in one transaction. */
const MAX_BATCH = 100;
/** Of all that waits while etcd is slow. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

const granted = z.object({ ID: z.string() });
const done = z.object({});

interface Write {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly signal: AbortSignal | undefined;
  readonly settle: (error?: unknown) => void;
}

export class EtcdPublisher {
  readonly #waiting: Write[] = [];
  readonly #stop = new AbortController();
  #waitingBytes = 0;
  #pumping: Promise<void> | undefined;
  #lease: { readonly id: string; readonly grantedAt: number } | undefined;

  constructor(
    private readonly gateway: EtcdGateway,
    private readonly leaseSeconds: number,
  ) {}

  /** Queued before it returns. @throws PublishFailedError, BusClosedError, or the signal's reason. */
  put(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    if (bytes.byteLength > MAX_VALUE_BYTES)
      return refused(`the message has ${bytes.byteLength} bytes, etcd takes ${MAX_VALUE_BYTES}`);
    if (this.#waitingBytes + bytes.byteLength > MAX_WAITING_BYTES)
      return refused("too many messages wait for etcd");
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const settle = (error?: unknown) => {
      signal?.removeEventListener("abort", aborted);
      if (error === undefined) resolve();
      else reject(error);
    };
    const write: Write = { key, bytes, signal, settle };
    const aborted = () => {
      const at = this.#waiting.indexOf(write);
      if (at >= 0) this.#take(at, 1);
      settle(signal?.reason);
    };
    signal?.addEventListener("abort", aborted, { once: true });
    this.#waiting.push(write);
    this.#waitingBytes += bytes.byteLength;
    this.#pumping ??= this.#pump();
    return promise;
  }

  /** What waits is written first if that takes at most `withinMs`; the rest is rejected. */
  async close(withinMs: number): Promise<void> {
    await endsWithin(withinMs, this.#pumping);
    this.#stop.abort(new BusClosedError());
    for (const write of this.#take(0, this.#waiting.length)) write.settle(new BusClosedError());
    await this.#pumping;
  }

  async #pump(): Promise<void> {
    // The rest of this turn's publishes joins the first request.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#nextBatch();
      try {
        await this.#write(batch);
        for (const { settle } of batch) settle();
      } catch (error) {
        const failed = this.#stop.signal.aborted
          ? new BusClosedError()
          : new PublishFailedError("etcd did not take the message", { cause: error });
        for (const { settle } of batch) settle(failed);
      }
    }
    this.#pumping = undefined;
  }

  /** The longest beginning of the queue that one transaction can hold: it refuses to write a key twice. */
  #nextBatch(): Write[] {
    const keys = new Set<string>();
    let bytes = 0;
    let count = 0;
    for (const write of this.#waiting) {
      bytes += write.bytes.byteLength;
      if (count === MAX_BATCH || keys.has(write.key) || (count > 0 && bytes > MAX_VALUE_BYTES)) break;
      keys.add(write.key);
      count++;
    }
    return this.#take(0, count);
  }

  #take(at: number, count: number): Write[] {
    const taken = this.#waiting.splice(at, count);
    for (const { bytes } of taken) this.#waitingBytes -= bytes.byteLength;
    return taken;
  }

  async #write(batch: readonly Write[]): Promise<void> {
    try {
      await this.#send(batch, await this.#currentLease());
    } catch (error) {
      if (!(error instanceof EtcdError) || !isLeaseGone(error)) throw error;
      this.#lease = undefined;
      await this.#send(batch, await this.#currentLease());
    }
  }

  async #send(batch: readonly Write[], lease: string): Promise<void> {
    const puts = batch.map(({ key, bytes }) => ({
      key: base64(key),
      value: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64"),
      lease,
    }));
    const { signal } = this.#stop;
    if (puts.length === 1) await this.gateway.call("/v3/kv/put", puts[0], done, signal);
    else {
      const success = puts.map((put) => ({ request_put: put }));
      await this.gateway.call("/v3/kv/txn", { success }, done, signal);
    }
  }

  /** One lease serves a third of its life, so that every key lives for at least two thirds of it. */
  async #currentLease(): Promise<string> {
    const now = performance.now();
    if (this.#lease !== undefined && now - this.#lease.grantedAt < (this.leaseSeconds * 1_000) / 3)
      return this.#lease.id;
    const { ID } = await this.gateway.call(
      "/v3/lease/grant",
      { TTL: String(this.leaseSeconds) },
      granted,
      this.#stop.signal,
    );
    this.#lease = { id: ID, grantedAt: now };
    return ID;
  }
}

function isLeaseGone(error: EtcdError): boolean {
  return error.code === 5 && error.message.includes("lease");
}

function refused(reason: string): Promise<never> {
  return Promise.reject(new PublishFailedError(reason));
}

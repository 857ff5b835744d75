// One key of etcd, followed: read, then watched from that revision on. Whatever breaks, it is read again, so that the last value is never
// missed; a watch that is silently dead is found by a read from time to time.
import { z } from "zod";
import type { ValueHooks, WatchedValue } from "../message-bus.ts";
import { backoff } from "./backoff.ts";
import { base64, type EtcdGateway } from "./gateway.ts";

const range = z.object({
  header: z.object({ revision: z.coerce.number().int().default(0) }),
  kvs: z
    .array(z.object({ value: z.base64().default(""), mod_revision: z.coerce.number().int() }))
    .default([]),
});
const line = z.object({
  result: z.object({ canceled: z.boolean().optional(), events: z.array(z.unknown()).default([]) }).optional(),
});

const PROBE_MS = 10_000;

export interface EtcdValueWatchParts {
  readonly gateway: EtcdGateway;
  readonly key: string;
  readonly hooks: ValueHooks;
  /** How often a silent watch is checked; 10 s. */
  readonly probeMs?: number | undefined;
}

export class EtcdValueWatch implements WatchedValue {
  readonly #stop = new AbortController();
  /** Of the value that was told last; 0 for none, undefined before the first. */
  #told: number | undefined;
  #isLost = false;
  /** Of etcd, at the newest read of this connection. */
  #at = 0;
  readonly #running: Promise<void>;

  constructor(private readonly parts: EtcdValueWatchParts) {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { hooks } = this.parts;
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.#follow(() => {
          failures = 0;
        });
      } catch {
        if (signal.aborted) return;
        if (!this.#isLost) hooks.lost();
        this.#isLost = true;
        await backoff(failures++, signal);
      }
    }
  }

  /** Returns when the watch ended and may begin again at once. @throws when etcd does not answer. */
  async #follow(answered: () => void): Promise<void> {
    const connection = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, connection.signal]);
    // An etcd whose data was deleted counts from 1 again.
    this.#at = 0;
    const revision = await this.#look();
    answered();
    let problem: unknown;
    const prober = setInterval(() => {
      this.#look().catch((error: unknown) => {
        problem = error;
        connection.abort();
      });
    }, this.parts.probeMs ?? PROBE_MS);
    try {
      const request = { key: base64(this.parts.key), start_revision: String(revision + 1) };
      const lines = await this.parts.gateway.stream("/v3/watch", { create_request: request }, signal);
      for await (const text of lines) {
        const { result } = line.parse(text);
        // Compacted, or ended by etcd: the read at the next beginning says what is there.
        if (result === undefined || result.canceled === true) break;
        if (result.events.length > 0) await this.#look();
      }
      await backoff(0, this.#stop.signal);
    } catch (error) {
      throw problem ?? error;
    } finally {
      clearInterval(prober);
      connection.abort();
    }
  }

  /** Reads, and tells what is new. @returns the revision that was read. */
  async #look(): Promise<number> {
    const { gateway, key, hooks } = this.parts;
    const { header, kvs } = await gateway.call(
      "/v3/kv/range",
      { key: base64(key) },
      range,
      this.#stop.signal,
    );
    if (this.#isLost) hooks.back();
    this.#isLost = false;
    // Two reads may overtake each other.
    if (header.revision < this.#at) return this.#at;
    this.#at = header.revision;
    const [found] = kvs;
    const revision = found?.mod_revision ?? 0;
    if (revision !== this.#told) {
      this.#told = revision;
      hooks.value(found === undefined ? undefined : Buffer.from(found.value, "base64"));
    }
    return header.revision;
  }
}

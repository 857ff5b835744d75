// The one prefix watch of a node (bus contract 10.3). It resumes after the last revision it saw, so that nothing is lost across
// reconnects; it notices a connection that is silently dead, a history that was compacted, and an etcd that began anew.
import type { Logger } from "pino";
import { z } from "zod";
import { backoff } from "./backoff.ts";
import { base64, type EtcdGateway, rangeEnd } from "./gateway.ts";

export interface PutEvent {
  readonly key: string;
  readonly value: Buffer<ArrayBuffer>;
  readonly revision: number;
}

export interface WatchHooks {
  /** In order, synchronously, while the watch waits. */
  onPut(event: PutEvent): void;
  onConnected(): void;
  onLost(): void;
  /** Messages may be missing. */
  onGap(): void;
}

/** The gateway leaves out zeros. */
const header = z.object({ revision: z.coerce.number().int().default(0) });
const kv = z.object({
  key: z.base64(),
  value: z.base64().default(""),
  mod_revision: z.coerce.number().int(),
});
const line = z.object({
  result: z
    .object({
      header,
      created: z.boolean().optional(),
      canceled: z.boolean().optional(),
      cancel_reason: z.string().optional(),
      compact_revision: z.coerce.number().int().optional(),
      events: z.array(z.object({ type: z.string().optional(), kv })).default([]),
    })
    .optional(),
  error: z.object({ message: z.string().optional() }).optional(),
});
const range = z.object({ header, kvs: z.array(kv).default([]) });

/** While the watch is silent, a read this often tells what it should have shown. Below the 20 s for which every key lives. */
const PROBE_MS = 10_000;

export interface EtcdWatchParts {
  readonly gateway: EtcdGateway;
  /** Ends in a slash. */
  readonly prefix: string;
  readonly hooks: WatchHooks;
  readonly log: Logger;
  /** How often a silent watch is checked; 10 s. */
  readonly probeMs?: number | undefined;
}

export class EtcdWatch {
  readonly #stop = new AbortController();
  /** Every event up to here was handed on; undefined before the first connection. */
  #seen: number | undefined;
  /** Aborts the present connection only. */
  #connection: AbortController | undefined;
  #heardSinceProbe = false;
  /** A revision that the last probe found and the watch had not shown. */
  #missing: number | undefined;
  readonly #running: Promise<void>;

  constructor(private readonly parts: EtcdWatchParts) {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { hooks, log, probeMs = PROBE_MS } = this.parts;
    const prober = setInterval(() => void this.#probe(), probeMs);
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted; ) {
      let problem: unknown = new Error("etcd ended the watch");
      try {
        const again = await this.#follow(() => {
          failures = 0;
        });
        if (again) continue;
      } catch (error) {
        problem = this.#connection?.signal.reason ?? error;
      }
      if (signal.aborted) break;
      if (failures === 0)
        log.warn({ err: problem }, "the bus is away; this node hears only itself until it is back");
      hooks.onLost();
      await backoff(failures++, signal);
    }
    clearInterval(prober);
  }

  /** True to watch again at once. @throws when the connection breaks or etcd refuses. */
  async #follow(connected: () => void): Promise<boolean> {
    this.#connection = new AbortController();
    this.#missing = undefined;
    const signal = AbortSignal.any([this.#stop.signal, this.#connection.signal]);
    const request = {
      key: base64(this.parts.prefix),
      range_end: base64(rangeEnd(this.parts.prefix)),
      ...(this.#seen === undefined ? {} : { start_revision: String(this.#seen + 1) }),
    };
    const lines = await this.parts.gateway.stream("/v3/watch", { create_request: request }, signal);
    for await (const text of lines) {
      if (signal.aborted) break;
      const { result, error } = line.parse(text);
      if (result === undefined) throw new Error(error?.message ?? "etcd ended the watch");
      if (result.canceled) return this.#canceled(result.compact_revision, result.cancel_reason);
      if (result.created) {
        if (await this.#beganAnew(result.header.revision)) return true;
        this.#seen ??= result.header.revision;
        connected();
        this.parts.hooks.onConnected();
      }
      this.#hand(result.events);
    }
    signal.throwIfAborted();
    throw new Error("the watch's connection ended");
  }

  #hand(events: readonly { type?: string | undefined; kv: z.output<typeof kv> }[]): void {
    if (events.length === 0) return;
    this.#heardSinceProbe = true;
    // One transaction's events share a revision, so the border moves only after all of them.
    const border = this.#seen ?? 0;
    let last = border;
    for (const {
      type,
      kv: { key, value, mod_revision },
    } of events) {
      if (mod_revision <= border) continue;
      last = Math.max(last, mod_revision);
      // Deletions are leases that ran out.
      if (type === "DELETE") continue;
      this.parts.hooks.onPut({
        key: Buffer.from(key, "base64").toString(),
        value: Buffer.from(value, "base64"),
        revision: mod_revision,
      });
    }
    this.#seen = last;
  }

  #canceled(compacted: number | undefined, reason: string | undefined): boolean {
    if (compacted === undefined || compacted === 0) throw new Error(reason ?? "etcd cancelled the watch");
    this.parts.log.warn(
      { from: this.#seen, to: compacted },
      "etcd no longer has all messages since the bus was lost",
    );
    this.#seen = compacted - 1;
    this.parts.hooks.onGap();
    return true;
  }

  /** An etcd whose data was deleted counts from 1 again: waiting for the old revision would mean silence for ever. */
  async #beganAnew(revision: number): Promise<boolean> {
    if (this.#seen === undefined || revision >= this.#seen) return false;
    // A member that lags behind also has a lower number; a linearizable read asks the majority.
    const { header: current } = await this.#read(0);
    if (current.revision >= this.#seen) return false;
    this.parts.log.warn(
      { from: this.#seen, to: current.revision },
      "etcd began anew; messages may be missing",
    );
    this.#seen = current.revision;
    this.parts.hooks.onGap();
    return true;
  }

  /** The newest put after the given revision. */
  #read(after: number) {
    return this.parts.gateway.call(
      "/v3/kv/range",
      {
        key: base64(this.parts.prefix),
        range_end: base64(rangeEnd(this.parts.prefix)),
        min_mod_revision: String(after + 1),
        sort_target: "MOD",
        sort_order: "DESCEND",
        limit: "1",
        keys_only: true,
      },
      range,
      this.#stop.signal,
    );
  }

  async #probe(): Promise<void> {
    const seen = this.#seen;
    if (seen === undefined) return;
    if (this.#heardSinceProbe) {
      this.#heardSinceProbe = false;
      this.#missing = undefined;
      return;
    }
    if (this.#missing !== undefined && this.#missing > seen)
      return this.#connection?.abort(new Error("the watch went silent"));
    try {
      const { header: now, kvs } = await this.#read(seen);
      this.#missing = kvs[0]?.mod_revision;
      // Nothing of ours was written up to `now`: resuming from there survives a compaction.
      if (this.#missing === undefined && this.#seen === seen) this.#seen = now.revision;
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#connection?.abort(error);
    }
  }
}

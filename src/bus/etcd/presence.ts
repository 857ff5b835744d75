// Which node holds which client, under a lease that is kept alive while the node lives. After an outage of etcd the entries of this
// node are written again (bus contract 6.2).
import type { Logger } from "pino";
import { z } from "zod";
import { keyOfTopic } from "../bus-topic.ts";
import type { PresenceBoard } from "../message-bus.ts";
import { base64, EtcdError, type EtcdGateway, fromBase64 } from "./gateway.ts";

const granted = z.object({ ID: z.string() });
/** Without TTL the lease is gone. */
const kept = z.object({ result: z.object({ TTL: z.coerce.number().default(0) }) });
const found = z.object({ kvs: z.array(z.object({ value: z.base64().default("") })).default([]) });
const done = z.object({});

/** Entries that are written again in one transaction. */
const BATCH = 100;

export class EtcdPresence implements PresenceBoard {
  readonly #held = new Map<string, string>();
  readonly #stop = new AbortController();
  #lease: Promise<string> | undefined;
  #keeper: Timer | undefined;

  constructor(
    private readonly gateway: EtcdGateway,
    private readonly prefix: string,
    private readonly leaseSeconds: number,
    private readonly log: Logger,
  ) {}

  async set(client: string, node: string): Promise<void> {
    this.#held.set(client, node);
    this.#keeper ??= setInterval(() => void this.#keep(), (this.leaseSeconds * 1_000) / 3);
    const lease = await this.#currentLease();
    // It may have been cleared while the lease was granted.
    if (this.#held.get(client) === node)
      await this.gateway.call("/v3/kv/put", this.#put(client, node, lease), done, this.#stop.signal);
  }

  async clear(client: string, node: string): Promise<void> {
    if (this.#held.get(client) === node) this.#held.delete(client);
    const key = base64(this.#key(client));
    await this.gateway.call(
      "/v3/kv/txn",
      {
        // Another node may hold the client by now.
        compare: [{ key, target: "VALUE", result: "EQUAL", value: base64(node) }],
        success: [{ request_delete_range: { key } }],
      },
      done,
      this.#stop.signal,
    );
  }

  async find(client: string): Promise<string | undefined> {
    const { kvs } = await this.gateway.call("/v3/kv/range", { key: base64(this.#key(client)) }, found);
    const value = kvs[0]?.value;
    return value === undefined ? undefined : fromBase64(value).toString();
  }

  /** Every entry of this node vanishes with the lease. */
  async close(): Promise<void> {
    clearInterval(this.#keeper);
    this.#stop.abort();
    const lease = await this.#lease?.catch(() => undefined);
    if (lease !== undefined)
      await this.gateway
        .call("/v3/lease/revoke", { ID: lease }, done, AbortSignal.timeout(1_000))
        .catch(() => {});
  }

  #currentLease(): Promise<string> {
    this.#lease ??= this.gateway
      .call("/v3/lease/grant", { TTL: String(this.leaseSeconds) }, granted, this.#stop.signal)
      .then(({ ID }) => ID)
      .catch((error: unknown) => {
        this.#lease = undefined;
        throw error;
      });
    return this.#lease;
  }

  async #keep(): Promise<void> {
    try {
      if (this.#lease !== undefined && (await this.#alive(await this.#lease))) return;
      this.#lease = undefined;
      await this.#writeAll(await this.#currentLease());
    } catch (error) {
      if (!this.#stop.signal.aborted)
        this.log.warn({ err: error }, "the presence of clients could not be renewed");
    }
  }

  async #alive(lease: string): Promise<boolean> {
    try {
      const { result } = await this.gateway.call(
        "/v3/lease/keepalive",
        { ID: lease },
        kept,
        this.#stop.signal,
      );
      return result.TTL > 0;
    } catch (error) {
      if (error instanceof EtcdError && error.code === 5) return false;
      throw error;
    }
  }

  async #writeAll(lease: string): Promise<void> {
    const entries = [...this.#held];
    for (let at = 0; at < entries.length; at += BATCH) {
      const success = entries
        .slice(at, at + BATCH)
        .map(([client, node]) => ({ request_put: this.#put(client, node, lease) }));
      await this.gateway.call("/v3/kv/txn", { success }, done, this.#stop.signal);
    }
  }

  #put(client: string, node: string, lease: string) {
    return { key: base64(this.#key(client)), value: base64(node), lease };
  }

  #key(client: string): string {
    return keyOfTopic(this.prefix, `presence/${client}`);
  }
}

// Who registers, renews and leaves (contract 27.4): what is acknowledged is on disk, and nobody sees or hears of it before. In a cluster every
// node holds what any of them was told; the last word on an instance counts.
import type { Logger } from "pino";
import type { KeptInstance, SqliteInstances } from "../store/sqlite-instances.ts";
import { asRpcError } from "../store/store-errors.ts";
import { type Registration, registration } from "./instance.ts";
import { type Entry, type Instances, lifeMs } from "./instances.ts";

export interface RegistrationsParts {
  readonly instances: Instances;
  readonly store: SqliteInstances;
  readonly log: Logger;
}

/** What is told to other nodes: durable, and told to clients of this one. */
export interface News {
  registered(entry: Entry): void;
  renewed(entry: Entry): void;
  removed(tenant: string, id: string): void;
}

/** What another node was told. */
export interface Heard {
  readonly tenant: string;
  readonly given: Registration;
  readonly isShared: boolean;
  readonly ageMs: number;
}

export class Registrations {
  /** Undefined: this node is alone. */
  news: News | undefined;

  constructor(private readonly parts: RegistrationsParts) {}

  /** @throws RpcError 5021 */
  async register(tenant: string, given: Registration, isShared: boolean): Promise<Entry> {
    const { instances } = this.parts;
    const release = instances.place(tenant, given);
    const entry = Promise.withResolvers<Entry>();
    try {
      await this.#save({ tenant, given, isShared, ageMs: 0 }, () => {
        release();
        const put = instances.put({ tenant, given, isShared });
        this.news?.registered(put);
        entry.resolve(put);
      });
    } catch (error) {
      release();
      throw error;
    }
    return entry.promise;
  }

  /** @throws RpcError 4000 */
  async renew(tenant: string, id: string): Promise<Entry> {
    const { instances, store } = this.parts;
    let entry = instances.known(tenant, id);
    await asRpcError(
      store.renew(tenant, id, Date.now(), () => {
        // It may have been registered anew meanwhile; who left meanwhile is gone.
        const known = instances.find(tenant, id);
        if (known === undefined) return;
        entry = instances.put({ ...known, isOwn: true });
        this.news?.renewed(entry);
      }),
    );
    return entry;
  }

  /** False: it was not there. */
  async remove(tenant: string, id: string): Promise<boolean> {
    const { instances, store } = this.parts;
    if (instances.find(tenant, id) === undefined) return false;
    let wasThere = false;
    await asRpcError(
      store.remove(tenant, id, () => {
        wasThere = instances.remove(tenant, id);
        if (wasThere) this.news?.removed(tenant, id);
      }),
    );
    return wasThere;
  }

  /** Nobody renewed it in time. What is not forgotten now is at the next start. */
  expired({ tenant, given, registeredAtMs }: Entry): void {
    this.parts.store.forget(tenant, given.instance_id, registeredAtMs).catch(() => {});
  }

  /** What an earlier process was told: nobody knows how they are, and their time ran on. */
  load(): void {
    const { instances, store, log } = this.parts;
    for (const { tenant, id, isShared, instance, renewedAtMs } of store.load()) {
      const parsed = registration.safeParse(JSON.parse(instance));
      // A clock that went back makes nothing live longer than from now on.
      const ageMs = Math.max(0, Date.now() - renewedAtMs);
      if (parsed.success && ageMs <= lifeMs(parsed.data))
        // Not to be told as this node's word: it may have left at another one meanwhile.
        instances.put({ tenant, given: parsed.data, isShared, ageMs, isOwn: false });
      else store.forget(tenant, id, renewedAtMs).catch(() => {});
      if (!parsed.success) log.warn({ tenant, instance: id }, "an instance that was kept is none any more");
    }
  }

  /** Another node has its word. Never rejects. */
  async heard(said: Heard): Promise<void> {
    const { instances, log } = this.parts;
    const { tenant, given, isShared, ageMs } = said;
    const held = instances.find(tenant, given.instance_id);
    if (held !== undefined && instances.ageMs(held) <= ageMs) return;
    try {
      const release = instances.place(tenant, given);
      await this.#save(said, () => {
        release();
        instances.put({ tenant, given, isShared, ageMs, isOwn: false });
      }).finally(release);
    } catch (error) {
      log.warn(
        { err: error, tenant, instance: given.instance_id },
        "an instance of another node is not kept",
      );
    }
  }

  /** Another node was told that it left. Never rejects. */
  async heardRemoved(tenant: string, id: string): Promise<void> {
    const { instances, store, log } = this.parts;
    try {
      await store.remove(tenant, id, () => instances.remove(tenant, id));
    } catch (error) {
      log.warn({ err: error, tenant, instance: id }, "an instance that left another node is still kept here");
    }
  }

  #save({ tenant, given, isShared, ageMs }: Heard, done: () => void): Promise<void> {
    const row: KeptInstance = {
      tenant,
      id: given.instance_id,
      isShared,
      instance: JSON.stringify(given),
      renewedAtMs: Date.now() - ageMs,
    };
    return asRpcError(this.parts.store.save(row, done));
  }
}

// What the person who runs the server sees of the hub and can do about it: namespaces, sessions, machines, who is notified. The same in a
// running server, whose memory and clients follow each deletion after its commit, and on the database alone.
import type { HapiStore } from "./store/contract.ts";
import type { NamespaceRow } from "./store/records.ts";
import type { MachineRow, SessionKey, SessionListRow } from "./store/rows.ts";
import { objectAt, textAt } from "./wire/shape.ts";

/** What a running hub knows beside its database, and must be told of. */
export interface Live {
  /** Sockets that are open now, by namespace. */
  connections(): ReadonlyMap<string, number>;
  isSessionActive(id: string): boolean;
  isMachineActive(id: string): boolean;
  sessionGone(key: SessionKey): void;
  machineGone(key: SessionKey): void;
  /** Ends the sockets of a namespace; their clients come back and find nothing. */
  end(namespace: string): void;
}

/** Nobody is connected to a database. */
export const AT_REST: Live = {
  connections: () => new Map(),
  isSessionActive: () => false,
  isMachineActive: () => false,
  sessionGone: () => {},
  machineGone: () => {},
  end: () => {},
};

export interface NamespaceOverview extends NamespaceRow {
  readonly connections: number;
}

export interface SessionOverview {
  readonly id: string;
  readonly name: string | null;
  readonly path: string | null;
  readonly host: string | null;
  readonly flavor: string | null;
  readonly active: boolean;
  readonly pinned: boolean;
  readonly bytes: number;
  readonly createdAt: number;
  readonly lastSeenAt: number;
}

export interface MachineOverview {
  readonly id: string;
  readonly namespace: string;
  readonly name: string | null;
  readonly platform: string | null;
  readonly version: string | null;
  readonly active: boolean;
  readonly createdAt: number;
  readonly lastSeenAt: number;
}

/** Who is told when nobody looks. */
export interface SubscriberOverview {
  /** Names it for `unsubscribe`. */
  readonly id: string;
  readonly namespace: string;
  readonly kind: "web push" | "phone" | "telegram";
  /** The push service, the platform, or the user's number. Addresses and tokens of subscriptions are secrets. */
  readonly where: string;
  readonly createdAt: number;
}

interface Found extends SubscriberOverview {
  remove(): Promise<unknown>;
}

export class Administration {
  constructor(
    private readonly store: HapiStore,
    private readonly live: Live,
  ) {}

  async namespaces(): Promise<NamespaceOverview[]> {
    const connections = this.live.connections();
    const rows = await this.store.listNamespaces();
    return rows.map((row) => ({ ...row, connections: connections.get(row.namespace) ?? 0 }));
  }

  async has(namespace: string): Promise<boolean> {
    return (await this.store.listNamespaces()).some((row) => row.namespace === namespace);
  }

  async sessions(namespace: string): Promise<SessionOverview[]> {
    const rows = await this.store.listSessions(namespace);
    return Promise.all(rows.map((row) => this.#session(row)));
  }

  async #session(row: SessionListRow): Promise<SessionOverview> {
    const { id, metadata, presence } = row;
    return {
      id,
      name: textAt(metadata, "name") ?? textAt(objectAt(metadata, "summary"), "text") ?? null,
      path: textAt(metadata, "path") ?? null,
      host: textAt(metadata, "host") ?? null,
      flavor: textAt(metadata, "flavor") ?? null,
      active: this.live.isSessionActive(id),
      pinned: row.pinned || row.globalPinned,
      bytes: await this.store.sessionBytes(id),
      createdAt: row.createdAt,
      lastSeenAt: Math.max(row.updatedAt, presence?.activeAt ?? 0),
    };
  }

  /** Of one namespace, or of all of them. */
  async machines(namespace?: string): Promise<MachineOverview[]> {
    const found: MachineOverview[] = [];
    for (const one of await this.#names(namespace))
      for (const row of await this.store.listMachines(one)) found.push(this.#machine(row));
    return found;
  }

  #machine({ id, namespace, metadata, presence, createdAt, updatedAt }: MachineRow): MachineOverview {
    return {
      id,
      namespace,
      name: textAt(metadata, "displayName") ?? textAt(metadata, "host") ?? null,
      platform: textAt(metadata, "platform") ?? null,
      version: textAt(metadata, "happyCliVersion") ?? null,
      active: this.live.isMachineActive(id),
      createdAt,
      lastSeenAt: Math.max(updatedAt, presence.activeAt),
    };
  }

  async subscribers(namespace?: string): Promise<SubscriberOverview[]> {
    return (await this.#subscribers(namespace)).map(({ remove: _, ...shown }) => shown);
  }

  /** False when nobody has this id. */
  async unsubscribe(id: string): Promise<boolean> {
    const found = (await this.#subscribers()).find((one) => one.id === id);
    await found?.remove();
    return found !== undefined;
  }

  async #subscribers(namespace?: string): Promise<Found[]> {
    const { store } = this;
    const found: Found[] = [];
    for (const one of await this.#names(namespace)) {
      for (const { id, endpoint, createdAt } of await store.listSubscriptions(one))
        found.push({
          id: `push-${id}`,
          namespace: one,
          kind: "web push",
          where: hostOf(endpoint),
          createdAt,
          remove: () => store.deleteSubscription(one, endpoint),
        });
      for (const { id, platform, token, createdAt } of await store.listDevices(one))
        found.push({
          id: `phone-${id}`,
          namespace: one,
          kind: "phone",
          where: platform,
          createdAt,
          remove: () => store.deleteDevice(one, { token }),
        });
      for (const { platform, platformUserId: user, createdAt } of await store.listBindings("telegram", one))
        found.push({
          id: `telegram-${user}`,
          namespace: one,
          kind: "telegram",
          where: `user ${user}`,
          createdAt,
          remove: () => store.unbindUser(platform, user),
        });
    }
    return found;
  }

  /** Deletes it with everything that is its own. Undefined when there is no such namespace. */
  async remove(
    namespace: string,
  ): Promise<{ readonly sessions: number; readonly machines: number } | undefined> {
    if (!(await this.has(namespace))) return undefined;
    const { live } = this;
    const gone = await this.store.deleteNamespace(namespace, (what) => {
      if ("session" in what) live.sessionGone({ namespace, id: what.session });
      else live.machineGone({ namespace, id: what.machine });
    });
    live.end(namespace);
    return { sessions: gone.sessions.length, machines: gone.machines.length };
  }

  async #names(namespace: string | undefined): Promise<readonly string[]> {
    if (namespace !== undefined) return [namespace];
    return (await this.store.listNamespaces()).map((row) => row.namespace);
  }
}

/** What a browser's push service is called; the rest of the address would let anybody push. */
function hostOf(endpoint: string): string {
  return URL.parse(endpoint)?.host ?? "no address";
}

// A topic is a record: its names, how its items are listed and described, who may hear it. Everything else (log, replay, rooms,
// retention) is the same for every topic and knows nothing but this (topics contract, section 13).
import type { Item } from "./item.ts";
import type { TopicItems } from "./store/topic-items.ts";
import type { Claims } from "./tokens.ts";

export interface Retention {
  /** Events older than this are deleted; 0 keeps them however old. */
  readonly days: number;
  /** Only so many events are kept; 0 keeps them all. */
  readonly maxRows: number;
}

export interface Topic extends TopicItems {
  readonly name: string;
  readonly events: {
    readonly request: string;
    readonly initial: string;
    readonly update: string;
    readonly leave: string;
  };
  readonly room: string;
  /** Every accepted socket hears it from the beginning; otherwise a request joins. */
  readonly autoJoin: boolean;
  /** Missed events up to this number are replayed one by one. */
  readonly replayLimit: number;
  /** Items in one snapshot. */
  readonly snapshotLimit: number;
  /** The field that identifies an item. */
  readonly itemKey: string;
  /** Payload of a deletion. */
  readonly removed: (id: number) => Item;
  readonly authorize: (claims: Claims) => boolean;
  /** Instead of the server's own retention. */
  readonly retention?: Retention;
}

export type TopicSpec = Pick<Topic, "name" | "itemKey" | "snapshot" | "project"> & Partial<Topic>;

const NAME = /^[a-z][A-Za-z0-9_-]{0,63}$/;

/** Fills in what follows from the name. @throws Error for a name that is not usable. */
export function topic(spec: TopicSpec): Topic {
  const { name, itemKey } = spec;
  if (!NAME.test(name)) {
    throw new Error(
      `"${name}" cannot name a topic: a lower case letter, then letters, digits, "-" or "_", at most 64 characters.`,
    );
  }
  return {
    events: {
      request: `request:${name}`,
      initial: `${name}:initial`,
      update: `${name}:update`,
      leave: `leave:${name}`,
    },
    room: name,
    autoJoin: false,
    replayLimit: 500,
    snapshotLimit: 10_000,
    removed: (id) => ({ [itemKey]: id }),
    authorize: () => true,
    ...spec,
  };
}

/** Topics by name, no two of which share a name, a room or an event. @throws Error naming what is taken. */
export function registry(topics: readonly Topic[]): ReadonlyMap<string, Topic> {
  const taken = new Set<string>();
  for (const { name, room, events } of topics) {
    for (const key of [
      `topic ${name}`,
      `room ${room}`,
      ...Object.values(events).map((event) => `event ${event}`),
    ]) {
      if (taken.has(key)) throw new Error(`Two topics share the ${key}; rename one of them.`);
      taken.add(key);
    }
  }
  return new Map(topics.map((entry) => [entry.name, entry]));
}

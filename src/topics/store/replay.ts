// What a subscriber is told that names the last event it knows: the missed events, or the whole list (topics contract, section 10).
import { sql } from "drizzle-orm";
import type { Db } from "../../storage/query.ts";
import { PAGE_BYTES } from "../../storage/weighed-list.ts";
import type { Item } from "../item.ts";
import type { Topic } from "../topic.ts";
import { eventsAfter, type TopicEvent, type TopicState, topicState, weighEventsAfter } from "./events.ts";

export type Answer =
  | {
      readonly mode: "full";
      readonly reason: "initial" | "ahead" | "gap" | "pruned" | "overflow";
      readonly items: readonly Item[];
      /** The real number, which may be above the items given. */
      readonly total: number;
      readonly version: number;
      /** Everything up to this event is in the answer, nothing after it. */
      readonly through: number;
    }
  | {
      readonly mode: "incremental";
      readonly reason: "up_to_date" | "replay";
      readonly events: readonly TopicEvent[];
      readonly through: number;
    };

/** State, items and events are read at one instant: one read transaction. */
export async function readAnswer(reads: Db, topic: Topic, last: number | undefined): Promise<Answer> {
  reads.run(sql`BEGIN`);
  try {
    const state = topicState(reads, topic.name);
    const incremental = missed(reads, topic, state, last);
    if (typeof incremental !== "string") return incremental;
    const { items, total } = topic.snapshot(reads, topic.snapshotLimit);
    return {
      mode: "full",
      reason: incremental,
      items,
      total,
      version: state.version,
      through: state.lastEventId,
    };
  } finally {
    reads.run(sql`COMMIT`);
  }
}

type FullReason = Extract<Answer, { mode: "full" }>["reason"];
type Incremental = Extract<Answer, { mode: "incremental" }>;

/** First match of the contract's table; a string is the reason for the whole list. */
function missed(
  reads: Db,
  topic: Topic,
  state: TopicState,
  last: number | undefined,
): Incremental | FullReason {
  if (last === undefined) return "initial";
  if (last > state.lastEventId) return "ahead";
  if (last <= state.forceFullThrough) return "gap";
  if (last === state.lastEventId) {
    return { mode: "incremental", reason: "up_to_date", events: [], through: last };
  }
  if (last < state.prunedThroughId) return "pruned";
  // One more than is replayed tells "exactly the limit" from "more".
  const { count, bytes } = weighEventsAfter(reads, topic.name, last, topic.replayLimit + 1);
  if (count > topic.replayLimit || bytes > PAGE_BYTES) return "overflow";
  if (count === 0) return "gap";
  const events = eventsAfter(reads, topic.name, last, topic.replayLimit);
  return { mode: "incremental", reason: "replay", events, through: state.lastEventId };
}

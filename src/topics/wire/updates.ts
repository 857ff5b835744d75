// What a feed and its subscribers tell each other, pure (topics contract, sections 7 and 10).

import type { Item } from "../item.ts";
import type { EventType, TopicEvent } from "../store/events.ts";
import type { Answer } from "../store/replay.ts";

/** The id that a payload names; undefined for everything that asks for the whole list (section 10, rules 1 to 3). */
export function lastEventIdOf(payload: unknown): number | undefined {
  if (typeof payload !== "object" || payload === null) return undefined;
  const { lastEventId } = payload as { lastEventId?: unknown };
  return Number.isSafeInteger(lastEventId) && (lastEventId as number) > 0
    ? (lastEventId as number)
    : undefined;
}

export interface UpdateBody {
  readonly eventId: number;
  readonly type: EventType;
  readonly data: Item;
}

export const updateBody = ({ id, type, data }: TopicEvent): UpdateBody => ({ eventId: id, type, data });

export const initialBody = ({ items, total, version, through }: Extract<Answer, { mode: "full" }>) => ({
  items,
  total,
  version,
  lastEventId: through,
});

export interface AnswerAck {
  readonly ok: true;
  readonly mode: Answer["mode"];
  readonly reason: Answer["reason"];
  /** Items or events that were sent. */
  readonly count: number;
  readonly lastEventId: number;
}

export function answerAck(answer: Answer): AnswerAck {
  const { mode, reason, through } = answer;
  const count = answer.mode === "full" ? answer.items.length : answer.events.length;
  return { ok: true, mode, reason, count, lastEventId: through };
}

// What goes over the wire, pure (topics contract, section 7).
import type { EventType, TopicEvent } from "../store/events.ts";
import type { Answer } from "../store/replay.ts";
import type { Item } from "../topic.ts";

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

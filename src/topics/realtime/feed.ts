// One topic's way to its sockets: live events in id order, each once, and answers to subscribers with neither gap nor double.
import type { Logger } from "pino";
import type { TopicEvent } from "../store/events.ts";
import type { Answer } from "../store/replay.ts";
import type { Topic } from "../topic.ts";
import { type AnswerAck, answerAck, initialBody, lastEventIdOf, updateBody } from "../wire/updates.ts";

/** A subscriber's socket, as far as a feed touches it. */
export interface Subscriber {
  readonly id: string;
  readonly rooms: ReadonlySet<string>;
  emit(event: string, body: unknown): unknown;
  join(room: string): unknown;
}

export interface FeedParts {
  readonly topic: Topic;
  /** Sends to everybody in the topic's room but these sockets. */
  readonly broadcast: (event: string, body: unknown, except: readonly string[]) => void;
  /** Reads an answer at one instant of the committed rows. */
  readonly read: (last: number | undefined) => Promise<Answer>;
  /** Committed events after an id, in id order, at least one if there is any. */
  readonly after: (id: number, limit: number) => Promise<readonly TopicEvent[]>;
  /** The last event when the feed begins: older ones are replayed, not announced. */
  readonly from: number;
  readonly retryMs: number;
  readonly log: Logger;
}

const CATCH_UP = 500;

/*
 * From "asks" to "live" without a gap and without a double, in four phases:
 *
 * 1. Hold.  From now on the socket is left out of the topic's broadcasts, and every event that is announced is queued for it.
 * 2. Read.  One read transaction gives the missed events or a snapshot, and `through`: everything up to this id is in the
 *           answer, nothing after it. Only committed rows are seen, and an event may be committed and not yet announced.
 * 3. Answer. What was read is sent, in id order.
 * 4. Cut over. In one go, with nothing in between: what is queued and after `through` is sent in order, what is not after it
 *           was in the answer and is dropped, and the socket takes part in broadcasts again. If `through` is ahead of the
 *           announcements, broadcasts leave it out until they have passed that id.
 *
 * No gap: an event that the read did not see commits after it, so it is announced after phase 1, and is in the queue or, after
 * phase 4, in a broadcast. No double: what the answer had is dropped from the queue and kept from the socket afterwards, and an
 * event is queued or broadcast, never both, because announcing one event and cutting over are each a single step of the event
 * loop. Ids become visible in order (one writer), so "after `through`" and "not in the answer" are the same.
 *
 * When a broadcast throws, the feed falls behind and catches up from the log. Until it has, what is announced is only noted: sent at
 * once, it would overtake what is still to be sent. Behind ends where everything that was announced has been sent, in the same step
 * that sent the last of it: whatever was committed by then and is not sent is still to be announced. A read may have seen such an
 * event before its announcement; sending skips what was sent.
 *
 * What a socket of an `autoJoin` topic heard before it asked is not remembered: it names the last event it has applied, and is
 * sent everything after that again, so that applying in the order of arrival ends right.
 */
export class Feed {
  readonly #held = new Map<string, TopicEvent[]>();
  /** Sockets whose answer was ahead of the announcements, and how far. */
  readonly #ahead = new Map<string, number>();
  /** Requests of one socket are answered one after another. */
  readonly #turns = new Map<string, Promise<unknown>>();
  /** The last event that was handed to the room. */
  #sent: number;
  /** The last event that the feed was told of. */
  #told: number;
  /** From a broadcast that threw until everything that was told is sent. */
  #isBehind = false;
  #isStopped = false;
  #retry: Timer | undefined;
  /** Events that could not be announced at the first attempt. */
  failures = 0;

  constructor(private readonly parts: FeedParts) {
    this.#sent = parts.from;
    this.#told = parts.from;
  }

  /** To be called once they are durable, in commit order. Never throws: what cannot be sent now is sent later, from the log. */
  announce(events: readonly TopicEvent[]): void {
    this.#told = Math.max(this.#told, events.at(-1)?.id ?? 0);
    if (!this.#isBehind) this.#send(events);
  }

  /**
   * Another node's event: heard here, kept there. It carries the last id of this node's own log, so that nobody's place in that
   * log moves: with the other node's id, a client would later be replayed a list with holes.
   */
  relay({ type, data }: Omit<TopicEvent, "id">): void {
    const { topic, broadcast } = this.parts;
    broadcast(topic.events.update, updateBody({ id: this.#sent, type, data }), [...this.#held.keys()]);
  }

  /** Joins, answers and cuts over. @throws what reading throws; the socket then hears what it would have heard anyway. */
  answer(socket: Subscriber, payload: unknown): Promise<AnswerAck> {
    const turn = (this.#turns.get(socket.id) ?? Promise.resolve()).then(() => this.#answer(socket, payload));
    const settled = turn.catch(() => {});
    this.#turns.set(socket.id, settled);
    void settled.then(() => {
      if (this.#turns.get(socket.id) === settled) this.#turns.delete(socket.id);
    });
    return turn;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#retry);
  }

  async #answer(socket: Subscriber, payload: unknown): Promise<AnswerAck> {
    const { topic } = this.parts;
    const queue: TopicEvent[] = [];
    let through = 0;
    socket.join(topic.room);
    this.#held.set(socket.id, queue);
    try {
      const answer = await this.parts.read(lastEventIdOf(payload));
      through = answer.through;
      if (answer.mode === "full") socket.emit(topic.events.initial, initialBody(answer));
      else for (const event of answer.events) socket.emit(topic.events.update, updateBody(event));
      return answerAck(answer);
    } finally {
      this.#held.delete(socket.id);
      if (through > this.#sent) this.#ahead.set(socket.id, through);
      if (socket.rooms.has(topic.room)) {
        for (const event of queue) {
          if (event.id > through) socket.emit(topic.events.update, updateBody(event));
        }
      }
    }
  }

  /** False when it is behind: what is missing is sent later. */
  #send(events: readonly TopicEvent[]): boolean {
    const { topic, broadcast, log } = this.parts;
    for (const event of events) {
      if (event.id <= this.#sent) continue;
      try {
        broadcast(topic.events.update, updateBody(event), this.#leftOut(event.id));
      } catch (error) {
        this.failures++;
        log.error(
          { err: error, topic: topic.name, eventId: event.id },
          "an event could not be announced; it is stored and will be tried again",
        );
        this.#tryLater();
        return false;
      }
      for (const queue of this.#held.values()) queue.push(event);
      this.#sent = event.id;
    }
    return true;
  }

  #leftOut(id: number): string[] {
    for (const [socket, through] of this.#ahead) if (through < id) this.#ahead.delete(socket);
    return [...this.#held.keys(), ...this.#ahead.keys()];
  }

  async #catchUp(): Promise<void> {
    try {
      while (this.#sent < this.#told) {
        const told = this.#told;
        const events = await this.parts.after(this.#sent, CATCH_UP);
        if (this.#isStopped || !this.#send(events)) return;
        // All that was told before the read is committed: what the read has not was deleted by its age since.
        if (events.length === 0) this.#sent = told;
      }
      this.#isBehind = false;
    } catch (error) {
      // At the end of the server the database may be closed under a read.
      if (this.#isStopped) return;
      this.parts.log.error({ err: error, topic: this.parts.topic.name }, "the event log could not be read");
      this.#tryLater();
    }
  }

  #tryLater(): void {
    this.#isBehind = true;
    if (this.#isStopped) return;
    this.#retry = setTimeout(() => void this.#catchUp(), this.parts.retryMs).unref();
  }
}

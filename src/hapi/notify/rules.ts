// When people are told something of a session (data contract, 11): read off what the hub tells its web clients, so after the commit.
//
// A request is new when it is not among those of the update before. 500 ms after the last new one, the first that waits is told. What is
// known of a session is dropped when it is not at work any more; what people were told of outlives a restart, so that none is told again.
import type { HubEvent } from "../events/event.ts";
import { StoredContent } from "../store/content.ts";
import type { HapiStore } from "../store/contract.ts";
import type { SessionRow } from "../store/rows.ts";
import { agentStateView } from "../wire/agent-state.ts";
import { type FinishedTask, finishedTask, isReady } from "../wire/content.ts";
import { isObject } from "../wire/shape.ts";
import { type Notice, noticeKind } from "./notice.ts";

export interface NotificationRulesParts {
  readonly store: Pick<HapiStore, "findAnySession" | "findTold" | "setTold">;
  readonly isActive: (sessionId: string) => boolean;
  readonly tell: (notice: Notice) => void;
  /** Of what nobody waits for. */
  readonly failed: (error: unknown) => void;
  readonly debounceMs?: number;
  /** Milliseconds of a clock that is never set. */
  readonly steady?: () => number;
}

const DEBOUNCE_MS = 500;
/** An agent that asks for more without a pause is told of after this time. */
const LONGEST_MS = 5_000;
const READY_EVERY_MS = 5_000;
/** Of one session; what it asks for beyond is in the app. */
const MAX_REQUESTS = 256;

interface Watched {
  /** Undefined until it is known of which requests people were told before. */
  seen: ReadonlySet<string> | undefined;
  /** New since people were told. */
  readonly fresh: Set<string>;
  /** By the monotonic clock: when the first of them came, and the last time that it was ready. */
  freshAt: number;
  readyAt: number;
  timer: Timer | undefined;
  /** Whether something is stored of it. */
  isStored: boolean;
}

export class NotificationRules {
  /** Of sessions at work, so never more than there are of those. */
  readonly #watched = new Map<string, Watched>();
  readonly #steady: () => number;

  constructor(private readonly parts: NotificationRulesParts) {
    this.#steady = parts.steady ?? (() => performance.now());
  }

  /** How many sessions are watched. */
  get size(): number {
    return this.#watched.size;
  }

  heard(event: HubEvent): void {
    switch (event.type) {
      case "session-added":
      case "session-updated":
        this.#updated(event.sessionId, event.data);
        break;
      case "session-removed":
        this.#forget(event.sessionId);
        break;
      case "session-ended":
        this.#forget(event.sessionId);
        if (event.reason === "completed") this.#completed(event.sessionId);
        break;
      case "message-received":
        this.#message(event.sessionId, event.message);
        break;
    }
  }

  stop(): void {
    for (const { timer } of this.#watched.values()) clearTimeout(timer);
    this.#watched.clear();
  }

  #updated(id: string, data: object): void {
    const { active, agentState } = data as { active?: unknown; agentState?: unknown };
    if (active === false || !this.parts.isActive(id)) {
      this.#forget(id);
      return;
    }
    const isFull = "agentStateVersion" in data;
    const isKnown = this.#watched.has(id);
    // A patch without the state says nothing about requests; of a session that was not at work before they may be there already.
    if (agentState === undefined && isKnown) return;
    const state = isFull ? agentState : isObject(agentState) ? agentState.value : undefined;
    if (this.#watched.get(id)?.seen !== undefined) this.#waiting(id, idsIn(state));
    else this.#background(this.#firstLook(id));
  }

  /** What is stored is what is true: updates that come during the look are in it, or come after it. */
  async #firstLook(id: string): Promise<void> {
    const watched = this.#watched.get(id) ?? newlyWatched();
    this.#watched.set(id, watched);
    const { store } = this.parts;
    const told = await store.findTold(id);
    const row = await store.findAnySession(id);
    if (this.#watched.get(id) !== watched) return;
    watched.isStored = told.length > 0;
    watched.seen ??= new Set(told);
    if (row !== undefined) this.#waiting(id, idsIn(row.agentState));
  }

  #waiting(id: string, ids: readonly string[]): void {
    const watched = this.#watched.get(id);
    if (watched === undefined) return;
    const { seen, fresh } = watched;
    const more = ids.filter((each) => seen?.has(each) !== true);
    watched.seen = new Set(ids);
    if (more.length === 0) return;
    const now = this.#steady();
    if (fresh.size === 0) watched.freshAt = now;
    for (const each of more) if (fresh.size < MAX_REQUESTS) fresh.add(each);
    clearTimeout(watched.timer);
    const { debounceMs = DEBOUNCE_MS } = this.parts;
    const waitMs = Math.max(0, Math.min(debounceMs, watched.freshAt + LONGEST_MS - now));
    watched.timer = setTimeout(() => this.#background(this.#ask(id, watched)), waitMs);
    watched.timer.unref();
  }

  async #ask(id: string, watched: Watched): Promise<void> {
    const fresh = [...watched.fresh].sort();
    watched.fresh.clear();
    const session = await this.#atWork(id);
    if (session === undefined || this.#watched.get(id) !== watched) return;
    const [first] = Object.entries(agentStateView(session.agentState)?.requests ?? {});
    if (first === undefined) return;
    const [requestId, request] = first;
    watched.isStored = true;
    this.#background(this.parts.store.setTold(id, [...(watched.seen ?? [])]));
    this.parts.tell({
      kind: noticeKind(request.tool),
      session,
      requestId,
      request,
      event: ["request", ...fresh],
    });
  }

  #message(id: string, message: object): void {
    const { content: stored, id: messageId } = message as { content?: unknown; id?: unknown };
    const content = stored instanceof StoredContent ? stored.value : stored;
    const task = finishedTask(content);
    if (task === undefined && !isReady(content)) return;
    if (!this.parts.isActive(id)) return;
    if (task !== undefined) this.#finished(id, task, messageId);
    else this.#ready(id, messageId);
  }

  #finished(id: string, task: FinishedTask, messageId: unknown): void {
    this.#background(
      this.#atWork(id).then((session) => {
        if (session !== undefined)
          this.parts.tell({ kind: "task", session, task, event: ["task", messageId] });
      }),
    );
  }

  #ready(id: string, messageId: unknown): void {
    if (!this.#watched.has(id)) this.#background(this.#firstLook(id));
    const watched = this.#watched.get(id);
    const now = this.#steady();
    if (watched === undefined || now - watched.readyAt < READY_EVERY_MS) return;
    watched.readyAt = now;
    this.#background(
      this.#atWork(id).then((session) => {
        if (session !== undefined) this.parts.tell({ kind: "ready", session, event: ["ready", messageId] });
      }),
    );
  }

  #completed(id: string): void {
    this.#background(
      this.parts.store.findAnySession(id).then((session) => {
        if (session !== undefined)
          this.parts.tell({ kind: "completion", session, event: ["completion", session.presence?.activeAt] });
      }),
    );
  }

  async #atWork(id: string): Promise<SessionRow | undefined> {
    const session = await this.parts.store.findAnySession(id);
    return this.parts.isActive(id) ? session : undefined;
  }

  #forget(id: string): void {
    const watched = this.#watched.get(id);
    if (watched === undefined) return;
    clearTimeout(watched.timer);
    this.#watched.delete(id);
    if (watched.isStored) this.#background(this.parts.store.setTold(id, []));
  }

  #background(work: Promise<unknown>): void {
    work.catch(this.parts.failed);
  }
}

const newlyWatched = (): Watched => ({
  seen: undefined,
  fresh: new Set(),
  freshAt: 0,
  readyAt: Number.NEGATIVE_INFINITY,
  timer: undefined,
  isStored: false,
});

const idsIn = (state: unknown): readonly string[] =>
  Object.keys(agentStateView(state)?.requests ?? {}).slice(0, MAX_REQUESTS);

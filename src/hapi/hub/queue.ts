// Messages that wait for their CLI: taken, given back, in doubt, cancelled, and told again to a CLI that connects anew (hapi-socket 18.2,
// hapi-http-sse C3).
import type { Denied, MessageReceipt, MessageRow, QueuedState, SessionKey } from "../store/rows.ts";
import { messageView } from "../wire/message.ts";
import { isForLater } from "../wire/scheduled.ts";
import { isObject } from "../wire/shape.ts";
import { cancelUpdate, webMessageUpdate } from "../wire/update.ts";
import type { HubCore } from "./core.ts";
import { isShared } from "./live-sessions.ts";
import { denial, type Result } from "./result.ts";
import type { SessionPresenceKeeper } from "./session-presence.ts";

const CANCEL_WITHIN_MS = 500;

export interface Consumed {
  readonly session: SessionKey;
  readonly localIds: readonly string[];
  /** The CLI knows already whether it thinks. */
  readonly clearsHold?: boolean | undefined;
  readonly steered?: boolean | undefined;
}

export type Cancelled =
  | { readonly status: "cancelled" | "busy"; readonly localId: string | null }
  | { readonly status: "invoked"; readonly message: MessageRow };

export class MessageQueue {
  /** CLI sockets that were told what waits for them. */
  readonly #told = new WeakSet<object>();

  constructor(
    private readonly core: HubCore,
    private readonly presence: SessionPresenceKeeper,
  ) {}

  async consumed(consumed: Consumed, socket: object): Promise<"ok" | Denied> {
    const { core } = this;
    const { session, localIds, clearsHold, steered } = consumed;
    if (localIds.length === 0) return "ok";
    const result = await core.store.consumeMessages(
      { session, localIds, touches: true },
      (taken) => {
        if (typeof taken === "string") return;
        if (clearsHold === true) this.presence.release(session.id);
        if (taken.updatedAt !== undefined) core.tellPatch(session, { updatedAt: taken.updatedAt });
        this.#tellConsumed(session, localIds, taken.invokedAt, steered === true);
      },
      socket,
    );
    return typeof result === "string" ? result : "ok";
  }

  /** The ids are told as the CLI gave them, unknown ones too. */
  #tellConsumed(
    { namespace, id }: SessionKey,
    localIds: readonly string[],
    invokedAt: number,
    steered = false,
  ) {
    this.core.events.broadcast({
      type: "messages-consumed",
      namespace,
      sessionId: id,
      localIds,
      invokedAt,
      steered: steered ? true : undefined,
    });
  }

  tell(
    type: "messages-indeterminate" | "messages-requeued",
    { namespace, id }: SessionKey,
    localIds: readonly string[],
  ) {
    this.core.events.broadcast({ type, namespace, sessionId: id, localIds });
  }

  /** Whether the agent has them, nobody knows. */
  async indeterminate(
    session: SessionKey,
    localIds: readonly string[],
    socket: object,
  ): Promise<"ok" | Denied> {
    if (localIds.length === 0) return "ok";
    const result = await this.core.store.setDeliveryState(
      { session, localIds, state: "indeterminate" },
      (set) => {
        if (typeof set !== "string") this.tell("messages-indeterminate", session, localIds);
      },
      socket,
    );
    return typeof result === "string" ? result : "ok";
  }

  /** @returns whether any of them was in another state. */
  async steerState(
    session: SessionKey,
    localIds: readonly string[],
    state: "queued" | "dispatching",
    socket: object,
  ): Promise<boolean | Denied> {
    const result = await this.core.store.setDeliveryState(
      { session, localIds, state },
      (set) => {
        if (typeof set === "string" || set.changed.length === 0 || state !== "queued") return;
        this.tell("messages-requeued", session, set.changed);
      },
      socket,
    );
    return typeof result === "string" ? result : result.changed.length > 0;
  }

  /** The agent's own queue has a message more, another text of one, or (text null) one less. Only of sessions whose agents share them. */
  async native(
    session: SessionKey,
    localId: string,
    text: string | null,
    socket: object,
  ): Promise<"ok" | Denied> {
    const { core } = this;
    const row = await core.store.findSession(session);
    if (typeof row === "string") return row;
    if (!isShared(row.metadata)) return "ok";
    if (text === null) {
      const found = await core.store.findMessage(session, localId);
      if (typeof found !== "string" && found.message !== undefined)
        await this.#delete(session, found.message.id);
      return "ok";
    }
    const meta = { sentFrom: "cli", isNativeQueuedMessage: true };
    const content = { role: "user", content: { type: "text", text }, meta };
    const result = await core.store.appendMessage(
      { session, content, localId, rewords: true },
      (appended) => {
        if (typeof appended === "string") return;
        core.tellAround(session, appended);
        core.events.broadcast({
          type: "message-received",
          namespace: session.namespace,
          sessionId: session.id,
          message: messageView(appended.message),
        });
      },
      socket,
    );
    return typeof result === "string" ? result : "ok";
  }

  async state(session: SessionKey, localIds: readonly string[]): Promise<Result<QueuedState>> {
    const state = await this.core.store.queuedState({ session, localIds });
    return typeof state === "string" ? denial("session", state) : { ok: true, ...state };
  }

  /**
   * Takes back a message that waits, by its id or localId. A CLI that is there is asked first, since it may have it: what it does not
   * say clearly leaves the message in doubt, and it is not handed out again.
   */
  async cancel(session: SessionKey, idOrLocalId: string): Promise<Result<Cancelled>> {
    const { core } = this;
    const found = await core.store.findMessage(session, idOrLocalId);
    if (typeof found === "string") return denial("session", found);
    const { message } = found;
    if (message === undefined) return { ok: true, status: "cancelled", localId: null };
    if (message.invokedAt !== null) return { ok: true, status: "invoked", message };
    const { localId } = message;
    // One that is not due was never handed over.
    const isHandedOver = !isForLater(message.scheduledAt, core.now());
    if (localId !== null && isHandedOver && core.rooms.isConnected({ session: session.id })) {
      const update = cancelUpdate(session.id, idOrLocalId, localId, core.now());
      const answer = verdict(
        await core.rooms.ask({ session: session.id }, update, CANCEL_WITHIN_MS),
        message,
      );
      if (answer === "consumed") return this.takenMeanwhile(session, localId);
      if (answer === "doubt") await this.#doubt(session, localId);
      if (answer !== "removed") return { ok: true, status: "busy", localId };
      return this.#delete(session, idOrLocalId, { gaveBack: true });
    }
    return this.#delete(session, idOrLocalId);
  }

  /** It was taken, and its CLI had not said so. */
  async takenMeanwhile(session: SessionKey, localId: string): Promise<Result<Cancelled>> {
    const { store } = this.core;
    const result = await store.consumeMessages({ session, localIds: [localId] }, (taken) => {
      if (typeof taken !== "string") this.#tellConsumed(session, [localId], taken.invokedAt);
    });
    if (typeof result === "string") return denial("session", result);
    const found = await store.findMessage(session, localId);
    if (typeof found === "string") return denial("session", found);
    return found.message === undefined
      ? { ok: true, status: "cancelled", localId }
      : { ok: true, status: "invoked", message: found.message };
  }

  async #doubt(session: SessionKey, localId: string): Promise<void> {
    await this.core.store.setDeliveryState(
      { session, localIds: [localId], state: "indeterminate" },
      (set) => {
        if (typeof set !== "string" && set.changed.length > 0) {
          this.tell("messages-indeterminate", session, set.changed);
        }
      },
    );
  }

  /** The event names the localId beside what was asked for, but where a CLI gave the message back by it: as clients know it. */
  async #delete(
    session: SessionKey,
    idOrLocalId: string,
    { gaveBack = false } = {},
  ): Promise<Result<Cancelled>> {
    const { core } = this;
    const result = await core.store.cancelMessage(session, idOrLocalId, (cancelled) => {
      if (typeof cancelled === "string" || cancelled.status !== "cancelled") return;
      if (cancelled.message === undefined) return;
      const { localId } = cancelled.message;
      if (cancelled.session !== undefined) core.tellSession(cancelled.session);
      core.events.broadcast({
        type: "message-cancelled",
        namespace: session.namespace,
        sessionId: session.id,
        messageId: idOrLocalId,
        localId: localId === null || (gaveBack && localId === idOrLocalId) ? undefined : localId,
      });
    });
    if (typeof result === "string") return denial("session", result);
    if (result.status === "invoked") return { ok: true, ...result };
    return { ok: true, status: "cancelled", localId: result.message?.localId ?? null };
  }

  /**
   * What waits is told once to each socket of a session, with its first keep-alive: then it listens. A CLI that knows a message does
   * nothing with it, so others in the room are not disturbed.
   */
  async replayOnce(session: SessionKey, socket: object): Promise<void> {
    if (this.#told.has(socket)) return;
    this.#told.add(socket);
    const waiting = await this.core.store.replayMessages(session.id);
    for (const message of waiting) this.#handOver(session.id, message);
  }

  #handOver(sessionId: string, message: MessageRow): void {
    this.core.rooms.update({ session: sessionId }, webMessageUpdate(sessionId, message));
  }
}

/** What a CLI says of a message that it was asked to give back. */
function verdict(
  answer: unknown,
  { deliveryState }: MessageReceipt,
): "removed" | "consumed" | "busy" | "doubt" {
  if (!isObject(answer)) return "doubt";
  if (answer.removed === true) return "removed";
  if (answer.consumed === true) return "consumed";
  if (answer.inFlight === true || answer.indeterminate === true) return "busy";
  // It says for the second time that it does not have it.
  return answer.removed === false && deliveryState === "indeterminate" ? "removed" : "doubt";
}

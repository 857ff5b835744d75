// Messages from both sides: stored, told to the CLI's other sockets or to all of them, and to web clients, in this order and after the
// commit (hapi-socket 6 and 8, hapi-http-sse A9 and C3).
import type { Access, AppendedMessage, Denied, SessionKey } from "../store/rows.ts";
import { boundedContent, isGoalNotice, isUserText, reasoningOf } from "../wire/content.ts";
import {
  type Attachment,
  cliMessageView,
  type DeliveryMode,
  deliveryModeFor,
  messageView,
  type Sender,
  webContent,
} from "../wire/message.ts";
import { claimedTime } from "../wire/presence-rules.ts";
import { isForLater, schedulingFaults } from "../wire/scheduled.ts";
import { teamChange } from "../wire/team.ts";
import { todosIn } from "../wire/todos.ts";
import { cliMessageUpdate, webMessageUpdate } from "../wire/update.ts";
import type { HubCore } from "./core.ts";
import { DONE, denial, INACTIVE, type Result, refusal } from "./result.ts";
import type { SessionPresenceKeeper } from "./session-presence.ts";

export interface CliMessage {
  readonly namespace: string;
  readonly sid: string;
  /** Parsed, when it came as text. */
  readonly content: unknown;
  readonly localId?: string | undefined;
  readonly createdAt?: unknown;
}

export interface PostedMessage {
  readonly session: SessionKey;
  readonly text: string;
  readonly localId?: string | undefined;
  readonly attachments?: readonly Attachment[] | undefined;
  readonly scheduledAt?: number | null | undefined;
  readonly deliveryMode?: DeliveryMode | undefined;
  readonly sentFrom?: Sender | undefined;
}

export class Messages {
  constructor(
    private readonly core: HubCore,
    private readonly presence: SessionPresenceKeeper,
  ) {}

  async fromCli(sent: CliMessage, socket: object): Promise<"ok" | Denied> {
    const { core } = this;
    const session = { namespace: sent.namespace, id: sent.sid };
    if (isGoalNotice(sent.content)) {
      const row = await core.store.findSession(session);
      return typeof row === "string" ? row : "ok";
    }
    const content = boundedContent(sent.content);
    const localId = sent.localId ?? null;
    const claimed = typeof sent.createdAt === "number" ? sent.createdAt : undefined;
    const appended = await core.store.appendMessage(
      {
        session,
        content,
        localId,
        createdAt: claimed === undefined ? undefined : claimedTime(claimed, core.now()),
        reasoning: reasoningOf(content),
        todos: todosIn(content),
        team: teamChange(content),
        touches: isUserText(content),
      },
      (result) => {
        if (typeof result === "string") return;
        core.rooms.update(
          { session: session.id },
          cliMessageUpdate(session.id, result.message, core.now()),
          socket,
        );
        core.tellAround(session, result);
        core.events.broadcast({
          type: "message-received",
          namespace: session.namespace,
          sessionId: session.id,
          message: cliMessageView(result.message),
        });
      },
      socket,
    );
    return typeof appended === "string" ? appended : "ok";
  }

  /** Of a person, for the CLI of a session that is at work. */
  async post(message: PostedMessage): Promise<Result> {
    const { core } = this;
    const { session, text, attachments, localId, scheduledAt = null } = message;
    // One that is at work is known without asking the store, which looks whose it is when it stores the message.
    const live = core.sessions.get(session.id);
    const isAtWork = live?.namespace === session.namespace && live.presence.active;
    const row =
      isAtWork && message.deliveryMode !== "steer" ? undefined : await core.store.findSession(session);
    if (typeof row === "string") return denial("session", row);
    if (!core.isActive(session.id)) return INACTIVE;
    const fieldErrors = schedulingFaults(message, core.now());
    if (fieldErrors !== undefined) return { ...refusal("invalid", "Invalid body"), fieldErrors };
    if (text === "" && (attachments ?? []).length === 0) {
      return refusal("invalid", "Message requires text or attachments");
    }
    const deliveryMode = deliveryModeFor(row?.metadata, message.deliveryMode);
    const content = webContent({ text, attachments }, message.sentFrom ?? "webapp", deliveryMode);
    const appended = await core.store.appendMessage(
      { session, content, localId: localId ?? null, scheduledAt, touches: text !== "" },
      (result) => this.#tellPosted(session, result),
    );
    return typeof appended === "string" ? denial("session", appended) : DONE;
  }

  #tellPosted(session: SessionKey, result: Access<AppendedMessage>): void {
    if (typeof result === "string") return;
    const { core } = this;
    const { message } = result;
    const isLater = isForLater(message.scheduledAt, core.now());
    // A repeat of one that the CLI has taken is shown again, and not done again.
    const isTaken = message.localId !== null && message.invokedAt !== null;
    // Nor of one that the agent may have.
    if (!isLater && !isTaken && message.deliveryState === "queued") {
      core.rooms.update({ session: session.id }, webMessageUpdate(session.id, message));
    }
    core.tellAround(session, result);
    core.events.broadcast({
      type: "message-received",
      namespace: session.namespace,
      sessionId: session.id,
      message: messageView(message),
    });
    if (isLater || isTaken) return;
    const live = core.sessions.get(session.id);
    if (live === undefined) return;
    this.presence.messageQueued(live, result.updatedAt ?? message.createdAt, () => {
      const { thinking, activeTurnStartedAt } = live.presence;
      // A repeat moves nothing: its own time would set clients back.
      if (result.kind === "known") return core.tellPatch(session, { thinking, activeTurnStartedAt });
      const updatedAt = result.updatedAt ?? message.createdAt;
      core.tellPatch(session, { thinking, activeTurnStartedAt, updatedAt });
      core.tellPatch(session, { updatedAt });
    });
  }
}

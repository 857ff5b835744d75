// Going back in a conversation (hapi-http-sse C5): the agent does it first, and only then the messages from there on go, for everybody.
import type { SessionKey } from "../store/rows.ts";
import { objectAt } from "../wire/shape.ts";
import { callCli, errorOf } from "./cli-call.ts";
import type { HubCore } from "./core.ts";
import { denial, INACTIVE, type Result, refusal } from "./result.ts";

const WITHIN = { timeoutMs: 120_000 };
const BUSY = refusal("conflict", "Session is busy");
const HAS_WAITING = refusal("conflict", "Session has queued messages");
const NOT_SUPPORTED = refusal("conflict", "Rewind is not supported for this session");
const NO_BOUNDARY = refusal("conflict", "History boundary message not found or not yet invoked");

export class Rewinding {
  constructor(private readonly core: HubCore) {}

  /** To before this message of a person. */
  async rewind(key: SessionKey, messageLocalId: string): Promise<Result> {
    const { core } = this;
    const row = await core.store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    const live = core.sessions.get(key.id);
    if (live?.presence.active !== true) return INACTIVE;
    if (live.presence.thinking) return BUSY;
    const history = objectAt(objectAt(row.metadata, "capabilities"), "conversationHistory");
    if (history?.rewindToMessage !== true) return NOT_SUPPORTED;
    if ((await core.store.replayMessages(key.id)).length > 0) return HAS_WAITING;
    const found = await core.store.findMessage(key, messageLocalId);
    if (typeof found === "string") return denial("session", found);
    if (found.message?.localId !== messageLocalId || found.message.invokedAt === null) return NO_BOUNDARY;
    const called = await callCli(core, key.id, "rewind-conversation", { messageLocalId }, WITHIN);
    if (!called.ok) return called;
    const { answer } = called;
    if ((answer as { success?: unknown } | null)?.success !== true)
      return refusal("cli", errorOf(answer) ?? "Rewind failed");
    const cut = await core.store.truncateMessages(key, found.message.id, (result) => {
      if (typeof result === "string") return;
      core.events.broadcast({
        type: "messages-invalidated",
        namespace: key.namespace,
        sessionId: key.id,
        reason: "rewind",
        truncateFromLocalId: messageLocalId,
      });
    });
    return typeof cut === "string" ? denial("session", cut) : { ok: true };
  }
}

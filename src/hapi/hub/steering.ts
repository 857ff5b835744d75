// A message that waits, taken into the turn that runs, or given once more to a CLI of which nobody knows whether it has it (hapi-socket
// 18.2 and 18.5, hapi-http-sse C5). A CLI says first that it does not have it: nothing is done twice.
import type { MessageRow, SessionKey, SessionRow } from "../store/rows.ts";
import { flavourOf } from "../wire/flavours.ts";
import { isObject, textAt } from "../wire/shape.ts";
import { cancelUpdate, retryUpdate } from "../wire/update.ts";
import { callCli } from "./cli-call.ts";
import type { HubCore } from "./core.ts";
import type { MessageQueue } from "./queue.ts";
import { denial, INACTIVE, type Result } from "./result.ts";

const WITHIN_MS = 500;
const STEERABLE: ReadonlySet<string> = new Set(["pi", "codex", "cursor"]);
const NOT_STEERABLE = "Steering is only supported for Pi, Codex, and Cursor ACP sessions";

export type Steered =
  | { readonly status: "steered"; readonly localId: string }
  | { readonly status: "failed"; readonly error: string; readonly localId: string | null }
  | { readonly status: "invoked"; readonly message: MessageRow };

export type Retried =
  | { readonly status: "not-found" }
  | { readonly status: "already-queued" | "retried" | "retry-unavailable"; readonly localId: string | null }
  | { readonly status: "invoked"; readonly message: MessageRow };

export class Steering {
  constructor(
    private readonly core: HubCore,
    private readonly queue: MessageQueue,
  ) {}

  async steer(key: SessionKey, idOrLocalId: string): Promise<Result<{ readonly steered: Steered }>> {
    const row = await this.core.store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    if (!this.core.isActive(key.id)) return INACTIVE;
    return { ok: true, steered: await this.#steer(row, idOrLocalId) };
  }

  async #steer(row: SessionRow, idOrLocalId: string): Promise<Steered> {
    if (!STEERABLE.has(flavourOf(row.metadata)))
      return { status: "failed", error: NOT_STEERABLE, localId: null };
    const message = await this.#message(row, idOrLocalId);
    if (message === undefined) return { status: "failed", error: "Message not found", localId: null };
    const { localId } = message;
    if (localId === null || message.invokedAt !== null) return { status: "invoked", message };
    const called = await callCli(this.core, row.id, "steer-queued-message", { localId });
    if (!called.ok) return { status: "failed", error: called.error, localId };
    if (isObject(called.answer) && called.answer.steered === true) return { status: "steered", localId };
    return { status: "failed", error: textAt(called.answer, "error") ?? "Steer failed", localId };
  }

  async retry(key: SessionKey, idOrLocalId: string): Promise<Result<{ readonly retried: Retried }>> {
    const row = await this.core.store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    return { ok: true, retried: await this.#retry(key, idOrLocalId) };
  }

  async #retry(key: SessionKey, idOrLocalId: string): Promise<Retried> {
    const { core } = this;
    const message = await this.#message(key, idOrLocalId);
    if (message === undefined) return { status: "not-found" };
    const { localId } = message;
    if (localId === null || message.invokedAt !== null) return { status: "invoked", message };
    if (message.deliveryState === "queued") return { status: "already-queued", localId };
    const room = { session: key.id };
    const unavailable = { status: "retry-unavailable", localId } as const;
    if (!core.rooms.isConnected(room)) return unavailable;
    const cancel = cancelUpdate(key.id, idOrLocalId, localId, core.now());
    const given = await core.rooms.ask(room, cancel, WITHIN_MS);
    if (!isObject(given)) return unavailable;
    if (given.consumed === true) return this.#taken(key, localId);
    if (given.inFlight === true || given.indeterminate === true) return unavailable;
    const again = retryUpdate(key.id, { ...message, localId }, core.now());
    const answer = await core.rooms.ask(room, again, WITHIN_MS);
    if (isObject(answer) && answer.consumed === true) return this.#taken(key, localId);
    if (!isObject(answer) || answer.accepted !== true) {
      this.queue.tell("messages-indeterminate", key, [localId]);
      return unavailable;
    }
    const requeued = await core.store.requeueMessage(key, localId, (result) => {
      if (typeof result !== "string" && result.status === "requeued")
        this.queue.tell("messages-requeued", key, [localId]);
    });
    if (typeof requeued === "string" || requeued.status === "unknown") return { status: "not-found" };
    return requeued.status === "invoked"
      ? { status: "invoked", message: requeued.message }
      : { status: "retried", localId };
  }

  async #taken(key: SessionKey, localId: string): Promise<Retried> {
    await this.queue.takenMeanwhile(key, localId);
    const message = await this.#message(key, localId);
    return message === undefined ? { status: "not-found" } : { status: "invoked", message };
  }

  async #message(key: SessionKey, idOrLocalId: string): Promise<MessageRow | undefined> {
    const found = await this.core.store.findMessage(key, idOrLocalId);
    return typeof found === "string" ? undefined : found.message;
  }
}

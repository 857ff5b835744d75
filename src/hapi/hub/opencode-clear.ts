// OpenCode's /clear (hapi-probed, "Opencode clear"), in steps that its CLI goes through: it reserves the session that goes on in its place,
// says that OpenCode's own session is gone, archives itself, and has the replacement started. Each step can be repeated; what still
// waits for the old one waits for the new one once that is started.
import type { SessionKey, SessionRow } from "../store/rows.ts";
import { metadataView, withKeys } from "../wire/metadata.ts";
import {
  type ClearOperation,
  type ClearState,
  canBeCleared,
  clearOperation,
  OPERATION,
  replacementMetadata,
  wasCleared,
} from "../wire/opencode-clear.ts";
import { textAt } from "../wire/shape.ts";
import { webMessageUpdate } from "../wire/update.ts";
import type { HubCore } from "./core.ts";
import { denial, type Refusal, type Result, refusal } from "./result.ts";
import type { Sessions } from "./sessions.ts";
import type { Spawning } from "./spawn.ts";

const NOT_RUNNING = refusal("clear-unavailable", "Session is not an active runner-backed OpenCode session");
const NO_RESERVATION = refusal("clear-unavailable", "Clear reservation not found");
const NOT_ABORTED = refusal("link-failed", "Could not abort clear reservation");
const NOT_CONFIRMED = refusal("link-failed", "Could not confirm clear cleanup");
const NO_SOURCE = refusal("clear-unavailable", "Session must be an archived OpenCode clear source");
const NOT_CLEAN = refusal("clear-unavailable", "Native OpenCode cleanup is not confirmed");
const NO_MACHINE = refusal("no-machine", "No machine online");

export type Cleared = Result<{ readonly sessionId: string }>;

export interface OpencodeClearParts {
  readonly core: HubCore;
  readonly sessions: Sessions;
  readonly spawning: Spawning;
}

export class OpencodeClearing {
  /** By session: two that ask at once get one agent. */
  readonly #underWay = new Map<string, Promise<Cleared>>();
  readonly #core: HubCore;

  constructor(private readonly parts: OpencodeClearParts) {
    this.#core = parts.core;
  }

  /** @returns the session that will go on. */
  async reserve(key: SessionKey): Promise<Cleared> {
    const row = await this.#core.store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    if (!this.#core.isActive(key.id) || !canBeCleared(row.metadata)) return NOT_RUNNING;
    const known = clearOperation(row.metadata);
    const isHeld = known?.state === "reserved" || known?.state === "cleanup-confirmed";
    const replacement = isHeld ? known.replacementSessionId : crypto.randomUUID();
    if (!isHeld) await this.#write(key, replacement, "reserved");
    return (await this.#open(row, replacement)) ?? { ok: true, sessionId: replacement };
  }

  /** The session stays, and its replacement goes. */
  async abort(key: SessionKey, replacementSessionId: string): Promise<Cleared> {
    const found = await this.#reservation(key, replacementSessionId, NOT_ABORTED);
    if (!found.ok) return found;
    const { state } = found.operation;
    if (state !== "reserved" && state !== "cleanup-confirmed" && state !== "aborted") return NOT_ABORTED;
    if (state !== "aborted") {
      await this.#write(key, replacementSessionId, "aborted");
      await this.parts.sessions.delete({ namespace: key.namespace, id: replacementSessionId });
    }
    return { ok: true, sessionId: key.id };
  }

  /** OpenCode's own session is gone. */
  async confirm(key: SessionKey, replacementSessionId: string): Promise<Cleared> {
    const found = await this.#reservation(key, replacementSessionId, NOT_CONFIRMED);
    if (!found.ok) return found;
    const { state } = found.operation;
    if (state === "aborted") return NOT_CONFIRMED;
    if (state === "reserved") await this.#write(key, replacementSessionId, "cleanup-confirmed");
    return { ok: true, sessionId: replacementSessionId };
  }

  /** Starts the replacement of a session that archived itself. */
  async finish(key: SessionKey): Promise<Cleared> {
    const row = await this.#core.store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    if (this.#core.isActive(key.id) || !wasCleared(row.metadata)) return NO_SOURCE;
    const operation = clearOperation(row.metadata);
    if (operation === undefined || operation.state === "reserved" || operation.state === "aborted")
      return NOT_CLEAN;
    const { replacementSessionId } = operation;
    if (operation.state === "completed") return { ok: true, sessionId: replacementSessionId };
    const underWay = this.#underWay.get(key.id);
    if (underWay !== undefined) return underWay;
    const finished = this.#finish(row, operation).finally(() => this.#underWay.delete(key.id));
    this.#underWay.set(key.id, finished);
    return finished;
  }

  async #finish(row: SessionRow, { replacementSessionId, state }: ClearOperation): Promise<Cleared> {
    await this.#write(row, replacementSessionId, state === "failed" ? "pending" : "finalizing");
    const refused =
      (await this.#open(row, replacementSessionId)) ?? (await this.#spawn(row, replacementSessionId));
    if (refused !== undefined) {
      await this.#write(row, replacementSessionId, "failed", { error: refused.error });
      return refused;
    }
    await this.#handOver(row, replacementSessionId);
    await this.#write(row, replacementSessionId, "completed", { isSuperseded: true });
    return { ok: true, sessionId: replacementSessionId };
  }

  async #reservation(
    key: SessionKey,
    replacementSessionId: string,
    isOther: Refusal,
  ): Promise<Result<{ readonly operation: ClearOperation }>> {
    const row = await this.#core.store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    const operation = clearOperation(row.metadata);
    if (operation === undefined) return NO_RESERVATION;
    return operation.replacementSessionId === replacementSessionId ? { ok: true, operation } : isOther;
  }

  async #open(row: SessionRow, id: string): Promise<Refusal | undefined> {
    const { namespace, model, modelReasoningEffort, effort, metadata } = row;
    const opened = await this.parts.sessions.open({
      namespace,
      id,
      tag: `opencode-clear:${id}`,
      metadata: replacementMetadata(metadata),
      model: model ?? undefined,
      modelReasoningEffort: modelReasoningEffort ?? undefined,
      effort: effort ?? undefined,
    });
    return opened.ok ? undefined : opened;
  }

  async #spawn(row: SessionRow, sessionId: string): Promise<Refusal | undefined> {
    const core = this.#core;
    const [directory, id] = [textAt(row.metadata, "path"), textAt(row.metadata, "machineId")];
    if (!directory || !id || core.machines.get(id)?.presence.active !== true) return NO_MACHINE;
    const machine = await core.store.findMachine({ namespace: row.namespace, id });
    if (typeof machine === "string") return NO_MACHINE;
    const spawned = await this.parts.spawning.ask(id, {
      directory,
      agent: "opencode",
      model: row.model ?? undefined,
      modelReasoningEffort: row.modelReasoningEffort ?? undefined,
      effort: row.effort ?? undefined,
      permissionMode:
        core.sessions.presenceOf(row).permissionMode ?? metadataView(row.metadata)?.preferredPermissionMode,
      sessionId,
    });
    return spawned.type === "error" ? refusal("spawn-failed", spawned.message) : undefined;
  }

  async #handOver({ namespace, id: from }: SessionRow, into: string): Promise<void> {
    const { store, rooms, events } = this.#core;
    const moved = await store.moveWaitingMessages({ namespace, from, into }, (result) => {
      if (typeof result === "string" || result.messages.length === 0) return;
      for (const message of result.messages) {
        if (message.scheduledAt === null && message.deliveryState === "queued")
          rooms.update({ session: into }, webMessageUpdate(into, message));
      }
      for (const sessionId of [from, into])
        events.broadcast({ type: "messages-invalidated", namespace, sessionId });
    });
    if (typeof moved === "string" || moved.messages.length === 0) return;
    for (const id of [from, into]) {
      const row = await store.findSession({ namespace, id });
      if (typeof row !== "string") this.#core.tellSession(row);
    }
  }

  async #write(
    key: SessionKey,
    replacementSessionId: string,
    state: ClearState,
    { error, isSuperseded = false }: { readonly error?: string; readonly isSuperseded?: boolean } = {},
  ): Promise<void> {
    const core = this.#core;
    const operation: ClearOperation = { replacementSessionId, state, updatedAt: core.now(), error };
    const keys = {
      [OPERATION]: operation,
      ...(isSuperseded && { supersededBySessionId: replacementSessionId }),
    };
    const edit = (stored: unknown) => withKeys(stored, keys);
    await core.store.editMetadata({ key, edit, touches: false }, (result) => {
      if (typeof result === "string" || result.kind !== "changed") return;
      core.tellSession(result.row);
      // The CLI was not told, and what it writes next is not refused for that.
      core.sessions.get(key.id)?.noteOwnVersion(result.row.metadataVersion);
    });
  }
}

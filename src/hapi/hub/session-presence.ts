// Whether a session is at work, as its CLI says every 2 s: what of it is stored, and what is told (hapi-socket 10, hapi-http-sse A8).
// Transitions are stored before they are told; a keep-alive that changes nothing writes nothing. No message row is touched.
import type { Denied, SessionPresence, SessionRow } from "../store/rows.ts";
import { withKeys } from "../wire/metadata.ts";
import { claimedTime, SESSION_GONE_MS, TELL_AGAIN_MS, THINKING_HOLD_MS } from "../wire/presence-rules.ts";
import { alivePatch, EXPIRED_PATCH, type Models } from "../wire/session-patches.ts";
import { isObject } from "../wire/shape.ts";
import type { HubCore } from "./core.ts";
import { type LiveSession, PREFERRED } from "./live-sessions.ts";
import type { Merging } from "./merging.ts";
import { SkewedClocks } from "./skewed-clocks.ts";

/** A keep-alive; every member but the first two is whatever came, and counts only if it is of the right type. */
export interface SessionAlive {
  readonly namespace: string;
  readonly sid: string;
  readonly time: number;
  readonly thinking?: unknown;
  readonly permissionMode?: unknown;
  readonly collaborationMode?: unknown;
  readonly copilotAgentMode?: unknown;
  readonly model?: unknown;
  readonly modelReasoningEffort?: unknown;
  readonly effort?: unknown;
  readonly serviceTier?: unknown;
}

/** A keep-alive that was on its way when the web changed something arrives within this. */
const ON_ITS_WAY_MS = 10_000;
const MAX_NAME = 256;

const name = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" && value.length <= MAX_NAME ? value : undefined;
const nameOrNull = (value: unknown): string | null | undefined => (value === null ? null : name(value));
const oneOf =
  (...words: readonly string[]) =>
  (value: unknown): string | undefined =>
    words.find((word) => word === value);
const collaborationMode = oneOf("default", "plan");
const copilotAgentMode = oneOf("interactive", "plan", "autopilot");

export class SessionPresenceKeeper {
  readonly #clocks = new SkewedClocks();

  constructor(
    private readonly core: HubCore,
    private readonly merging: Merging,
  ) {}

  /** The namespace's own session was heard. */
  async alive(heard: SessionAlive): Promise<"ok" | Denied> {
    const { core } = this;
    let live = core.sessions.get(heard.sid);
    if (live === undefined) {
      const row = await core.store.findSession({ namespace: heard.namespace, id: heard.sid });
      if (typeof row === "string") return row;
      const at = this.#timeOf(heard);
      if (at === undefined) return "ok";
      live = core.sessions.add(row, core.steady());
      this.#hear(live, heard, at);
      return "ok";
    }
    if (live.namespace !== heard.namespace) return "access-denied";
    const at = this.#timeOf(heard);
    if (at !== undefined) this.#hear(live, heard, at);
    return "ok";
  }

  #timeOf({ sid, time }: SessionAlive): number | undefined {
    const now = this.core.now();
    return claimedTime(time, now) ?? (this.#clocks.isNow(sid, time, this.core.steady()) ? now : undefined);
  }

  #hear(live: LiveSession, heard: SessionAlive, at: number): void {
    const { core } = this;
    const now = core.steady();
    const before = live.presence;
    live.heardAt = now;
    // It was sent before what the web changed reached the CLI: it does not know of it.
    const isOutdated =
      live.configured !== undefined &&
      now - live.configured.steady < ON_ITS_WAY_MS &&
      at < live.configured.at;
    const modes: Partial<SessionAlive> = isOutdated ? {} : heard;
    const thinking = this.#thinking(live, heard.thinking === true, now);
    const presence: SessionPresence = {
      active: true,
      activeAt: Math.max(before.activeAt, at),
      thinking,
      thinkingAt: at,
      activeTurnStartedAt: thinking ? before.activeTurnStartedAt : null,
      backgroundTaskCount: before.backgroundTaskCount,
      permissionMode: name(modes.permissionMode) ?? before.permissionMode,
      collaborationMode: collaborationMode(modes.collaborationMode) ?? before.collaborationMode,
      copilotAgentMode: copilotAgentMode(modes.copilotAgentMode) ?? before.copilotAgentMode,
    };
    live.presence = presence;
    if (!before.active) core.sessions.moved();
    this.merging.heard(live);
    const models = changedModels(live.models, modes);
    const isTransition = !isSame(before, presence);
    if (!isTransition && models === undefined && now - live.toldAt <= TELL_AGAIN_MS) return;
    live.toldAt = now;
    if (models !== undefined) this.#storeModels(live, models, !isTransition);
    if (isTransition) {
      this.#storePreferred(live);
      this.store(live, () => this.#tell(live));
    } else if (models === undefined) this.#tell(live);
  }

  /** While a message is on its way to the CLI, it counts as thinking though it does not know yet. Once it does, its word counts again. */
  #thinking(live: LiveSession, reported: boolean, now: number): boolean {
    if (reported) {
      live.heldUntil = Number.NEGATIVE_INFINITY;
      return true;
    }
    return live.presence.thinking && now < live.heldUntil;
  }

  #tell(live: LiveSession): void {
    if (live.presence.active) this.core.tellPatch(live, alivePatch(live.presence, live.models));
  }

  #storeModels(live: LiveSession, models: Partial<Models>, isTold: boolean): void {
    const { core } = this;
    core.inBackground(
      core.store.setSessionColumns(live, models, (result) => {
        if (typeof result === "string") return;
        live.note(result.row);
        if (isTold) this.#tell(live);
      }),
      "the models of a session could not be stored",
    );
  }

  /** Modes outlive the process in the session's metadata, under keys of the hub's own; everything else in there stays as it is. */
  #storePreferred(live: LiveSession): void {
    const keys: Record<string, string> = {};
    const { permissionMode, copilotAgentMode } = live.presence;
    if (permissionMode !== null && permissionMode !== live.preferred.permissionMode) {
      keys[PREFERRED.permissionMode] = permissionMode;
    }
    if (copilotAgentMode !== null && copilotAgentMode !== live.preferred.copilotAgentMode) {
      keys[PREFERRED.copilotAgentMode] = copilotAgentMode;
    }
    if (Object.keys(keys).length === 0) return;
    const { core } = this;
    core.inBackground(
      core.store.editMetadata(
        {
          key: live,
          edit: (stored) => (isObject(stored) ? withKeys(stored, keys) : undefined),
          touches: false,
        },
        (result) => {
          if (typeof result === "string") return;
          live.note(result.row);
          if (result.kind === "changed") live.noteOwnVersion(result.row.metadataVersion);
        },
      ),
      "the modes of a session could not be stored",
    );
  }

  /** Stores what it is now; `announce` after the commit. */
  store(live: LiveSession, announce: () => void): void {
    const { core } = this;
    core.inBackground(
      core.store.storePresence({ sessions: [{ id: live.id, presence: live.presence }] }, announce),
      "the presence of a session could not be stored",
    );
  }

  /** A message waits for its CLI: it counts as thinking from now on (hapi-socket 18.2). @param at its time. */
  messageQueued(live: LiveSession, at: number, announce: () => void): void {
    const { presence } = live;
    live.heldUntil = this.core.steady() + THINKING_HOLD_MS;
    // Since when it thinks it has said, or nobody knows.
    if (presence.thinking) {
      announce();
      return;
    }
    live.presence = { ...presence, thinking: true, thinkingAt: at, activeTurnStartedAt: at };
    this.store(live, announce);
  }

  /** Its word counts again at once. */
  release(id: string): void {
    const live = this.core.sessions.get(id);
    if (live !== undefined) live.heldUntil = Number.NEGATIVE_INFINITY;
  }

  /** As stored before the restart, with the whole grace to be heard in. */
  restore(row: SessionRow): void {
    const live = this.core.sessions.add(row, this.core.steady());
    if (row.presence !== undefined) live.presence = row.presence;
  }

  /** Who was not heard for too long is not there. */
  sweep(): void {
    const { core } = this;
    const now = core.steady();
    this.#clocks.forget(now);
    const gone = [...core.sessions.all].filter(({ heardAt }) => now - heardAt > SESSION_GONE_MS);
    if (gone.length === 0) return;
    for (const live of gone) {
      core.sessions.delete(live.id);
      live.presence = {
        ...live.presence,
        active: false,
        thinking: false,
        activeTurnStartedAt: null,
        backgroundTaskCount: 0,
      };
    }
    const sessions = gone.map(({ id, presence }) => ({ id, presence }));
    core.inBackground(
      core.store.storePresence({ sessions }, () => {
        for (const live of gone) {
          core.tellPatch(live, EXPIRED_PATCH);
          if (live.agentSession !== undefined) this.merging.look(live);
        }
      }),
      "that sessions are gone could not be stored",
    );
  }
}

const isSame = (a: SessionPresence, b: SessionPresence): boolean =>
  a.active === b.active &&
  a.thinking === b.thinking &&
  a.permissionMode === b.permissionMode &&
  a.collaborationMode === b.collaborationMode &&
  a.copilotAgentMode === b.copilotAgentMode;

const MODELS = ["model", "modelReasoningEffort", "effort", "serviceTier"] as const;

function changedModels(
  stored: Models,
  heard: Partial<Record<keyof Models, unknown>>,
): Partial<Models> | undefined {
  const changed = MODELS.flatMap((key) => {
    const value = nameOrNull(heard[key]);
    return value === undefined || value === stored[key] ? [] : [[key, value] as const];
  });
  return changed.length === 0 ? undefined : Object.fromEntries(changed);
}

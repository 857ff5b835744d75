// The sessions that a CLI keeps alive now. One is here from its first keep-alive until it ended or was not heard for long enough, so
// there are never more than there are sessions at work. Spans are by the monotonic clock.
import type { SessionPresence, SessionRow } from "../store/rows.ts";
import { agentSession } from "../wire/flavours.ts";
import type { Models } from "../wire/session-patches.ts";
import { isObject, textAt } from "../wire/shape.ts";

export const ABSENT: SessionPresence = {
  active: false,
  activeAt: 0,
  thinking: false,
  thinkingAt: 0,
  activeTurnStartedAt: null,
  backgroundTaskCount: 0,
  permissionMode: null,
  collaborationMode: null,
  copilotAgentMode: null,
};

const modelsOf = ({ model, modelReasoningEffort, effort, serviceTier }: SessionRow): Models => ({
  model,
  modelReasoningEffort,
  effort,
  serviceTier,
});

/** Keys of the metadata that the hub writes from keep-alives, by the member of a keep-alive that they come from. */
export const PREFERRED = {
  permissionMode: "preferredPermissionMode",
  copilotAgentMode: "preferredCopilotAgentMode",
} as const;

export class LiveSession {
  readonly id: string;
  readonly namespace: string;
  presence: SessionPresence;
  models: Models;
  /** As stored: what a keep-alive says again is not written again. */
  preferred: { permissionMode: string | undefined; copilotAgentMode: string | undefined };
  /** Monotonic: the last keep-alive, and the last one that was told. */
  heardAt: number;
  toldAt = Number.NEGATIVE_INFINITY;
  /** Monotonic: until when it counts as thinking whatever its CLI says, because a message is on its way to it. */
  heldUntil = Number.NEGATIVE_INFINITY;
  /** The last change by the web, by wall clock and monotonic: a keep-alive from before it says nothing of what was changed. */
  configured: { readonly at: number; readonly steady: number } | undefined;
  /** Which session of its agent it is, as stored, and for which one its twins were looked for. */
  agentSession: string | undefined;
  lookedFor: string | undefined;
  /** Versions that only the hub's own keys made, and which the CLI was not told of: (from, to]. */
  ownVersions: { readonly from: number; readonly to: number } | undefined;

  constructor(row: SessionRow, heardAt: number) {
    this.id = row.id;
    this.namespace = row.namespace;
    this.presence = { ...(row.presence ?? ABSENT), active: false };
    if (this.presence.activeAt === 0) this.presence = { ...this.presence, activeAt: row.createdAt };
    this.heardAt = heardAt;
    this.models = modelsOf(row);
    this.preferred = preferredIn(row);
    this.agentSession = agentSession(row.metadata);
  }

  note(row: SessionRow): void {
    this.models = modelsOf(row);
    this.agentSession = agentSession(row.metadata);
    this.preferred = preferredIn(row);
  }

  /** `version` differs from the one before only by keys of the hub. */
  noteOwnVersion(version: number): void {
    const from = this.ownVersions?.to === version - 1 ? this.ownVersions.from : version - 1;
    this.ownVersions = { from, to: version };
  }

  /** Whether all that lies between what a CLI knows and what is stored are keys of the hub. */
  isOwnGap(known: number, stored: number): boolean {
    const own = this.ownVersions;
    return own !== undefined && own.to === stored && known >= own.from && known < stored;
  }
}

const preferredIn = ({ metadata }: SessionRow): LiveSession["preferred"] => ({
  permissionMode: textAt(metadata, PREFERRED.permissionMode),
  copilotAgentMode: textAt(metadata, PREFERRED.copilotAgentMode),
});

export class LiveSessions {
  readonly #byId = new Map<string, LiveSession>();
  /** Who waits for a session to come or to go; each waits for a bounded time. */
  readonly #waiting = new Set<() => boolean>();

  get(id: string): LiveSession | undefined {
    return this.#byId.get(id);
  }

  get all(): Iterable<LiveSession> {
    return this.#byId.values();
  }

  get size(): number {
    return this.#byId.size;
  }

  add(row: SessionRow, heardAt: number): LiveSession {
    const known = this.#byId.get(row.id);
    if (known !== undefined) return known;
    const live = new LiveSession(row, heardAt);
    this.#byId.set(row.id, live);
    return live;
  }

  delete(id: string): void {
    this.#byId.delete(id);
    this.moved();
  }

  /** Somebody came or went. */
  moved(): void {
    for (const look of [...this.#waiting]) if (look()) this.#waiting.delete(look);
  }

  /** Whether a session of the namespace is at work before the time is over. */
  whenActive(id: string, namespace: string, withinMs: number): Promise<boolean> {
    return this.#when(() => {
      const live = this.#byId.get(id);
      return live?.namespace === namespace && live.presence.active;
    }, withinMs);
  }

  whenGone(id: string, withinMs: number): Promise<boolean> {
    return this.#when(() => this.#byId.get(id)?.presence.active !== true, withinMs);
  }

  #when(isSo: () => boolean, withinMs: number): Promise<boolean> {
    if (isSo()) return Promise.resolve(true);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const look = () => {
      if (!isSo()) return false;
      clearTimeout(timer);
      resolve(true);
      return true;
    };
    const timer = setTimeout(() => {
      this.#waiting.delete(look);
      resolve(false);
    }, withinMs);
    timer.unref();
    this.#waiting.add(look);
    return promise;
  }

  /** Nobody waits any longer for who will not come. */
  stop(): void {
    this.#waiting.clear();
  }

  /** Models and modes of a row that was just stored. */
  note(row: SessionRow): void {
    this.#byId.get(row.id)?.note(row);
  }

  /** Who is not here is not there, whatever its row says: that is how another hub, or a crash, left it. */
  presenceOf(row: SessionRow): SessionPresence {
    const live = this.#byId.get(row.id);
    if (live !== undefined) return live.presence;
    const stored = row.presence;
    if (stored === undefined) return { ...ABSENT, activeAt: row.createdAt };
    return stored.active || stored.thinking
      ? { ...stored, active: false, thinking: false, activeTurnStartedAt: null, backgroundTaskCount: 0 }
      : stored;
  }
}

/** Whether agents of this session share it with others, so that its end and its queue are not one process's alone. */
export const isShared = (metadata: unknown): boolean =>
  isObject(metadata) && isObject(metadata.capabilities) && metadata.capabilities.concurrentClients === true;

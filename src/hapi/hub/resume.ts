// Going on with a session whose CLI has gone: an agent is started again on a machine that is there, and if it comes back under a new id
// the old session's history goes over to it (hapi-socket 12, hapi-http-sse C3).
import type { MachineRow, SessionKey, SessionRow } from "../store/rows.ts";
import { agentSessionId, flavourOf, isFlavour } from "../wire/flavours.ts";
import { metadataView, type SessionMetadata, withKeys } from "../wire/metadata.ts";
import { isReplaced } from "../wire/opencode-clear.ts";
import { isObject, textAt } from "../wire/shape.ts";
import { modeRefusal, NO_SUCH_MODE } from "./config.ts";
import type { HubCore } from "./core.ts";
import type { Merging } from "./merging.ts";
import { denial, type Refusal, type Result, refusal } from "./result.ts";
import type { Spawning } from "./spawn.ts";

const WITHIN_MS = 15_000;

const NO_PATH = refusal("resume-unavailable", "Session metadata missing path");
const REPLACED = refusal("resume-unavailable", "This OpenCode session was replaced by /clear");
const NO_MACHINE = refusal("no-machine", "No machine online");
const NO_ID = refusal(
  "resume-unavailable",
  "Resume session ID unavailable. Start a new session in this directory, or retry after the agent has initialized.",
);
const NO_CURSOR_ID: Refusal = {
  ...refusal(
    "incomplete",
    "Cursor session id is missing from metadata; reopen requires the original cursor chat id",
  ),
  missing: ["cursorSessionId"],
};
const NOT_ACTIVE = refusal("resume-failed", "Session failed to become active");
const CHANGED = refusal("conflict", "Session was modified concurrently. Please try again.");

export type Resumed = Result<{ readonly sessionId: string }>;
export type Reopened = Result<{
  readonly sessionId: string;
  readonly resumed: boolean;
  readonly cursorSessionProtocol?: string | undefined;
}>;

/** Of the metadata, that say that a session is over. */
const ARCHIVE_KEYS = ["lifecycleState", "lifecycleStateSince", "archivedBy", "archiveReason"] as const;

export interface ResumeParts {
  readonly core: HubCore;
  readonly merging: Merging;
  readonly spawning: Spawning;
  /** How long a session that was started again has to be heard. */
  readonly withinMs?: number;
}

export class Resuming {
  /** Under way, by session: two who ask at once get one agent. */
  readonly #underWay = new Map<string, Promise<Resumed>>();
  readonly #core: HubCore;

  constructor(private readonly parts: ResumeParts) {
    this.#core = parts.core;
  }

  /** @returns the id to use from now on. */
  async resume(key: SessionKey, permissionMode?: string): Promise<Resumed> {
    const row = await this.#core.store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    const refused = permissionMode === undefined ? undefined : modeRefusal(row.metadata, permissionMode);
    if (refused !== undefined) return NO_SUCH_MODE;
    if (this.#core.isActive(key.id)) return { ok: true, sessionId: key.id };
    const underWay = this.#underWay.get(key.id);
    if (underWay !== undefined) return underWay;
    const resumed = this.#start(row, permissionMode).finally(() => this.#underWay.delete(key.id));
    this.#underWay.set(key.id, resumed);
    return resumed;
  }

  async #start(row: SessionRow, permissionMode: string | undefined): Promise<Resumed> {
    const core = this.#core;
    if (isReplaced(row.metadata)) return REPLACED;
    const metadata = metadataView(row.metadata);
    if (metadata === null || metadata.path === "") return NO_PATH;
    const resumeSessionId = agentSessionId(metadata);
    if (resumeSessionId === undefined && row.hasConversationContent) return NO_ID;
    const machine = await this.#machineFor(row.namespace, metadata);
    if (machine === undefined) return NO_MACHINE;
    const spawned = await this.parts.spawning.ask(machine.id, {
      directory: metadata.path,
      agent: isFlavour(metadata.flavor) ? metadata.flavor : "claude",
      model: row.model ?? undefined,
      effort: row.effort ?? undefined,
      modelReasoningEffort: row.modelReasoningEffort ?? undefined,
      permissionMode:
        permissionMode ?? core.sessions.presenceOf(row).permissionMode ?? metadata.preferredPermissionMode,
      resumeSessionId,
      sessionId: row.id,
    });
    if (spawned.type === "error") return refusal("resume-failed", spawned.message);
    const { sessionId } = spawned;
    const isThere = await core.sessions.whenActive(
      sessionId,
      row.namespace,
      this.parts.withinMs ?? WITHIN_MS,
    );
    if (!isThere) return NOT_ACTIVE;
    return sessionId === row.id ? { ok: true, sessionId } : this.#merge(row, sessionId);
  }

  /** The session's own, else one of the same host. */
  async #machineFor(namespace: string, metadata: SessionMetadata): Promise<MachineRow | undefined> {
    const core = this.#core;
    const rows = await core.store.listMachines(namespace);
    const present = rows.filter(({ id }) => core.machines.get(id)?.presence.active === true);
    return (
      present.find(({ id }) => id === metadata.machineId) ??
      present.find((machine) => textAt(machine.metadata, "host") === metadata.host)
    );
  }

  async #merge(old: SessionRow, into: string): Promise<Resumed> {
    const { core, merging } = this.parts;
    const { namespace } = old;
    const merged = await merging.merge({ namespace, from: old.id, into });
    if (typeof merged !== "string") return { ok: true, sessionId: into };
    // The same agent session says so too, and that may have been heard before: then the old one has gone into the new one already.
    const row = await core.store.findSession({ namespace, id: into });
    return typeof row === "string"
      ? refusal("resume-failed", "Session not found")
      : { ok: true, sessionId: into };
  }

  /** Also of an archived one: it is archived again if it does not come back. */
  async reopen(key: SessionKey): Promise<Reopened> {
    const core = this.#core;
    const row = await core.store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    const cursorSessionProtocol = textAt(row.metadata, "cursorSessionProtocol");
    if (core.isActive(key.id)) return { ok: true, sessionId: key.id, resumed: false, cursorSessionProtocol };
    const isArchived = textAt(row.metadata, "lifecycleState") === "archived";
    if (isArchived && row.hasConversationContent && lacksCursorId(row.metadata)) return NO_CURSOR_ID;
    if (isArchived && this.#underWay.get(key.id) === undefined) {
      const refused = await this.#unarchive(row);
      if (refused !== undefined) return refused;
    }
    const resumed = await this.resume(key);
    if (resumed.ok) return { ok: true, sessionId: resumed.sessionId, resumed: true, cursorSessionProtocol };
    if (isArchived) await this.#archiveAgain(row);
    return resumed;
  }

  async #unarchive(row: SessionRow): Promise<Refusal | undefined> {
    const cleared = {
      ...Object.fromEntries(ARCHIVE_KEYS.map((key) => [key, undefined])),
      lifecycleStateSince: this.#core.now(),
    };
    const edited = await this.#core.store.editMetadata(
      { key: row, expectedVersion: row.metadataVersion, edit: (stored) => withKeys(stored, cleared) },
      (result) => {
        if (typeof result !== "string" && result.kind === "changed") this.#core.tellSession(result.row);
      },
    );
    if (typeof edited === "string") return denial("session", edited);
    return edited.kind === "conflict" ? CHANGED : undefined;
  }

  /** Unless somebody has given it another state meanwhile. */
  async #archiveAgain(row: SessionRow): Promise<void> {
    const { metadata } = row;
    if (!isObject(metadata)) return;
    const before = Object.fromEntries(ARCHIVE_KEYS.map((key) => [key, metadata[key]]));
    await this.#core.store.editMetadata(
      {
        key: row,
        edit: (stored) =>
          isObject(stored) && stored.lifecycleState === undefined ? withKeys(stored, before) : undefined,
      },
      (result) => {
        if (typeof result !== "string" && result.kind === "changed") this.#core.tellSession(result.row);
      },
    );
  }
}

const lacksCursorId = (metadata: unknown): boolean =>
  flavourOf(metadata) === "cursor" && agentSessionId(metadata) === undefined;

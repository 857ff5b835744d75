// A branch of a conversation (hapi-probed, "Steering, plans, branches"): the agent copies its own history first, then a session of the
// hub's gets what was said until there, and a runner goes on with it. A branch that no runner takes leaves nothing behind.
import type { MessageRow, SessionKey, SessionRow } from "../store/rows.ts";
import { flavourOf } from "../wire/flavours.ts";
import { branchMetadata, pointsIn } from "../wire/fork.ts";
import { metadataView } from "../wire/metadata.ts";
import { isObject, type JsonObject, objectAt, textAt } from "../wire/shape.ts";
import { todosIn } from "../wire/todos.ts";
import { callCli, errorOf } from "./cli-call.ts";
import type { HubCore } from "./core.ts";
import { denial, INACTIVE, type Refusal, type Result, refusal } from "./result.ts";
import type { Sessions } from "./sessions.ts";
import type { Spawning } from "./spawn.ts";

const WITHIN = { timeoutMs: 120_000 };
/** In which a todo list that still stands is looked for. */
const RECENT = 200;

const BUSY = refusal("conflict", "Session is busy");
const HAS_WAITING = refusal("conflict", "Session has queued messages");
const NOT_CURRENT = refusal("conflict", "Fork current is not supported for this session");
const NOT_HISTORICAL = refusal("conflict", "Historical fork is not supported for this session");
const NO_PLACE = refusal("conflict", "Session is missing machine or path metadata");
const NO_BOUNDARY = refusal("conflict", "History boundary message not found or not yet invoked");
const NO_ID = "Native fork did not return a session id";

export interface ForkParts {
  readonly core: HubCore;
  readonly sessions: Sessions;
  readonly spawning: Spawning;
}

interface Origin {
  readonly row: SessionRow;
  readonly metadata: JsonObject;
  readonly directory: string;
  readonly machineId: string;
  /** The first message that the branch does not have; undefined: it has all. */
  readonly boundary: MessageRow | undefined;
}

export class Forking {
  readonly #core: HubCore;

  constructor(private readonly parts: ForkParts) {
    this.#core = parts.core;
  }

  /** Of all that was said, or of what was said before this message of a person. */
  async fork(key: SessionKey, messageLocalId?: string): Promise<Result<{ readonly sessionId: string }>> {
    const found = await this.#origin(key, messageLocalId);
    if (!found.ok) return found;
    const { origin } = found;
    const called = await callCli(this.#core, key.id, "fork-conversation", { messageLocalId }, WITHIN);
    if (!called.ok) return called;
    const nativeSessionId = textAt(called.answer, "nativeSessionId");
    if (!nativeSessionId) return refusal("cli", errorOf(called.answer) ?? NO_ID);
    const branch = { namespace: key.namespace, id: crypto.randomUUID() };
    try {
      const problem =
        (await this.#store(origin, branch, nativeSessionId)) ??
        (await this.#spawn(origin, branch, nativeSessionId));
      if (problem === undefined) return { ok: true, sessionId: branch.id };
      await this.#undo(origin, branch);
      return problem;
    } catch (error) {
      // A full disk, or a namespace that has no room for a second copy.
      await this.#undo(origin, branch);
      throw error;
    }
  }

  async #origin(
    key: SessionKey,
    messageLocalId: string | undefined,
  ): Promise<Result<{ readonly origin: Origin }>> {
    const { store, sessions } = this.#core;
    const row = await store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    const live = sessions.get(key.id);
    if (live?.presence.active !== true) return INACTIVE;
    if (live.presence.thinking) return BUSY;
    if ((await store.replayMessages(key.id)).length > 0) return HAS_WAITING;
    const { metadata } = row;
    const can = objectAt(objectAt(metadata, "capabilities"), "conversationHistory");
    const isHistorical = messageLocalId !== undefined;
    if (!isHistorical && can?.forkCurrent !== true) return NOT_CURRENT;
    if (isHistorical && can?.forkAtMessage !== true) return NOT_HISTORICAL;
    const boundary = isHistorical ? await this.#taken(key, messageLocalId) : undefined;
    if (isHistorical && boundary === undefined) return NO_BOUNDARY;
    const [directory, machineId] = [textAt(metadata, "path"), textAt(metadata, "machineId")];
    if (!isObject(metadata) || !directory || !machineId) return NO_PLACE;
    // A CLI writes what it likes there: only the namespace's own machine is asked.
    const machine = await store.findMachine({ namespace: key.namespace, id: machineId });
    if (typeof machine === "string") return refusal("conflict", denial("machine", machine).error);
    return { ok: true, origin: { row, metadata, directory, machineId, boundary } };
  }

  async #taken(key: SessionKey, localId: string): Promise<MessageRow | undefined> {
    const found = await this.#core.store.findMessage(key, localId);
    const message = typeof found === "string" ? undefined : found.message;
    return message?.localId === localId && message.invokedAt !== null ? message : undefined;
  }

  async #store(origin: Origin, branch: SessionKey, nativeSessionId: string): Promise<Refusal | undefined> {
    const { store, now } = this.#core;
    const { row, boundary } = origin;
    const { model, modelReasoningEffort, effort, serviceTier } = row;
    const metadata = branchMetadata({
      from: row.id,
      metadata: origin.metadata,
      nativeSessionId,
      points: boundary === undefined ? undefined : await this.#pointsBefore(origin, boundary),
      now: now(),
    });
    const opened = await this.parts.sessions.open({
      ...branch,
      tag: `fork:${branch.id}`,
      metadata,
      model: model ?? undefined,
      modelReasoningEffort: modelReasoningEffort ?? undefined,
      effort: effort ?? undefined,
    });
    if (!opened.ok) return opened;
    const copied = await store.copyMessages({
      namespace: branch.namespace,
      from: row.id,
      into: branch.id,
      before: boundary?.id,
    });
    if (typeof copied === "string") return denial("session", copied);
    const todos = boundary === undefined ? row.todos : await this.#lastTodos(branch.id);
    const columns = { serviceTier, todos: todos == null ? undefined : { value: todos, at: now() } };
    const set = await store.setSessionColumns(branch, columns, (result) => {
      if (typeof result !== "string") this.#core.tellSession(result.row);
    });
    return typeof set === "string" ? denial("session", set) : undefined;
  }

  async #pointsBefore({ row, metadata }: Origin, { seq }: MessageRow): Promise<ReadonlySet<string>> {
    const before = new Set<string>();
    for (const localId of pointsIn(metadata)) {
      const found = await this.#core.store.findMessage(row, localId);
      if (typeof found !== "string" && found.message !== undefined && found.message.seq < seq)
        before.add(localId);
    }
    return before;
  }

  async #lastTodos(sessionId: string): Promise<unknown> {
    for (const { content } of await this.#core.store.recentMessages(sessionId, RECENT)) {
      const todos = todosIn(content.value);
      if (todos !== undefined) return todos;
    }
    return undefined;
  }

  async #spawn(origin: Origin, branch: SessionKey, nativeSessionId: string): Promise<Refusal | undefined> {
    const { row, metadata, directory, machineId } = origin;
    const { permissionMode, collaborationMode, copilotAgentMode } = this.#core.sessions.presenceOf(row);
    const spawned = await this.parts.spawning.ask(machineId, {
      directory,
      agent: flavourOf(metadata),
      model: row.model ?? undefined,
      modelReasoningEffort: row.modelReasoningEffort ?? undefined,
      effort: row.effort ?? undefined,
      permissionMode: permissionMode ?? metadataView(metadata)?.preferredPermissionMode,
      serviceTier: row.serviceTier ?? undefined,
      collaborationMode: collaborationMode ?? undefined,
      copilotAgentMode: copilotAgentMode ?? undefined,
      sessionType: "simple",
      resumeSessionId: nativeSessionId,
      sessionId: branch.id,
    });
    return spawned.type === "error" ? refusal("cli", spawned.message) : undefined;
  }

  /** A runner that took it all the same is told to let it go; one that does not answer changes nothing. */
  async #undo({ machineId }: Origin, branch: SessionKey): Promise<void> {
    await callCli(this.#core, machineId, "stop-session", { sessionId: branch.id });
    await this.parts.sessions.delete(branch);
  }
}

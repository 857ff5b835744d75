// Pi histories that lie on a machine, taken over as archived sessions (hapi-probed, "Import"): their messages keep the ids that Pi knows
// them by, so that a history which grew is told from one that took another branch.
import type { MachineRow, SessionListRow } from "../../store/rows.ts";
import { flavourOf } from "../../wire/flavours.ts";
import { withKeys } from "../../wire/metadata.ts";
import { isObject, objectAt, textAt } from "../../wire/shape.ts";
import { type PiTranscript, piTranscript } from "../../wire/transcript.ts";
import { type Result, refusal } from "../result.ts";
import type { Sessions } from "../sessions.ts";
import { type Histories, type Imports, placeOf } from "./imports.ts";

const LIST = "listPiSessions";
const NO_MACHINE = refusal("no-machine", "No online machine available for Pi history import");
const DIVERGED = "Local Pi transcript no longer extends the previously imported history";
const LEAF_GONE = "The active Pi branch no longer contains the last imported entry";

export interface ImportedSession {
  readonly piSessionId: string;
  readonly hapiSessionId?: string;
  readonly action?: "created" | "updated" | "unchanged";
  readonly appended?: number;
  readonly error?: {
    readonly code: "not_found" | "transcript_diverged" | "session_active" | "invalid_transcript";
    readonly message: string;
  };
}

type Outcome = Omit<ImportedSession, "piSessionId">;

interface Wanted {
  readonly namespace: string;
  readonly sessionIds: readonly string[];
  readonly machineId?: string | undefined;
}

export class PiImports {
  constructor(
    private readonly imports: Imports,
    private readonly sessions: Sessions,
  ) {}

  async list(namespace: string, machineId?: string, cwd?: string): Promise<Result<Histories>> {
    const machine = await this.imports.machine(namespace, machineId);
    return machine === undefined ? NO_MACHINE : this.imports.shown(machine.id, LIST, cwd);
  }

  async import(
    wanted: Wanted,
  ): Promise<Result<{ readonly machineId: string; readonly results: readonly ImportedSession[] }>> {
    const machine = await this.imports.machine(wanted.namespace, wanted.machineId);
    if (machine === undefined) return NO_MACHINE;
    return this.imports.alone(wanted.namespace, async () => {
      const results: ImportedSession[] = [];
      for (const piSessionId of new Set(wanted.sessionIds)) {
        const params = { cwd: null, sessionIds: [piSessionId] };
        const listed = await this.imports.list(machine.id, LIST, params);
        if (!listed.ok) return listed;
        const transcript = piTranscript(listed.entries, piSessionId);
        results.push({ piSessionId, ...(await this.#import(wanted.namespace, machine, transcript)) });
      }
      return { ok: true, machineId: machine.id, results };
    });
  }

  async #import(
    namespace: string,
    machine: MachineRow,
    transcript: PiTranscript | undefined,
  ): Promise<Outcome> {
    if (transcript === undefined)
      return { error: { code: "not_found", message: "Pi session transcript not found" } };
    const row = await this.#known(namespace, machine.id, transcript.id);
    if (row === undefined) return this.#create(namespace, machine, transcript);
    const hapiSessionId = row.id;
    const problem = await this.#divergence(row, transcript);
    if (typeof problem === "string") {
      await this.#note(row, machine, transcript, problem);
      return { hapiSessionId, error: { code: "transcript_diverged", message: problem } };
    }
    const fresh = transcript.messages.slice(problem);
    if (this.imports.core.isActive(row.id)) {
      if (fresh.length === 0) return { hapiSessionId, action: "unchanged", appended: 0 };
      return {
        hapiSessionId,
        error: {
          code: "session_active",
          message: "The session is running: archive it before it is imported",
        },
      };
    }
    await this.imports.append(row, past(fresh), true);
    await this.#note(row, machine, transcript, undefined);
    return { hapiSessionId, action: fresh.length > 0 ? "updated" : "unchanged", appended: fresh.length };
  }

  async #create(namespace: string, machine: MachineRow, transcript: PiTranscript): Promise<Outcome> {
    const { id: piSessionId, folder, title } = transcript;
    if (folder === undefined)
      return { error: { code: "invalid_transcript", message: "The transcript does not say its folder" } };
    const id = crypto.randomUUID();
    const metadata = { path: folder, ...placeOf(machine), name: title, piSessionId, flavor: "pi" };
    const opened = await this.sessions.open({
      namespace,
      id,
      tag: `pi-import:${id}`,
      metadata: this.#edited(metadata, machine, transcript, undefined),
      agentState: {},
      model: transcript.model,
      effort: transcript.thinkingLevel,
    });
    if (!opened.ok) return { error: { code: "invalid_transcript", message: opened.error } };
    const key = { namespace, id };
    await this.imports.append(key, past(transcript.messages), false);
    const row = await this.imports.core.store.findSession(key);
    if (typeof row !== "string") this.imports.core.tellSession(row);
    return { hapiSessionId: id, action: "created", appended: transcript.messages.length };
  }

  /** Of this machine: another one has a history of its own under the same id. The one that was imported before, else the newest. */
  async #known(namespace: string, machineId: string, id: string): Promise<SessionListRow | undefined> {
    const rows = (await this.imports.core.store.listSessions(namespace)).filter(
      ({ metadata }) =>
        flavourOf(metadata) === "pi" &&
        textAt(metadata, "piSessionId") === id &&
        textAt(metadata, "machineId") === machineId,
    );
    return rows.find(({ metadata }) => objectAt(metadata, "piImportState") !== undefined) ?? rows[0];
  }

  /** How many of the transcript's messages the session has, or why it is another history. */
  async #divergence(row: SessionListRow, transcript: PiTranscript): Promise<number | string> {
    let at = 0;
    for await (const { localId } of this.imports.history(row)) {
      if (transcript.messages[at]?.localId !== localId) return DIVERGED;
      at += 1;
    }
    const leaf = textAt(row.metadata, "piHistoryLeafEntryId");
    return leaf === undefined || transcript.activeEntryIds.has(leaf) ? at : LEAF_GONE;
  }

  async #note(
    row: SessionListRow,
    machine: MachineRow,
    transcript: PiTranscript,
    problem: string | undefined,
  ): Promise<void> {
    const { store, tellSession } = this.imports.core;
    const edit = (stored: unknown) => this.#edited(stored, machine, transcript, problem);
    const tell = tellSession.bind(this.imports.core);
    if (problem === undefined) {
      const columns = { model: transcript.model, effort: transcript.thinkingLevel };
      await store.setSessionColumns(row, columns);
    }
    await store.editMetadata({ key: row, edit, touches: false }, (result) => {
      if (typeof result !== "string" && result.kind === "changed") tell(result.row);
    });
  }

  /** A history that took another branch keeps what is known of the one that was imported. */
  #edited(
    stored: unknown,
    machine: MachineRow,
    transcript: PiTranscript,
    problem: string | undefined,
  ): Record<string, unknown> {
    const now = this.imports.core.now();
    const leafBefore = textAt(stored, "piHistoryLeafEntryId");
    const leafEntryId = problem === undefined ? transcript.leafEntryId : leafBefore;
    const piImportState = {
      state: problem === undefined ? "complete" : "diverged",
      machineId: machine.id,
      piSessionId: transcript.id,
      sourceFile: transcript.file,
      startedAt: now,
      updatedAt: now,
      leafEntryId,
      error: problem,
    };
    if (problem !== undefined) return withKeys(stored, { piImportState });
    const users = transcript.messages.filter(({ content }) => content.role === "user");
    const text = transcript.lastUserMessage ?? transcript.title;
    const was = isObject(stored) && stored.lifecycleState === "archived" ? stored : undefined;
    return withKeys(stored, {
      summary: text === undefined ? undefined : { text, updatedAt: now },
      conversationHistoryPoints: Object.fromEntries(users.map(({ localId }) => [localId, true])),
      conversationHistoryEntryIds: Object.fromEntries(
        users.map(({ localId, entryId }) => [localId, entryId]),
      ),
      piHistoryLeafEntryId: leafEntryId,
      piImportState,
      lifecycleState: "archived",
      lifecycleStateSince: was?.lifecycleStateSince ?? now,
      archivedBy: was?.archivedBy ?? "pi-import",
      archiveReason: was?.archiveReason ?? "Imported from local Pi history",
    });
  }
}

const past = (messages: PiTranscript["messages"]) =>
  messages.map(({ content, localId, createdAt }) => ({ content, localId, createdAt }));

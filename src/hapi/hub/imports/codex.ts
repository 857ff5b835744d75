// Codex histories that lie on a machine, taken over as sessions (hapi-probed, "Import"). One that is here already grows by what is new; one
// whose transcript tells another story stays as it is, and the transcript gets a session of its own.
import type { MachineRow, SessionListRow } from "../../store/rows.ts";
import { flavourOf } from "../../wire/flavours.ts";
import { withKeys } from "../../wire/metadata.ts";
import { textAt } from "../../wire/shape.ts";
import { type CodexTranscript, codexTranscript, Overlap } from "../../wire/transcript.ts";
import { type Result, refusal } from "../result.ts";
import type { Sessions } from "../sessions.ts";
import { type Histories, type Imports, placeOf } from "./imports.ts";

const LIST = "listCodexSessions";
const NO_MACHINE = refusal("no-machine", "No online machine available for Codex history import");
const RUNNING = "The session is running and its transcript has new messages: archive it before it is synced";

export interface SyncedSession {
  readonly codexSessionId: string;
  readonly hapiSessionId?: string;
  readonly action?: "created" | "updated";
  readonly appended?: number;
  readonly error?: string;
}

interface Wanted {
  readonly namespace: string;
  readonly sessionIds: readonly string[];
  readonly machineId?: string | undefined;
  readonly cwd?: string | undefined;
}

interface Known {
  readonly row: SessionListRow;
  /** Of the transcript's messages. */
  readonly length: number;
}

export class CodexImports {
  constructor(
    private readonly imports: Imports,
    private readonly sessions: Sessions,
  ) {}

  async list(namespace: string, machineId?: string, cwd?: string): Promise<Result<Histories>> {
    const machine = await this.imports.machine(namespace, machineId);
    return machine === undefined ? NO_MACHINE : this.imports.shown(machine.id, LIST, cwd);
  }

  /** Moves the transcript away on its machine; sessions here stay. */
  async archive(
    namespace: string,
    sessionId: string,
    machineId?: string,
  ): Promise<Result<{ readonly machineId: string; readonly archivedPath: string | undefined }>> {
    const machine = await this.imports.machine(namespace, machineId);
    if (machine === undefined) return NO_MACHINE;
    const asked = await this.imports.ask(machine.id, "archiveCodexSession", { sessionId });
    if (!asked.ok) return asked;
    return { ok: true, machineId: machine.id, archivedPath: textAt(asked.answer, "archivedPath") };
  }

  /** Histories that several sessions have, newest session first. */
  async duplicates(
    namespace: string,
    sessionIds: readonly string[],
  ): Promise<readonly { readonly codexSessionId: string; readonly hapiSessionIds: readonly string[] }[]> {
    const rows = await this.imports.core.store.listSessions(namespace);
    return [...new Set(sessionIds)]
      .map((codexSessionId) => ({
        codexSessionId,
        hapiSessionIds: sessionsOf(rows, codexSessionId).map(({ id }) => id),
      }))
      .filter(({ hapiSessionIds }) => hapiSessionIds.length > 1);
  }

  async sync(wanted: Wanted): Promise<Result<{ readonly synced: readonly SyncedSession[] }>> {
    const machine = await this.imports.machine(wanted.namespace, wanted.machineId);
    if (machine === undefined) return NO_MACHINE;
    return this.imports.alone(wanted.namespace, async () => {
      const synced: SyncedSession[] = [];
      // Asked for one by one: together they may be more than a frame carries.
      for (const codexSessionId of new Set(wanted.sessionIds)) {
        const params = { cwd: wanted.cwd ?? null, sessionIds: [codexSessionId] };
        const listed = await this.imports.list(machine.id, LIST, params);
        if (!listed.ok) return listed;
        const transcript = codexTranscript(listed.entries, codexSessionId);
        synced.push({
          codexSessionId,
          ...(await this.#sync(wanted.namespace, machine, codexSessionId, transcript)),
        });
      }
      return { ok: true, synced };
    });
  }

  async #sync(
    namespace: string,
    machine: MachineRow,
    id: string,
    transcript: CodexTranscript | undefined,
  ): Promise<Omit<SyncedSession, "codexSessionId">> {
    if (transcript === undefined) return { error: `Transcript not found for Codex session: ${id}` };
    const { messages, folder, file = id } = transcript;
    if (messages.length === 0)
      return { error: `No importable conversation content found in transcript: ${file}` };
    if (folder === undefined) return { error: `The transcript does not say its folder: ${file}` };
    const known = await this.#known(namespace, transcript);
    if (known === undefined) return this.#create(namespace, machine, transcript, folder);
    const { row, length } = known;
    const fresh = messages.slice(length);
    const { core } = this.imports;
    if (core.isActive(row.id)) {
      return fresh.length > 0
        ? { error: RUNNING }
        : { hapiSessionId: row.id, action: "updated", appended: 0 };
    }
    const keys = this.#keys(machine, transcript, folder);
    const name = textAt(row.metadata, "name") ?? transcript.title;
    const edit = (stored: unknown) => withKeys(stored, { ...keys, name });
    await core.store.editMetadata({ key: row, edit }, (result) => {
      if (typeof result !== "string" && result.kind === "changed") core.tellSession(result.row);
    });
    await this.imports.append(
      row,
      fresh.map((content) => ({ content })),
      true,
    );
    return { hapiSessionId: row.id, action: "updated", appended: fresh.length };
  }

  async #create(
    namespace: string,
    machine: MachineRow,
    transcript: CodexTranscript,
    folder: string,
  ): Promise<Omit<SyncedSession, "codexSessionId">> {
    const { core } = this.imports;
    const id = crypto.randomUUID();
    const opened = await this.sessions.open({
      namespace,
      id,
      tag: `codex-import:${id}`,
      metadata: { ...this.#keys(machine, transcript, folder), name: transcript.title },
      agentState: {},
    });
    if (!opened.ok) return { error: opened.error };
    const key = { namespace, id };
    await this.imports.append(
      key,
      transcript.messages.map((content) => ({ content })),
      false,
    );
    const row = await core.store.findSession(key);
    if (typeof row !== "string") core.tellSession(row);
    return { hapiSessionId: id, action: "created", appended: transcript.messages.length };
  }

  #keys(machine: MachineRow, { id, title, lastUserMessage }: CodexTranscript, path: string) {
    const now = this.imports.core.now();
    const text = lastUserMessage ?? title;
    return {
      path,
      ...placeOf(machine),
      summary: text === undefined ? undefined : { text, updatedAt: now },
      codexSessionId: id,
      codexSourceSessionId: id,
      lifecycleState: "imported",
      lifecycleStateSince: now,
      flavor: "codex",
    };
  }

  /** The session that has most of it. */
  async #known(namespace: string, transcript: CodexTranscript): Promise<Known | undefined> {
    const { store } = this.imports.core;
    let best: Known | undefined;
    for (const row of sessionsOf(await store.listSessions(namespace), transcript.id)) {
      const length = await this.#overlap(row, transcript);
      if (length !== undefined && (best === undefined || length > best.length)) best = { row, length };
    }
    return best;
  }

  async #overlap(row: SessionListRow, transcript: CodexTranscript): Promise<number | undefined> {
    const overlap = new Overlap(transcript.messages);
    for await (const { content } of this.imports.history(row)) if (!overlap.next(content.value)) break;
    return overlap.length;
  }
}

/** Archived ones are left alone. */
const sessionsOf = (rows: readonly SessionListRow[], codexSessionId: string): readonly SessionListRow[] =>
  rows.filter(
    ({ metadata }) =>
      flavourOf(metadata) === "codex" &&
      textAt(metadata, "lifecycleState") !== "archived" &&
      [textAt(metadata, "codexSessionId"), textAt(metadata, "codexSourceSessionId")].includes(codexSessionId),
  );

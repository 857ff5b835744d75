// Notes of a session, with files (hapi-http-sse C5). What a note says of a file is what is on disk; a file that no note of the session
// names any more is removed, and one that a note names cannot be removed from under it.
import type { ScratchEntry } from "../store/records.ts";
import type { Access, Json, SessionKey } from "../store/rows.ts";
import { isObject, textAt } from "../wire/shape.ts";
import type { HubCore } from "./core.ts";
import { denial, type Refusal, type Result } from "./result.ts";
import {
  namedFiles,
  SCRATCH_LIMITS,
  type ScratchFile,
  ScratchFiles,
  type ScratchPlace,
  scratchPath,
  scratchPlace,
} from "./scratch-files.ts";

export type ScratchCode =
  | "note-not-found"
  | "file-not-found"
  | "full"
  | "in-use"
  | "file-type"
  | "file-too-large"
  | "too-many-files"
  | "files-too-large"
  | "session-files-too-large"
  | "namespace-full"
  | "file-invalid";

export type ScratchResult<T extends object = object> =
  | ({ readonly ok: true } & T)
  | Refusal
  | { readonly ok: false; readonly code: ScratchCode; readonly error: string };

const refuse = (code: ScratchCode, error: string) => ({ ok: false, code, error }) as const;

export const MAX_NOTES = 200;
const NO_NOTE = refuse("note-not-found", "Scratchlist entry not found");
const NO_FILE = refuse("file-not-found", "Attachment not found");
const SWEEP_MS = 6 * 60 * 60 * 1_000;
/** So much of a run is lost to the age of what looks abandoned when the server is killed. */
const KEEP_AGE_MS = 10 * 60 * 1_000;

export interface ScratchlistParts {
  readonly core: HubCore;
  readonly home: string;
  /** Of the files of one namespace; 0 is no limit. Asked each time. */
  readonly maxBytes: () => number;
  /** Told of what a bound refuses. */
  readonly refused: (bound: string, facts: Readonly<Record<string, string | number>>) => void;
}

/** A file as a client names it. */
export interface NamedFile {
  readonly path: string;
  readonly mimeType: string;
}

export class Scratchlist {
  readonly #files: ScratchFiles;
  /** Of each session at most one that changes files: a file is not taken away while a note comes to name it. */
  readonly #turns = new Map<string, Promise<unknown>>();
  private readonly core: HubCore;
  readonly #timers: Timer[] = [];

  constructor(private readonly parts: ScratchlistParts) {
    this.core = parts.core;
    this.#files = new ScratchFiles(parts);
  }

  start(): void {
    const sweep = () => this.core.inBackground(this.sweep(), "files of notes could not be looked through");
    sweep();
    this.#timers.push(
      setInterval(sweep, SWEEP_MS),
      setInterval(() => this.#keepAge(), KEEP_AGE_MS),
    );
    for (const timer of this.#timers) timer.unref();
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#keepAge();
  }

  #keepAge(): void {
    const kept = Promise.try(() => this.#files.keepAge());
    this.core.inBackground(kept, "how long files of notes have looked abandoned could not be kept");
  }

  /** With its files, but for those that went over to another session with their notes. */
  forget(gone: SessionKey): void {
    this.core.inBackground(this.sweep(gone), "files of a session that has gone could not be removed");
  }

  /** What no note names. Of a session that has gone: at once. */
  async sweep(gone?: SessionKey): Promise<void> {
    const named = async () => namedFiles(await this.core.store.listScratchAttachments());
    await this.#files.sweep(named, gone);
  }

  async list(key: SessionKey): Promise<Result<{ readonly entries: readonly ScratchEntry[] }>> {
    const listed = await this.core.store.listScratch(key);
    return typeof listed === "string" ? denial("session", listed) : { ok: true, entries: listed.entries };
  }

  add(
    key: SessionKey,
    note: {
      readonly entryId?: string | undefined;
      readonly text: string;
      readonly createdAt?: number | undefined;
      readonly attachments: readonly NamedFile[];
    },
  ): Promise<ScratchResult<{ readonly entry: ScratchEntry; readonly isNew: boolean }>> {
    return this.#inTurn(key, async () => {
      const files = await this.#described(key, note.attachments, []);
      if (!files.ok) return files;
      const added = await this.core.store.addScratch(
        key,
        { ...note, attachments: files.files },
        MAX_NOTES,
        (result) => {
          if (typeof result !== "string" && result.entry !== "full" && result.isNew)
            this.#tell(key, result.entry.updatedAt);
        },
      );
      if (typeof added === "string") return denial("session", added);
      if (added.entry === "full") return refuse("full", `Scratchlist is at its ${MAX_NOTES}-entry cap`);
      return { ok: true, entry: added.entry, isNew: added.isNew };
    });
  }

  change(
    key: SessionKey,
    entryId: string,
    change: { readonly text?: string | undefined; readonly attachments?: readonly NamedFile[] | undefined },
  ): Promise<ScratchResult<{ readonly entry: ScratchEntry }>> {
    return this.#inTurn(key, async () => {
      const before = await this.#entry(key, entryId);
      if (!before.ok) return before;
      const named = before.entry.attachments;
      const files =
        change.attachments === undefined ? undefined : await this.#described(key, change.attachments, named);
      if (files?.ok === false) return files;
      const changed = await this.core.store.changeScratch(
        key,
        entryId,
        { text: change.text, attachments: files?.files },
        (result) => this.#tellChange(key, result),
      );
      if (typeof changed === "string") return denial("session", changed);
      if (changed.entry === undefined) return NO_NOTE;
      await this.#drop(key, named);
      return { ok: true, entry: changed.entry };
    });
  }

  delete(key: SessionKey, entryId: string): Promise<ScratchResult> {
    return this.#inTurn(key, async () => {
      const deleted = await this.core.store.deleteScratch(key, entryId, (result) => {
        if (typeof result !== "string" && result.entry !== undefined) this.#tell(key, this.core.now());
      });
      if (typeof deleted === "string") return denial("session", deleted);
      if (deleted.entry === undefined) return NO_NOTE;
      await this.#drop(key, deleted.entry.attachments);
      return { ok: true };
    });
  }

  upload(
    key: SessionKey,
    given: { readonly filename: string; readonly mimeType: string; readonly bytes: Uint8Array },
  ): Promise<ScratchResult<{ readonly file: ScratchFile }>> {
    return this.#inTurn(key, async () => {
      const found = await this.core.store.findSession(key);
      if (typeof found === "string") return denial("session", found);
      const { length } = given.bytes;
      const kept = await this.#files.bytesOf(key);
      if (kept + length > SCRATCH_LIMITS.maxBytesPerSession)
        return refuse(
          "session-files-too-large",
          "Scratchlist attachments of this session are at their limit",
        );
      const giveBack = await this.core.store.admitScratchFile(key.namespace, length);
      let file: ScratchFile | undefined;
      try {
        file = await this.#files.add(key, given);
      } finally {
        if (file === undefined) giveBack();
      }
      if (file !== undefined) return { ok: true, file };
      this.parts.refused("hapi-note-files", { account: key.namespace, limit: this.parts.maxBytes() });
      return refuse("namespace-full", "The files of all notes of this namespace are at their limit");
    });
  }

  /** Only of a file that a note of the session names. */
  async read(
    key: SessionKey,
    id: string,
  ): Promise<ScratchResult<{ readonly file: ScratchFile; readonly bytes: Uint8Array<ArrayBuffer> }>> {
    const listed = await this.list(key);
    if (!listed.ok) return listed;
    const file = listed.entries
      .flatMap(({ attachments }) => attachments)
      .find((file): file is ScratchFile => isObject(file) && file.id === id);
    const place = file === undefined ? undefined : scratchPlace(file.path);
    const bytes =
      place === undefined || place.namespace !== key.namespace ? undefined : await this.#files.read(place);
    return file === undefined || bytes === undefined ? NO_FILE : { ok: true, file, bytes };
  }

  /** An upload that came into no note. */
  removeUpload(key: SessionKey, id: string): Promise<ScratchResult> {
    return this.#inTurn(key, async () => {
      const listed = await this.list(key);
      if (!listed.ok) return listed;
      const isNamed = listed.entries.some(({ attachments }) =>
        attachments.some((file) => textAt(file, "id") === id),
      );
      if (isNamed) return refuse("in-use", "Attachment is still referenced by a scratchlist entry");
      const place = await this.#files.find(key, id);
      if (place === undefined) return NO_FILE;
      await this.#files.remove(place);
      return { ok: true };
    });
  }

  async #entry(key: SessionKey, entryId: string): Promise<ScratchResult<{ readonly entry: ScratchEntry }>> {
    const listed = await this.list(key);
    if (!listed.ok) return listed;
    const entry = listed.entries.find((entry) => entry.entryId === entryId);
    return entry === undefined ? NO_NOTE : { ok: true, entry };
  }

  /** What they are on disk: a client says only which they are. Those of `before` may lie where a merged session kept them. */
  async #described(
    key: SessionKey,
    named: readonly NamedFile[],
    before: readonly Json[],
  ): Promise<ScratchResult<{ readonly files: readonly ScratchFile[] }>> {
    if (named.length > SCRATCH_LIMITS.maxAttachmentsPerEntry) {
      const text = `At most ${SCRATCH_LIMITS.maxAttachmentsPerEntry} attachments per scratchlist entry`;
      return refuse("too-many-files", text);
    }
    const files: ScratchFile[] = [];
    for (const { path, mimeType } of named) {
      const place = scratchPlace(path);
      if (place === undefined) return refuse("file-invalid", "Invalid scratchlist attachment path");
      const isOwn = place.namespace === key.namespace && place.session === key.id;
      if (!isOwn && !before.some((file) => textAt(file, "path") === path))
        return refuse("file-invalid", "Attachment path is outside this session");
      const size = await this.#files.keep(place);
      if (size === undefined) return refuse("file-invalid", "Attachment file missing");
      files.push(describedAs(place, mimeType, size));
    }
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    return bytes > SCRATCH_LIMITS.maxBytesPerEntry
      ? refuse("files-too-large", "Attachments of this scratchlist entry are too large")
      : { ok: true, files };
  }

  /** Those that no note of the session names any more. */
  async #drop(key: SessionKey, attachments: readonly Json[]): Promise<void> {
    if (attachments.length === 0) return;
    const listed = await this.list(key);
    if (!listed.ok) return;
    const named = namedFiles(listed.entries.flatMap(({ attachments }) => attachments));
    for (const file of attachments) {
      const place = scratchPlace(textAt(file, "path") ?? "");
      if (place === undefined || place.namespace !== key.namespace || isNamed(named, place)) continue;
      await this.#files.remove(place);
    }
  }

  #tellChange(key: SessionKey, result: Access<{ readonly entry: ScratchEntry | undefined }>): void {
    if (typeof result !== "string" && result.entry !== undefined) this.#tell(key, result.entry.updatedAt);
  }

  #tell(key: SessionKey, at: number): void {
    this.core.tellPatch(key, { scratchlistUpdatedAt: at });
  }

  #inTurn<T>({ namespace, id }: SessionKey, work: () => Promise<T>): Promise<T> {
    const name = JSON.stringify([namespace, id]);
    const turn = (this.#turns.get(name) ?? Promise.resolve()).then(work, work);
    this.#turns.set(name, turn);
    const done = () => {
      if (this.#turns.get(name) === turn) this.#turns.delete(name);
    };
    turn.then(done, done);
    return turn;
  }
}

const describedAs = (place: ScratchPlace, mimeType: string, size: number): ScratchFile => ({
  id: place.id,
  filename: place.filename,
  mimeType,
  size,
  path: scratchPath(place),
});

const isNamed = (named: ReadonlySet<string>, place: ScratchPlace): boolean =>
  named.has(scratchPath(place).slice(scratchPath(place).indexOf("/") + 1));

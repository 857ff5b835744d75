// Sessions as they are opened, looked at, named, pinned and deleted (hapi-http-sse A9, A10, C3).
import type { OpenedSession, OpenSession, SessionKey, SessionRow } from "../store/rows.ts";
import { withKeys } from "../wire/metadata.ts";
import type { SessionSummary, SessionView } from "../wire/session.ts";
import { isObject } from "../wire/shape.ts";
import type { HubCore } from "./core.ts";
import { DONE, denial, type Refusal, type Result, refusal } from "./result.ts";
import { type ListOptions, SessionList } from "./session-list.ts";

export type PinMode = "none" | "project" | "global";

const BOUND = {
  "tag-bound": "Session tag is already bound to a different id",
  "id-bound": "Session id is already bound to a different session",
} as const;

const CONFLICT = refusal("conflict", "Session was modified concurrently. Please try again.");

export class Sessions {
  readonly #leavers: ((key: SessionKey) => void)[] = [];

  readonly #list: SessionList;

  constructor(private readonly core: HubCore) {
    this.#list = new SessionList(core);
  }

  /** For what a session has beside the database. */
  whenGone(leave: (key: SessionKey) => void): void {
    this.#leavers.push(leave);
  }

  /** Creates, or loads by tag as it is stored; its machine is registered first. */
  async open(session: OpenSession): Promise<Result<{ readonly session: SessionView }>> {
    const opened = await this.core.store.openSession(session, (result) => this.#tellOpened(result));
    switch (opened.kind) {
      case "machine-denied":
        return refusal("access-denied", "Machine access denied");
      case "tag-bound":
      case "id-bound":
        return refusal("conflict", BOUND[opened.kind]);
      default:
        return { ok: true, session: this.core.sessionView(opened.row) };
    }
  }

  #tellOpened(opened: OpenedSession): void {
    if (opened.kind !== "created" && opened.kind !== "found") return;
    const { core } = this;
    if (opened.machine !== undefined) core.tellMachine(opened.machine.row);
    if (opened.kind === "found") {
      core.tellSession(opened.row);
      return;
    }
    core.events.broadcast({
      type: "session-added",
      namespace: opened.row.namespace,
      sessionId: opened.row.id,
      data: core.sessionView(opened.row),
    });
  }

  /** The row, for the guard of a route: unknown, another namespace's, or there. */
  async find(key: SessionKey): Promise<Result<{ readonly row: SessionRow; readonly isActive: boolean }>> {
    const row = await this.core.store.findSession(key);
    return typeof row === "string"
      ? denial("session", row)
      : { ok: true, row, isActive: this.core.isActive(key.id) };
  }

  /** For the guard of a route. One that is at work is known without asking the store; what is done with it asks anyway. */
  async standing(key: SessionKey): Promise<Result<{ readonly isActive: boolean }>> {
    const live = this.core.sessions.get(key.id);
    if (live?.presence.active !== true) {
      const found = await this.core.store.lookForSession(key);
      return typeof found === "string"
        ? denial("session", found)
        : { ok: true, isActive: this.core.isActive(key.id) };
    }
    return live.namespace === key.namespace
      ? { ok: true, isActive: true }
      : denial("session", "access-denied");
  }

  async view(key: SessionKey): Promise<Result<{ readonly session: SessionView }>> {
    const found = await this.find(key);
    return found.ok ? { ok: true, session: this.core.sessionView(found.row) } : found;
  }

  list(namespace: string, options: ListOptions = {}): Promise<readonly SessionSummary[]> {
    return this.#list.summaries(namespace, options);
  }

  /** The answer to who lists them; see SessionList. */
  listJson(namespace: string, options: ListOptions): Promise<Uint8Array<ArrayBuffer>> {
    return this.#list.json(namespace, options);
  }

  rename(key: SessionKey, name: string): Promise<Result> {
    return this.#edit(key, { name });
  }

  /** A title that a person wrote. */
  summarize(key: SessionKey, text: string): Promise<Result> {
    return this.#edit(key, { summary: { text, updatedAt: this.core.now() } });
  }

  /** Of the stored object, so that keys that no view knows stay in it. */
  async #edit(key: SessionKey, keys: Readonly<Record<string, unknown>>): Promise<Result> {
    const edited = await this.core.store.editMetadata(
      { key, edit: (stored) => withKeys(placed(stored), keys), touches: false },
      (result) => {
        if (typeof result !== "string" && result.kind === "changed") this.core.tellSession(result.row);
      },
    );
    if (typeof edited === "string") return denial("session", edited);
    return edited.kind === "conflict" ? CONFLICT : DONE;
  }

  async pin(key: SessionKey, mode: PinMode): Promise<Result> {
    const pins = { pinned: mode === "project", globalPinned: mode === "global" };
    const set = await this.core.store.setSessionColumns(key, pins, (result) => {
      if (typeof result !== "string" && result.changed) this.core.tellSession(result.row);
    });
    return typeof set === "string" ? denial("session", set) : DONE;
  }

  async delete(key: SessionKey): Promise<Result> {
    const found = await this.find(key);
    if (!found.ok) return found;
    if (found.isActive) return ACTIVE;
    const deleted = await this.core.store.deleteSession(key, (result) => {
      if (typeof result !== "string") this.forget(key);
    });
    return typeof deleted === "string" ? denial("session", deleted) : DONE;
  }

  /** It was deleted, by whomever. */
  forget({ namespace, id }: SessionKey): void {
    this.core.sessions.delete(id);
    this.core.events.broadcast({ type: "session-removed", namespace, sessionId: id });
    for (const leave of this.#leavers) leave({ namespace, id });
  }
}

/** Without a place clients cannot read it, and would not see its name (hapi-http-sse A9). */
const placed = (stored: unknown): unknown => (isObject(stored) ? { path: "", host: "", ...stored } : stored);

const ACTIVE: Refusal = refusal("active", "Cannot delete active session. Archive it first.");

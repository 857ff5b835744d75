// The list of a namespace's sessions as JSON, which every page of the web app asks for again and again. What a row becomes is remembered
// with the row and the presence that it was made of, and the whole with its rows: so an answer is made anew only in what has changed.
import type { SessionListRow, SessionPresence } from "../store/rows.ts";
import { byAttention, byUpdate, type SessionSummary, sessionSummary } from "../wire/session.ts";
import type { HubCore } from "./core.ts";

export interface ListOptions {
  readonly limit?: number | undefined;
  /** Newest first, and nothing else. */
  readonly isByUpdate?: boolean | undefined;
}

interface Entry {
  /** What was known of the session when it was made; undefined when nobody was there. */
  readonly presence: SessionPresence | undefined;
  readonly summary: SessionSummary;
  text: string | undefined;
}

interface Made {
  readonly entries: readonly Entry[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Answers that are remembered, and the largest of them. */
const MAX_MADE = 4;
const MAX_MADE_BYTES = 2 * 1024 * 1024;

export class SessionList {
  /** Go with their rows, which the store forgets when something is stored. */
  readonly #entries = new WeakMap<SessionListRow, Entry>();
  readonly #made = new Map<string, Made>();

  constructor(private readonly core: HubCore) {}

  async summaries(namespace: string, options: ListOptions = {}): Promise<readonly SessionSummary[]> {
    return (await this.#listed(namespace, options)).map(({ summary }) => summary);
  }

  /** `{"sessions": [...]}`: the same bytes while nothing has changed. Not to be changed by whoever gets them. */
  async json(namespace: string, options: ListOptions): Promise<Uint8Array<ArrayBuffer>> {
    return this.#bytesOf(namespace, options, await this.#listed(namespace, options));
  }

  async #listed(namespace: string, { limit, isByUpdate }: ListOptions): Promise<readonly Entry[]> {
    // Only the store's own order may be cut there: the other one knows of presence.
    const cut = isByUpdate && limit !== undefined ? { limit } : {};
    const rows = await this.core.store.listSessions(namespace, cut);
    const entries = rows.map((row) => this.#entryOf(row));
    const order = isByUpdate ? byUpdate : byAttention;
    entries.sort((a, b) => order(a.summary, b.summary));
    return limit === undefined ? entries : entries.slice(0, limit);
  }

  #entryOf(row: SessionListRow): Entry {
    const { sessions } = this.core;
    const presence = sessions.get(row.id)?.presence;
    const known = this.#entries.get(row);
    if (known !== undefined && known.presence === presence) return known;
    const entry = { presence, summary: sessionSummary(row, sessions.presenceOf(row)), text: undefined };
    this.#entries.set(row, entry);
    return entry;
  }

  #bytesOf(
    namespace: string,
    { limit, isByUpdate }: ListOptions,
    entries: readonly Entry[],
  ): Uint8Array<ArrayBuffer> {
    const key = `${limit} ${isByUpdate} ${namespace}`;
    const known = this.#made.get(key);
    if (known !== undefined && isSame(known.entries, entries)) return known.bytes;
    this.#made.delete(key);
    const texts = entries.map((entry) => {
      entry.text ??= JSON.stringify(entry.summary);
      return entry.text;
    });
    const bytes = new TextEncoder().encode(`{"sessions":[${texts.join(",")}]}`);
    if (bytes.byteLength > MAX_MADE_BYTES) return bytes;
    this.#made.set(key, { entries, bytes });
    for (const oldest of this.#made.keys()) {
      if (this.#made.size <= MAX_MADE) break;
      this.#made.delete(oldest);
    }
    return bytes;
  }
}

const isSame = (a: readonly Entry[], b: readonly Entry[]): boolean =>
  a.length === b.length && a.every((entry, at) => entry === b[at]);

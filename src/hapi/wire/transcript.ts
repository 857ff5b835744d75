// An agent's own record of a conversation, as a runner reads it from its disk (hapi-probed, "Import"), and how much of it a session has
// already. Sessions that were imported have it word by word; one that the agent's CLI told live has the same words of both sides, and
// between them what only one of the two records.
import { boundedContent, userText } from "./content.ts";
import { isObject, type JsonObject, objectAt, textAt } from "./shape.ts";

export interface CodexTranscript {
  readonly id: string;
  readonly folder: string | undefined;
  readonly file: string | undefined;
  readonly title: string | undefined;
  readonly lastUserMessage: string | undefined;
  readonly messages: readonly JsonObject[];
}

export interface PiMessage {
  readonly localId: string;
  readonly entryId: string;
  readonly createdAt: number;
  readonly content: JsonObject;
}

export interface PiTranscript extends Omit<CodexTranscript, "messages"> {
  readonly messages: readonly PiMessage[];
  readonly model: string | undefined;
  readonly thinkingLevel: string | undefined;
  readonly leafEntryId: string | undefined;
  readonly activeEntryIds: ReadonlySet<string>;
}

/** What lists of histories do not show: it may be megabytes. */
const HEAVY: ReadonlySet<string> = new Set(["messages", "activeEntryIds"]);

/** Entries of a runner's list, without the conversations themselves. */
export const listedHistories = (entries: readonly unknown[]): readonly JsonObject[] =>
  entries
    .filter((entry) => isObject(entry) && typeof entry.id === "string")
    .map((entry) =>
      Object.fromEntries(Object.entries(entry as JsonObject).filter(([key]) => !HEAVY.has(key))),
    );

const filled = (value: unknown, key: string): string | undefined => textAt(value, key)?.trim() || undefined;

const headOf = (entry: JsonObject, id: string) => ({
  id,
  folder: filled(entry, "cwd"),
  file: filled(entry, "file"),
  title: filled(entry, "title"),
  lastUserMessage: filled(entry, "lastUserMessage"),
});

/** As it is stored. */
const bounded = (message: JsonObject): JsonObject => boundedContent(message) as JsonObject;

const isMessage = (value: unknown): value is JsonObject =>
  isObject(value) && (value.role === "user" || value.role === "agent") && value.content !== undefined;

/** Undefined where the runner does not have it, or gave something else. */
export function codexTranscript(entries: readonly unknown[], id: string): CodexTranscript | undefined {
  const entry = entries.find((one) => textAt(one, "id") === id);
  if (!isObject(entry) || !Array.isArray(entry.messages) || !entry.messages.every(isMessage))
    return undefined;
  return { ...headOf(entry, id), messages: entry.messages.map(bounded) };
}

export function piTranscript(entries: readonly unknown[], id: string): PiTranscript | undefined {
  const entry = entries.find((one) => textAt(one, "id") === id);
  if (!isObject(entry) || !Array.isArray(entry.messages) || !Array.isArray(entry.activeEntryIds))
    return undefined;
  const messages = entry.messages.map(piMessage);
  if (!messages.every((message) => message !== undefined)) return undefined;
  return {
    ...headOf(entry, id),
    messages,
    model: filled(entry, "model"),
    thinkingLevel: filled(entry, "thinkingLevel"),
    leafEntryId: filled(entry, "leafEntryId"),
    activeEntryIds: new Set(entry.activeEntryIds.filter((one) => typeof one === "string")),
  };
}

function piMessage(value: unknown): PiMessage | undefined {
  const [localId, entryId] = [filled(value, "localId"), filled(value, "entryId")];
  if (!isObject(value) || localId === undefined || entryId === undefined) return undefined;
  const { createdAt, content } = value;
  if (typeof createdAt !== "number" || !Number.isFinite(createdAt) || !isMessage(content)) return undefined;
  return { localId, entryId, createdAt: Math.trunc(createdAt), content };
}

/** What one of both said; undefined for everything that happens in between. */
function said(message: unknown): string | undefined {
  const user = userText(message);
  if (user !== undefined) return `user ${user.trim()}`;
  const content = objectAt(message, "content");
  const data = content?.type === "codex" ? objectAt(content, "data") : undefined;
  return data?.type === "message" ? `agent ${(textAt(data, "message") ?? "").trim()}` : undefined;
}

/** Ids of parts are made anew each time that a transcript is read. */
function whole(message: unknown): string {
  const spoken = said(message);
  if (spoken !== undefined) return spoken;
  const content = objectAt(message, "content");
  const data = objectAt(content, "data");
  return JSON.stringify([content?.type, data === undefined ? content : { ...data, id: undefined }]);
}

/** Goes through what a session has, oldest first, beside a transcript. */
export class Overlap {
  readonly #whole: readonly string[];
  /** Places of what was said. */
  readonly #spoken: readonly number[];
  #seen = 0;
  #isWord = true;
  #heard = 0;
  #isSpoken = true;

  constructor(messages: readonly JsonObject[]) {
    this.#whole = messages.map(whole);
    this.#spoken = messages.flatMap((message, at) => (said(message) === undefined ? [] : [at]));
  }

  /** @returns whether it can still be the same conversation */
  next(stored: unknown): boolean {
    if (this.#isWord) this.#isWord = this.#whole[this.#seen] === whole(stored);
    this.#seen += 1;
    const spoken = said(stored);
    if (spoken !== undefined && this.#isSpoken) {
      const at = this.#spoken[this.#heard];
      this.#isSpoken = at !== undefined && this.#whole[at] === spoken;
      this.#heard += 1;
    }
    return this.#isWord || this.#isSpoken;
  }

  /** How many of the transcript's messages the session has; undefined when it is another conversation. */
  get length(): number | undefined {
    if (this.#isWord) return this.#seen;
    if (!this.#isSpoken) return undefined;
    // What happened after the last words is the session's own record of it.
    return this.#spoken[this.#heard] ?? this.#whole.length;
  }
}

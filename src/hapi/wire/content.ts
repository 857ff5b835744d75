// What the hub reads in messages that are otherwise opaque to it, and how it bounds them (hapi-http-sse A6, hapi-socket 6 and 18.3).
import { isObject, type JsonObject, textAt } from "./shape.ts";

const LONG = 65_536;
const HEAD = 49_152;
const TAIL = 12_288;
/** Deeper values are left alone: no agent nests its messages so, and a walk must have an end. */
const DEEP = 64;

const isLow = (text: string, at: number): boolean => {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff;
};

function cut(text: string): string {
  // A pair of surrogates is one character, and half of one is none.
  const head = isLow(text, HEAD) ? HEAD - 1 : HEAD;
  const from = text.length - TAIL;
  const tail = isLow(text, from) ? from + 1 : from;
  return `${text.slice(0, head)}\n[… ${tail - head} characters left out …]\n${text.slice(tail)}`;
}

function cutWithin(value: unknown, depth: number): unknown {
  if (typeof value === "string") return value.length > LONG ? cut(value) : value;
  if (typeof value !== "object" || value === null || depth === DEEP) return value;
  if (Array.isArray(value)) {
    let copy: unknown[] | undefined;
    for (const [at, inner] of value.entries()) {
      const bounded = cutWithin(inner, depth + 1);
      if (bounded === inner) continue;
      copy ??= [...value];
      copy[at] = bounded;
    }
    return copy ?? value;
  }
  let copy: Record<string, unknown> | undefined;
  for (const [key, inner] of Object.entries(value)) {
    const bounded = cutWithin(inner, depth + 1);
    if (bounded === inner) continue;
    copy ??= { ...value } as Record<string, unknown>;
    copy[key] = bounded;
  }
  return copy ?? value;
}

/** The message of an agent with every very long string cut to its beginning and its end; anything else as it is. */
export const boundedContent = (content: unknown): unknown =>
  isOfAgent(content) ? cutWithin(content, 0) : content;

const isOfAgent = (content: unknown): content is JsonObject =>
  isObject(content) && (content.role === "agent" || content.role === "assistant");

/** The agent waits for its person. */
export function isReady(content: unknown): boolean {
  if (!isObject(content)) return false;
  const event = content.type === "event" ? content : content.content;
  return isObject(event) && event.type === "event" && isObject(event.data) && event.data.type === "ready";
}

const GOAL = /^Goal (active|complete|blocked|paused|cleared)$/;

/** An agent says how its goal stands, again and again: no part of a conversation, and not kept (hapi-socket 18.3, hapi-probed). */
export function isGoalNotice(content: unknown): boolean {
  if (!isObject(content) || content.role !== "agent") return false;
  const { content: event } = content;
  if (!isObject(event) || event.type !== "event" || !isObject(event.data) || event.data.type !== "message")
    return false;
  return GOAL.test((textAt(event.data, "message") ?? "").trim());
}

/** A person wrote something: this moves a session up in the list. */
export const isUserText = (content: unknown): boolean => userText(content) !== undefined;

/** What a person wrote. */
export function userText(content: unknown): string | undefined {
  if (!isObject(content) || content.role !== "user") return undefined;
  return textAt(content, "content") ?? textAt(content.content, "text");
}

/** A thought of an agent that is sent again and again while it grows: each takes the place of the one before. */
export function reasoningOf(content: unknown): { readonly id: string; readonly isLive: boolean } | undefined {
  if (!isOfAgent(content) || !isObject(content.content) || content.content.type !== "codex") return undefined;
  const { data } = content.content;
  const id = isObject(data) && data.type === "reasoning" ? textAt(data, "id") : undefined;
  return id === undefined ? undefined : { id, isLive: isObject(data) && data.live === true };
}

export interface FinishedTask {
  readonly isFailed: boolean;
  readonly summary: string;
}

const TAG = /^\s*<task-notification>/;
const tagged = (text: string, tag: string): string | undefined => {
  const [open, close] = [`<${tag}>`, `</${tag}>`];
  const from = text.indexOf(open);
  const to = text.indexOf(close, from);
  return from < 0 || to < 0 ? undefined : text.slice(from + open.length, to).trim();
};

/** A task that an agent ran in the background, and that ended with something to say. */
export function finishedTask(content: unknown): FinishedTask | undefined {
  if (!isOfAgent(content) || !isObject(content.content) || content.content.type !== "output")
    return undefined;
  const { data } = content.content;
  if (!isObject(data)) return undefined;
  if (data.type === "system" && data.subtype === "task_notification") {
    return finished(data.status, textAt(data, "summary"));
  }
  const line = data.type === "user" ? textAt(data.message, "content") : undefined;
  return line !== undefined && TAG.test(line)
    ? finished(tagged(line, "status"), tagged(line, "summary"))
    : undefined;
}

const finished = (status: unknown, summary: string | undefined): FinishedTask | undefined =>
  summary === undefined || summary === "" ? undefined : { isFailed: status !== "completed", summary };

// Todo lists as agents report them: three forms in messages, one shape for clients (hapi-socket 6, hapi-http-sse A6).
import { isObject, isString, oneOf, textAt } from "./shape.ts";

export interface TodoItem {
  readonly content: string;
  readonly status: "pending" | "in_progress" | "completed";
  readonly priority: "high" | "medium" | "low";
  readonly id: string;
  readonly activeForm?: string;
}

const isStatus = oneOf("pending", "in_progress", "completed");
const isPriority = oneOf("high", "medium", "low");

function todoItem(value: unknown, id: string): TodoItem | undefined {
  if (!isObject(value) || typeof value.content !== "string" || !isStatus(value.status)) return undefined;
  const { priority = "medium", activeForm } = value;
  if (!isPriority(priority) || (activeForm !== undefined && !isString(activeForm))) return undefined;
  if (value.id !== undefined && typeof value.id !== "string") return undefined;
  return {
    content: value.content,
    status: value.status,
    priority,
    id: value.id ?? id,
    activeForm,
  } as TodoItem;
}

/** One bad item voids the list. */
function written(input: unknown): TodoItem[] | undefined {
  if (!isObject(input) || !Array.isArray(input.todos)) return undefined;
  const items = input.todos.map((value) => todoItem(value, ""));
  return items.every((item) => item !== undefined) ? (items as TodoItem[]) : undefined;
}

/** A bad entry is left out; its place still counts. */
function planned(entries: unknown): TodoItem[] | undefined {
  if (!Array.isArray(entries)) return undefined;
  return entries.flatMap((value, at) => {
    const isNamed = textAt(value, "id") !== undefined;
    return (
      todoItem(isNamed || !isObject(value) ? value : { ...value, id: undefined }, `plan-${at + 1}`) ?? []
    );
  });
}

/** The list that a message of an agent carries, or undefined. */
export function todosIn(content: unknown): readonly TodoItem[] | undefined {
  if (!isObject(content) || (content.role !== "agent" && content.role !== "assistant")) return undefined;
  const body = content.content;
  if (!isObject(body) || !isObject(body.data)) return undefined;
  const { data } = body;
  if (body.type === "output") return inOutput(data);
  if (body.type !== "codex") return undefined;
  if (data.type === "tool-call" && data.name === "TodoWrite") return written(data.input);
  return data.type === "plan" ? planned(data.entries) : undefined;
}

function inOutput(data: Readonly<Record<string, unknown>>): readonly TodoItem[] | undefined {
  if (data.type !== "assistant" || !isObject(data.message) || !Array.isArray(data.message.content))
    return undefined;
  for (const block of data.message.content) {
    if (!isObject(block) || block.type !== "tool_use" || block.name !== "TodoWrite") continue;
    const list = written(block.input);
    if (list !== undefined) return list;
  }
  return undefined;
}

/** As stored before it reaches a client; undefined when it is no list. */
export function todosView(stored: unknown): readonly TodoItem[] | undefined {
  if (!Array.isArray(stored)) return undefined;
  const items = stored.map((value) => todoItem(value, ""));
  return items.every((item) => item !== undefined) ? (items as TodoItem[]) : undefined;
}

export interface TodoProgress {
  readonly completed: number;
  readonly total: number;
}

/** Null without a list, and for an empty one. */
export function todoProgress(todos: readonly TodoItem[] | undefined): TodoProgress | null {
  if (todos === undefined || todos.length === 0) return null;
  return { completed: todos.filter(({ status }) => status === "completed").length, total: todos.length };
}

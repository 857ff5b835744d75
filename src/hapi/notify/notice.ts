// What people are told of a session, and the words for it (HTTP contract, B6; data contract, 11). Titles and tags are literals that
// clients know.
import type { Toast } from "../events/event.ts";
import type { SessionRow } from "../store/rows.ts";
import type { PermissionRequest } from "../wire/agent-state.ts";
import type { FinishedTask } from "../wire/content.ts";
import { agentLabel } from "../wire/flavours.ts";
import { metadataView, sessionName } from "../wire/metadata.ts";
import { isObject, textAt } from "../wire/shape.ts";

export type Notice = {
  readonly session: SessionRow;
  /** Tells this happening from any other of the session. */
  readonly event: readonly unknown[];
} & (
  | { readonly kind: "permission" | "input"; readonly requestId: string; readonly request: PermissionRequest }
  | { readonly kind: "ready" }
  | { readonly kind: "task"; readonly task: FinishedTask }
  | { readonly kind: "completion" }
);

/** Its answer is words, not leave to do something. A plan is approved or not, as a permission is. */
const QUESTIONS: ReadonlySet<string> = new Set([
  "AskUserQuestion",
  "ask_user_question",
  "request_user_input",
]);

export const noticeKind = (tool: string): "permission" | "input" =>
  QUESTIONS.has(tool) ? "input" : "permission";

export interface Words {
  readonly title: string;
  readonly body: string;
  /** A browser shows the newest of one tag. */
  readonly tag: string;
  readonly data: {
    readonly type: string;
    readonly sessionId: string;
    readonly url: string;
    readonly requestId?: string;
  };
}

const MAX_NAME = 200;
const MAX_PREVIEW = 280;

export function nameOf({ id, metadata }: SessionRow): string {
  return cut(sessionName(id, metadataView(metadata)), MAX_NAME);
}

export function wordsOf(notice: Notice): Words {
  const { session } = notice;
  const { id: sessionId } = session;
  const url = `/sessions/${sessionId}`;
  const [name, agent] = [nameOf(session), agentLabel(session.metadata)];
  switch (notice.kind) {
    case "permission":
      return {
        title: "Permission Request",
        body: `${name} (${cut(notice.request.tool, MAX_NAME)})`,
        tag: `permission-${sessionId}`,
        data: { type: "permission-request", sessionId, url, requestId: shortId(notice.requestId) },
      };
    case "input":
      return {
        title: `${agent} needs your input`,
        body: `${questionIn(notice.request.arguments) ?? "Open it to read the question."}\n${name}`,
        tag: `input-request-${sessionId}`,
        data: { type: "input-request", sessionId, url, requestId: shortId(notice.requestId) },
      };
    case "ready":
      return {
        title: "Ready for input",
        body: `${agent} is waiting in ${name}`,
        tag: `ready-${sessionId}`,
        data: { type: "ready", sessionId, url },
      };
    case "task":
      return {
        title: notice.task.isFailed ? "Task failed" : "Task completed",
        body: `${agent} · ${name} · ${cut(notice.task.summary, 2 * MAX_PREVIEW)}`,
        tag: `task-${sessionId}`,
        data: { type: "task-notification", sessionId, url },
      };
    case "completion":
      return {
        title: "Session completed",
        body: `${agent} has finished in ${name}`,
        tag: `completion-${sessionId}`,
        data: { type: "session-completion", sessionId, url },
      };
  }
}

export const toastOf = ({ title, body, data: { sessionId, url } }: Words): Toast => ({
  title,
  body,
  sessionId,
  url,
});

/** What is asked, on one line; of several questions the first, and how many more there are. */
export function questionIn(given: unknown): string | undefined {
  const questions = isObject(given) && Array.isArray(given.questions) ? given.questions : [];
  const first = textAt(questions[0], "question")?.replace(/\s+/g, " ").trim();
  if (first === undefined || first === "") return undefined;
  const more = questions.length - 1;
  const preview = cut(first, MAX_PREVIEW);
  return more > 0 ? `${preview}\n+${more} more question${more > 1 ? "s" : ""}` : preview;
}

/** An id is whatever a CLI calls it; a longer one does not fit into a message. */
const shortId = (id: string): string => id.slice(0, MAX_NAME);

/** In UTF-16 units, and no half of a character. */
export function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  return `${text.slice(0, max - 1).replace(/[\uD800-\uDBFF]$/, "")}…`;
}

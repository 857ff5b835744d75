// What people read in Telegram, and what its buttons carry: at most 64 bytes, a session by the beginning of its id, a request by all of
// its id, so that an old button never answers another request (data contract, 12).
import type { TelegramButton, TelegramMessage } from "../../push/channels/telegram.ts";
import type { AgentState } from "../wire/agent-state.ts";
import { isObject } from "../wire/shape.ts";
import { cut, type Notice, nameOf, wordsOf } from "./notice.ts";

export const PREFIX = 8;
const MAX_DATA_BYTES = 64;
const MAX_ARGUMENTS = 600;

export interface Press {
  readonly approves: boolean;
  readonly sessionPrefix: string;
  readonly request: string;
}

const keyOf = (requestId: string): string =>
  Buffer.byteLength(requestId) <= MAX_DATA_BYTES - "ap::".length - PREFIX
    ? requestId
    : `#${new Bun.CryptoHasher("sha256").update(requestId).digest("base64url")}`;

export const buttonData = (approves: boolean, sessionId: string, requestId: string): string =>
  `${approves ? "ap" : "dn"}:${sessionId.slice(0, PREFIX)}:${keyOf(requestId)}`;

/** Undefined for what no button of ours carries. */
export function pressOf(data: string): Press | undefined {
  const [, verb, sessionPrefix, request] = /^(ap|dn):([^:]{1,8}):(.+)$/s.exec(data) ?? [];
  if (sessionPrefix === undefined || request === undefined) return undefined;
  return { approves: verb === "ap", sessionPrefix, request };
}

/**
 * The id of the one request that waits and that a button means. Buttons of the original hub carry eight characters of it: where an
 * earlier request begins so too, nobody knows which is meant.
 */
export function requestMeant(state: AgentState | null, { request }: Press): string | undefined {
  const waiting = Object.keys(state?.requests ?? {});
  const exact = waiting.find((id) => keyOf(id) === request);
  if (exact !== undefined || request.length !== PREFIX) return exact;
  const completed = isObject(state?.completedRequests) ? Object.keys(state.completedRequests) : [];
  const [one, another] = [...waiting, ...completed].filter((id) => id.startsWith(request));
  return another === undefined && one !== undefined && waiting.includes(one) ? one : undefined;
}

/** Opens the web app. Telegram takes no address but https, and refuses the whole message otherwise. */
export function appButton(
  text: string,
  publicUrl: string | undefined,
  sessionId?: string,
): TelegramButton | undefined {
  if (publicUrl?.startsWith("https://") !== true) return undefined;
  const url = new URL(publicUrl);
  if (sessionId !== undefined) url.searchParams.set("startapp", `session_${sessionId}`);
  return { text, web_app: { url: url.href } };
}

export function telegramMessage(notice: Notice, publicUrl: string | undefined): TelegramMessage {
  const { id } = notice.session;
  const { title, body } = wordsOf(notice);
  const open = appButton("Open", publicUrl, id);
  if (notice.kind !== "permission")
    return { text: `${title}\n\n${body}`, buttons: open === undefined ? undefined : [[open]] };
  const { requestId, request } = notice;
  const details = appButton("Details", publicUrl, id);
  const lines = [
    title,
    "",
    `Session: ${nameOf(notice.session)}`,
    `Tool: ${cut(request.tool, MAX_ARGUMENTS)}`,
  ];
  const given = shortForm(request.arguments);
  if (given !== undefined) lines.push(given);
  return {
    text: lines.join("\n"),
    buttons: [
      [
        { text: "Allow", callback_data: buttonData(true, id, requestId) },
        { text: "Deny", callback_data: buttonData(false, id, requestId) },
      ],
      ...(details === undefined ? [] : [[details]]),
    ],
  };
}

/** A command, a path, or whatever else it is asked for with. */
function shortForm(given: unknown): string | undefined {
  if (given === undefined || given === null) return undefined;
  if (typeof given === "string") return cut(given, MAX_ARGUMENTS);
  for (const key of ["command", "file_path", "path", "url", "pattern"]) {
    const value = isObject(given) ? given[key] : undefined;
    if (typeof value === "string" && value !== "") return cut(value, MAX_ARGUMENTS);
  }
  const text = JSON.stringify(given);
  return text === "{}" ? undefined : cut(text, MAX_ARGUMENTS);
}

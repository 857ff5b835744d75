// Whether a message has content that a person sees: a session without any is hidden from the list once it is inactive
// (hapi-http-sse A6, C4). Probed on the released hub, kind by kind. Asked of every message until one has: so it is plain code, which costs
// a hundredth of a schema that does not fit.
import type { Json } from "./rows.ts";

export function isConversation(message: Json): boolean {
  const { role, content } = members(message);
  if (role === "user") return isText(content) || isSeenBlock(content) || isUserContent(content);
  return role === "agent" && isAgentContent(members(content));
}

function isUserContent(content: Json): boolean {
  const { type, text, attachments } = members(content);
  return type === "text" && (isText(text) || isFilled(attachments));
}

function isAgentContent({ type, data }: Members): boolean {
  const given = members(data);
  if (type === "output") {
    if (given.type !== "assistant" && given.type !== "user") return false;
    const { content } = members(given.message);
    return isText(content) || isSeenBlock(content);
  }
  if (type !== "codex") return false;
  switch (given.type) {
    case "message":
    case "reasoning":
      return isText(given.message);
    case "tool-call":
      return isText(given.name);
    case "tool-call-result":
      return true;
    case "plan":
      return isFilled(given.entries);
    default:
      return false;
  }
}

const SEEN_BLOCKS: readonly Json[] = ["thinking", "tool_use", "tool_result", "image"];

/** A list of blocks of which one is seen. */
const isSeenBlock = (content: Json): boolean =>
  Array.isArray(content) &&
  content.some((block) => {
    const { type, text } = members(block);
    return type === "text" ? isText(text) : SEEN_BLOCKS.includes(type);
  });

type Members = Readonly<Record<string, Json>>;
const NONE: Members = {};
const members = (value: Json): Members =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Members) : NONE;
const isText = (value: Json): boolean => typeof value === "string" && value.trim() !== "";
const isFilled = (value: Json): boolean => Array.isArray(value) && value.length > 0;

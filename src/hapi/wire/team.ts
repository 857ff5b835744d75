// The team of agents that a session leads, as its messages tell of it: who was called, for what, and what was said to them (hapi-probed,
// "Small things"). What clients are shown is bounded, however long a team is at work.
import { isObject, isString, type JsonObject } from "./shape.ts";

/** The newest of each. */
const MAX_MEMBERS = 200;
const MAX_MESSAGES = 50;
const MAX_NAME = 128;
const MAX_TEXT = 1_000;

interface Use {
  readonly name: string;
  readonly input: JsonObject;
}

interface Team extends JsonObject {
  readonly members: readonly unknown[];
  readonly tasks: readonly unknown[];
  readonly messages: readonly unknown[];
}

const TOOLS: ReadonlySet<string> = new Set(["TeamCreate", "TeamDelete", "Task", "SendMessage"]);
const MESSAGE_TYPES: ReadonlySet<string> = new Set(["broadcast", "shutdown_request", "shutdown_response"]);

const name = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value.slice(0, MAX_NAME) : undefined;
const text = (value: unknown): string | undefined =>
  isString(value) ? (value as string).slice(0, MAX_TEXT) : undefined;

/** What a message does to the team: given the stored one, the next one; null when it is dissolved. Undefined: it is not about a team. */
export function teamChange(content: unknown): ((stored: unknown, at: number) => unknown) | undefined {
  const uses = usesIn(content).filter((use) => TOOLS.has(use.name));
  if (uses.length === 0) return undefined;
  return (stored, at) => {
    let team = isObject(stored) ? teamOf(stored) : null;
    let isChanged = false;
    for (const use of uses) {
      const next = after(team, use, at);
      if (next === undefined) continue;
      team = next;
      isChanged = true;
    }
    if (!isChanged) return undefined;
    return team === null ? null : { ...team, updatedAt: at };
  };
}

/** Undefined: nothing comes of it. */
function after(team: Team | null, { name: tool, input }: Use, at: number): Team | null | undefined {
  if (tool === "TeamCreate") {
    const teamName = name(input.team_name);
    if (teamName === undefined) return undefined;
    return { teamName, description: text(input.description), members: [], tasks: [], messages: [] };
  }
  if (team === null) return undefined;
  if (tool === "TeamDelete") return null;
  return tool === "Task" ? withMember(team, input) : withMessage(team, input, at);
}

function withMember(team: Team, input: JsonObject): Team | undefined {
  const member = name(input.name);
  if (member === undefined || name(input.team_name) === undefined) return undefined;
  const agentType = isString(input.subagent_type)
    ? (input.subagent_type as string).slice(0, MAX_NAME)
    : undefined;
  const title = text(input.description);
  const members = put(team.members, "name", { name: member, agentType, status: "active" });
  if (!title) return { ...team, members };
  const task = { id: `agent:${member}`, title, status: "in_progress", owner: member };
  return { ...team, members, tasks: put(team.tasks, "id", task) };
}

function withMessage(team: Team, input: JsonObject, at: number): Team | undefined {
  if (typeof input.type !== "string" || input.type === "") return undefined;
  const type = MESSAGE_TYPES.has(input.type) ? input.type : "message";
  const to = (type === "broadcast" ? undefined : recipientOf(input)) ?? "all";
  const message = { from: "team-lead", to, summary: text(input.summary) ?? "", type, timestamp: at };
  const messages = [...team.messages, message].slice(-MAX_MESSAGES);
  if (type !== "shutdown_request" || name(input.recipient) === undefined) return { ...team, messages };
  const known = team.members.find((each) => isObject(each) && each.name === to);
  const gone = { ...(isObject(known) && known), name: to, status: "shutdown" };
  return { ...team, messages, members: put(team.members, "name", gone) };
}

const recipientOf = ({ recipient }: JsonObject): string | undefined =>
  typeof recipient === "string" ? recipient.slice(0, MAX_NAME) : undefined;

/** In the place of the one that has its name, when that is there. */
function put(list: readonly unknown[], key: string, value: JsonObject): readonly unknown[] {
  const place = list.findIndex((each) => isObject(each) && each[key] === value[key]);
  return place < 0 ? [...list, value].slice(-MAX_MEMBERS) : list.with(place, value);
}

const listAt = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const teamOf = (stored: JsonObject): Team => ({
  ...stored,
  members: listAt(stored.members),
  tasks: listAt(stored.tasks),
  messages: listAt(stored.messages),
});

/** Of Claude's kind of message, or of Codex's. */
function usesIn(content: unknown): Use[] {
  if (!isObject(content) || (content.role !== "agent" && content.role !== "assistant")) return [];
  const body = content.content;
  if (!isObject(body) || !isObject(body.data)) return [];
  const { data } = body;
  if (body.type === "codex") return data.type === "tool-call" ? use(data) : [];
  if (body.type !== "output" || data.type !== "assistant" || !isObject(data.message)) return [];
  return listAt(data.message.content).flatMap((block) =>
    isObject(block) && block.type === "tool_use" ? use(block) : [],
  );
}

const use = (value: JsonObject): Use[] =>
  typeof value.name === "string" && isObject(value.input) ? [{ name: value.name, input: value.input }] : [];

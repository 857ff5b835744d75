// A session's agent state as clients see it, and what waits in it for a person. The hub never edits it: only the CLI does
// (hapi-http-sse A6), but where two sessions become one.
import {
  fits,
  isBoolean,
  isNumber,
  isObject,
  isString,
  type JsonObject,
  listOf,
  mapTo,
  oneOf,
  orNull,
  type Shape,
  shaped,
} from "./shape.ts";

export interface PermissionRequest extends JsonObject {
  readonly tool: string;
  readonly arguments?: unknown;
  readonly createdAt?: number | null;
}

export interface AgentState extends JsonObject {
  readonly controlledByUser?: boolean | null;
  readonly requests?: Readonly<Record<string, PermissionRequest>> | null;
}

const REQUEST: Shape = { createdAt: orNull(isNumber), toolCallId: isString };
const answers = (value: unknown) =>
  mapTo(listOf(isString))(value) || mapTo(shaped({ answers: listOf(isString) }))(value);

const OPTIONAL: Shape = {
  controlledByUser: orNull(isBoolean),
  startingMode: orNull(oneOf("local", "remote", "pty")),
  steeringActive: orNull(isBoolean),
  codexPlanProposalId: orNull(isString),
  requests: orNull(mapTo(shaped({ tool: isString }, REQUEST))),
  completedRequests: orNull(
    mapTo(
      shaped(
        { tool: isString, status: oneOf("canceled", "denied", "approved", "resolved") },
        {
          ...REQUEST,
          completedAt: orNull(isNumber),
          reason: isString,
          mode: isString,
          decision: oneOf("approved", "approved_for_session", "denied", "abort"),
          allowTools: listOf(isString),
          answers,
        },
      ),
    ),
  ),
};

/** Null when none was set or the stored value is not one as clients know it. */
export const agentStateView = (stored: unknown): AgentState | null =>
  isObject(stored) && fits(stored, {}, OPTIONAL) ? (stored as AgentState) : null;

/**
 * Of a session that takes up the history of another: what was answered there is shown on. What was not is canceled, since whoever asked
 * is gone and nobody could answer. What it says itself counts.
 */
export function mergedAgentState(from: unknown, into: unknown, at: number): unknown {
  if (!isObject(from)) return into;
  const own = isObject(into) ? into : {};
  const known = { ...objectAt(own, "requests"), ...objectAt(own, "completedRequests") };
  const added: Record<string, unknown> = {};
  for (const [id, request] of Object.entries(objectAt(from, "requests")))
    if (isObject(request)) added[id] = { ...request, completedAt: at, status: "canceled" };
  Object.assign(added, objectAt(from, "completedRequests"));
  for (const id of Object.keys(known)) delete added[id];
  if (Object.keys(added).length === 0) return into;
  return { ...own, completedRequests: { ...added, ...objectAt(own, "completedRequests") } };
}

const objectAt = (value: JsonObject, key: string): JsonObject => {
  const inner = value[key];
  return isObject(inner) ? inner : {};
};

export type RequestKind = "permission" | "input";

const ASKS: ReadonlySet<string> = new Set([
  "AskUserQuestion",
  "ask_user_question",
  "ExitPlanMode",
  "exit_plan_mode",
  "request_user_input",
]);

/** A question to the person, or leave to do something. */
export const requestKind = (tool: string): RequestKind => (ASKS.has(tool) ? "input" : "permission");

export interface PendingRequest {
  readonly id: string;
  readonly kind: RequestKind;
  readonly tool: string;
  readonly since: number;
}

export interface Pending {
  readonly count: number;
  /** `permission` before `input`. */
  readonly kinds: readonly RequestKind[];
  /** The five oldest. */
  readonly oldest: readonly PendingRequest[];
}

const NOTHING: Pending = { count: 0, kinds: [], oldest: [] };
const SHOWN = 5;

/** What waits for a person; `otherwise` is since when, for a request that does not say. */
export function pendingRequests(state: AgentState | null, otherwise: number): Pending {
  const requests = Object.entries(state?.requests ?? {});
  if (requests.length === 0) return NOTHING;
  const all = requests.map(([id, { tool, createdAt }]) => ({
    id,
    kind: requestKind(tool),
    tool,
    since: createdAt ?? otherwise,
  }));
  all.sort((a, b) => a.since - b.since || (a.id < b.id ? -1 : 1));
  const kinds = (["permission", "input"] as const).filter((kind) => all.some((each) => each.kind === kind));
  return { count: all.length, kinds, oldest: all.slice(0, SHOWN) };
}

/** The request that waits under this id; a name that every object has is none. */
export function requestWaiting(state: AgentState | null, id: string): PermissionRequest | undefined {
  const requests = state?.requests;
  return requests != null && Object.hasOwn(requests, id) ? requests[id] : undefined;
}

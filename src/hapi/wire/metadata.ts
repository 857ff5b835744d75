// A session's metadata as clients see it, and what is kept when a CLI writes it. Unknown keys pass through both ways; a known key of a
// wrong type hides the whole value, because clients check it strictly (hapi-http-sse A6, hapi-socket 18.3).
import { agentSessionId, RESUME_ID_KEYS } from "./flavours.ts";
import {
  fits,
  isBoolean,
  isInteger,
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

export interface SessionMetadata extends JsonObject {
  readonly path: string;
  readonly host: string;
  readonly name?: string;
  readonly machineId?: string;
  readonly flavor?: string | null;
  readonly lifecycleState?: string;
  readonly summary?: { readonly text: string; readonly updatedAt: number };
  readonly slashCommands?: readonly string[];
  readonly preferredPermissionMode?: string;
  readonly capabilities?: { readonly concurrentClients?: boolean; readonly terminal?: boolean };
}

const strings = (...keys: readonly string[]): Shape => Object.fromEntries(keys.map((key) => [key, isString]));
const STARTING_MODE = orNull(oneOf("local", "remote", "pty"));
const flags = (...keys: readonly string[]): Shape => Object.fromEntries(keys.map((key) => [key, isBoolean]));

const OPTIONAL: Shape = {
  ...strings("version", "name", "os", "machineId", "homeDir", "happyHomeDir", "happyLibDir", "happyToolsDir"),
  ...strings("lifecycleState", "archivedBy", "archiveReason", "supersededBySessionId", "forkedFrom"),
  ...strings("codexSourceSessionId", "preferredPermissionMode", ...RESUME_ID_KEYS),
  summary: shaped({ text: isString, updatedAt: isNumber }),
  tools: listOf(isString),
  slashCommands: listOf(isString),
  startedFromRunner: isBoolean,
  hostPid: isNumber,
  lifecycleStateSince: isNumber,
  startedBy: oneOf("runner", "terminal"),
  flavor: orNull(isString),
  worktree: shaped(
    { basePath: isString, branch: isString, name: isString },
    { worktreePath: isString, createdAt: isNumber },
  ),
  startingMode: STARTING_MODE,
  capabilities: shaped(
    {},
    {
      ...flags("concurrentClients", "terminal"),
      conversationHistory: shaped({}, flags("forkCurrent", "forkAtMessage", "rewindToMessage")),
    },
  ),
  preferredCopilotAgentMode: oneOf("interactive", "plan", "autopilot"),
  hapiMcpUrl: (value) => typeof value === "string" && URL.canParse(value),
  cursorSessionProtocol: oneOf("acp", "stream-json"),
  cursorMigrationState: oneOf("in_progress", "ambiguous"),
  conversationHistoryPoints: mapTo((value) => value === true),
  conversationHistoryIndexes: mapTo(isInteger),
  conversationHistoryTurns: mapTo(isString),
  conversationHistoryEntryIds: mapTo(isString),
  conversationHistoryDiverged: isBoolean,
  piHistoryLeafEntryId: orNull(isString),
  piAvailableModels: listOf(shaped({ modelId: isString })),
  piSelectedModel: orNull(shaped({ provider: isString, modelId: isString })),
  piImportState: isObject,
  piResumeAttempt: isObject,
  ptyResumeAttempt: isObject,
  opencodeClearOperation: isObject,
};
const REQUIRED: Shape = { path: isString, host: isString };

/** Null when the stored value is not metadata as clients know it. */
export const metadataView = (stored: unknown): SessionMetadata | null =>
  isObject(stored) && fits(stored, REQUIRED, OPTIONAL) ? (stored as SessionMetadata) : null;

export type SummaryMetadata = Readonly<Record<string, unknown>>;

/** What a row of the session list shows of it; undefined members are left out by JSON. */
export function summaryMetadata(metadata: SessionMetadata | null): SummaryMetadata | null {
  if (metadata === null) return null;
  const { name, path, machineId, summary, flavor, worktree, lifecycleState, hapiMcpUrl } = metadata;
  return {
    name,
    path,
    machineId,
    summary: summary === undefined ? undefined : { text: summary.text },
    flavor: flavor ?? null,
    worktree,
    agentSessionId: agentSessionId(metadata),
    lifecycleState,
    hapiMcpUrl,
  };
}

/** A CLI that sends a sparse object does not mean to lose these. */
const CARRIED: readonly string[] = [
  "path",
  "host",
  "flavor",
  "machineId",
  ...RESUME_ID_KEYS,
  "cursorSessionProtocol",
];
/** Only the hub writes these. */
const HUB_OWNED: readonly string[] = ["supersededBySessionId", "opencodeClearOperation"];

/** Whether /clear replaced the session, or has it in hand: what the hub wrote down of that must not get lost. */
export const isInHand = (metadata: unknown): boolean =>
  isObject(metadata) && HUB_OWNED.some((key) => metadata[key] != null);

/**
 * What is stored when a CLI writes `next` over `stored`: identity and resume ids that it leaves out are kept, an explicit null of one
 * of them clears it, and the hub's own keys stay as they are. Only two objects are merged: anything else is stored as it came.
 */
export function mergeMetadata(stored: unknown, next: unknown): unknown {
  if (!isObject(next)) return next;
  const kept = isObject(stored) ? stored : {};
  const merged: Record<string, unknown> = { ...next };
  for (const key of CARRIED) {
    if (merged[key] === null) delete merged[key];
    else if (!Object.hasOwn(next, key) && kept[key] != null) merged[key] = kept[key];
  }
  for (const key of HUB_OWNED) {
    delete merged[key];
    if (Object.hasOwn(kept, key)) merged[key] = kept[key];
  }
  return merged;
}

/**
 * Of a session that came back under a new id: what a person gave the old one stays, and what the new one lacks of where it is
 * (hapi-socket 12).
 */
export function mergedHistory(from: unknown, into: unknown): unknown {
  if (!isObject(from)) return into;
  if (!isObject(into)) return from;
  const merged: Record<string, unknown> = { ...into };
  for (const key of ["name", "worktree", "path", "host"]) {
    if (merged[key] == null && from[key] != null) merged[key] = from[key];
  }
  const [old, own] = [summaryTime(from), summaryTime(into)];
  if (old !== undefined && (own === undefined || old > own)) merged.summary = from.summary;
  return merged;
}

function summaryTime({ summary }: JsonObject): number | undefined {
  return isObject(summary) && typeof summary.updatedAt === "number" ? summary.updatedAt : undefined;
}

/** The stored object with some keys of the hub's set; undefined removes one. A stored value that is no object starts as `{path, host}` of nothing. */
export function withKeys(stored: unknown, keys: JsonObject): Record<string, unknown> {
  const edited: Record<string, unknown> = isObject(stored) ? { ...stored } : { path: "", host: "" };
  for (const [key, value] of Object.entries(keys)) {
    if (value === undefined) delete edited[key];
    else edited[key] = value;
  }
  return edited;
}

/** How notifications and lists of sessions call it. */
export function sessionName(id: string, metadata: SessionMetadata | null): string {
  if (metadata !== null) {
    const last = metadata.path.split(/[/\\]/).filter(Boolean).at(-1);
    const name = metadata.name || metadata.summary?.text || last;
    if (name) return name;
  }
  return id.slice(0, 8);
}

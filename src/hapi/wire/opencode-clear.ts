// What the hub writes into the metadata of an OpenCode session that its person clears: which session goes on in its place, and how far
// that is (hapi-probed, "Opencode clear"). Only the hub writes it.
import { flavourOf, resumeKeyOf } from "./flavours.ts";
import { isObject, type JsonObject, objectAt, textAt } from "./shape.ts";

const STATES = [
  "reserved",
  "aborted",
  "cleanup-confirmed",
  /** Its replacement is being started; `pending`: once more. */
  "finalizing",
  "pending",
  "failed",
  "completed",
] as const;
export type ClearState = (typeof STATES)[number];

export interface ClearOperation {
  readonly replacementSessionId: string;
  readonly state: ClearState;
  readonly updatedAt: number;
  readonly error?: string | undefined;
}

export const OPERATION = "opencodeClearOperation";

export function clearOperation(metadata: unknown): ClearOperation | undefined {
  const stored = objectAt(metadata, OPERATION);
  const replacementSessionId = textAt(stored, "replacementSessionId");
  const state = STATES.find((one) => one === stored?.state);
  if (replacementSessionId === undefined || state === undefined) return undefined;
  const { updatedAt } = stored as { readonly updatedAt?: unknown };
  return { replacementSessionId, state, updatedAt: typeof updatedAt === "number" ? updatedAt : 0 };
}

/** Begun by a runner and not over: only its CLI can end what OpenCode itself has. */
export const canBeCleared = (metadata: unknown): boolean =>
  flavourOf(metadata) === "opencode" &&
  textAt(metadata, "startedBy") === "runner" &&
  (textAt(metadata, "lifecycleState") ?? "running") === "running";

/** Its CLI says with these words why it went. */
export const wasCleared = (metadata: unknown): boolean =>
  flavourOf(metadata) === "opencode" &&
  textAt(metadata, "lifecycleState") === "archived" &&
  textAt(metadata, "archiveReason") === "Cleared by /clear";

const GONE: ReadonlySet<ClearState> = new Set(["cleanup-confirmed", "finalizing", "pending", "completed"]);

/** OpenCode has nothing left of it. One whose replacement did not start may be taken up again. */
export function isReplaced(metadata: unknown): boolean {
  const operation = clearOperation(metadata);
  return operation !== undefined && GONE.has(operation.state) && wasCleared(metadata);
}

/** Of one process, or of the conversation that is left behind. */
const NOT_INHERITED = [
  "hostPid",
  "hapiMcpUrl",
  "lifecycleState",
  "lifecycleStateSince",
  "archivedBy",
  "archiveReason",
  "supersededBySessionId",
  OPERATION,
];

export function replacementMetadata(metadata: unknown): JsonObject {
  const fresh: Record<string, unknown> = isObject(metadata) ? { ...metadata } : {};
  for (const key of NOT_INHERITED) delete fresh[key];
  const own = resumeKeyOf(metadata);
  if (own !== undefined) delete fresh[own];
  return fresh;
}

// The metadata of a session that goes its own way from another one's history (hapi-probed, "Steering, plans, branches").
import { resumeKeyOf } from "./flavours.ts";
import { metadataView, sessionName } from "./metadata.ts";
import { isObject, type JsonObject } from "./shape.ts";

/** Of one process, of the end of a session, or of where its history came from: nothing that a branch inherits. */
const NOT_INHERITED = [
  "name",
  "hostPid",
  "hapiMcpUrl",
  "startedFromRunner",
  "startingMode",
  "lifecycleState",
  "lifecycleStateSince",
  "archivedBy",
  "archiveReason",
  "preferredPermissionMode",
  "preferredCopilotAgentMode",
  "supersededBySessionId",
  "opencodeClearOperation",
  "codexSourceSessionId",
  "piImportState",
  "piResumeAttempt",
  "ptyResumeAttempt",
];

/** By localId of a person's messages: where the agent can go back to. */
export const HISTORY_MAPS = [
  "conversationHistoryPoints",
  "conversationHistoryIndexes",
  "conversationHistoryTurns",
  "conversationHistoryEntryIds",
] as const;

export interface Branch {
  readonly from: string;
  readonly metadata: JsonObject;
  /** Of the agent's own copy. */
  readonly nativeSessionId: string;
  /** Points of the history that the branch has; undefined: all. */
  readonly points: ReadonlySet<string> | undefined;
  readonly now: number;
}

export function branchMetadata({ from, metadata, nativeSessionId, points, now }: Branch): JsonObject {
  const branch: Record<string, unknown> = { ...metadata };
  for (const key of NOT_INHERITED) delete branch[key];
  for (const key of HISTORY_MAPS) {
    const map = branch[key];
    if (points === undefined || !isObject(map)) continue;
    branch[key] = Object.fromEntries(Object.entries(map).filter(([localId]) => points.has(localId)));
  }
  const key = resumeKeyOf(metadata);
  if (key !== undefined) branch[key] = nativeSessionId;
  return {
    ...branch,
    forkedFrom: from,
    startedBy: "runner",
    summary: { text: `Fork: ${sessionName(from, metadataView(metadata))}`, updatedAt: now },
  };
}

/** Every localId that one of the maps names. */
export const pointsIn = (metadata: JsonObject): ReadonlySet<string> =>
  new Set(
    HISTORY_MAPS.flatMap((key) => {
      const map = metadata[key];
      return isObject(map) ? Object.keys(map) : [];
    }),
  );

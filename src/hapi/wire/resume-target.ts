// What `hapi resume` needs to go on with a session in a terminal (hapi-http-sse C3).
import type { SessionPresence, SessionRow } from "../store/rows.ts";
import { agentStateView } from "./agent-state.ts";
import { agentSessionId, flavourOf } from "./flavours.ts";
import { metadataView } from "./metadata.ts";
import { textAt } from "./shape.ts";

export type ResumeTarget = NonNullable<ReturnType<typeof resumeTarget>>;

/** Undefined when there is no folder, or no id of the agent's, to go on with. */
export function resumeTarget(row: SessionRow, presence: SessionPresence) {
  const metadata = metadataView(row.metadata);
  const id = agentSessionId(row.metadata);
  if (metadata === null || metadata.path === "" || id === undefined) return undefined;
  return {
    sessionId: row.id,
    flavor: flavourOf(metadata),
    directory: metadata.path,
    machineId: metadata.machineId,
    host: textAt(metadata, "host"),
    active: presence.active,
    thinking: presence.thinking,
    controlledByUser: agentStateView(row.agentState)?.controlledByUser === true,
    agentSessionId: id,
    model: row.model,
    effort: row.effort,
    modelReasoningEffort: row.modelReasoningEffort,
    permissionMode: presence.permissionMode ?? metadata.preferredPermissionMode,
    collaborationMode: presence.collaborationMode ?? undefined,
    copilotAgentMode: presence.copilotAgentMode ?? undefined,
  };
}

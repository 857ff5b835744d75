// A session as clients see it, in full and as a row of the list (hapi-http-sse A6).
import type { SessionListRow, SessionPresence, SessionRow } from "../store/rows.ts";
import { type AgentState, agentStateView, pendingRequests } from "./agent-state.ts";
import { metadataView, type SessionMetadata, summaryMetadata } from "./metadata.ts";
import { type TodoItem, todoProgress, todosView } from "./todos.ts";

export interface SessionView {
  readonly hasConversationContent: boolean;
  readonly id: string;
  readonly namespace: string;
  readonly seq: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly pinned: boolean;
  readonly globalPinned: boolean;
  readonly active: boolean;
  readonly activeAt: number;
  readonly metadata: SessionMetadata | null;
  readonly metadataVersion: number;
  readonly agentState: AgentState | null;
  readonly agentStateVersion: number;
  readonly thinking: boolean;
  readonly thinkingAt: number;
  readonly activeTurnStartedAt: number | null;
  readonly backgroundTaskCount: number;
  readonly todos: readonly TodoItem[] | undefined;
  readonly todosUpdatedAt: number;
  readonly teamState: unknown;
  readonly teamStateUpdatedAt: number;
  readonly model: string | null;
  readonly modelReasoningEffort: string | null;
  readonly effort: string | null;
  readonly serviceTier: string | null;
  readonly permissionMode: string | undefined;
  readonly collaborationMode: string | undefined;
  readonly copilotAgentMode: string | undefined;
}

/** Members that are undefined are left out when it is written as JSON. */
export function sessionView(row: SessionRow, presence: SessionPresence): SessionView {
  const metadata = metadataView(row.metadata);
  return {
    hasConversationContent: row.hasConversationContent,
    id: row.id,
    namespace: row.namespace,
    seq: row.seq,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
    pinned: row.pinned,
    globalPinned: row.globalPinned,
    active: presence.active,
    activeAt: presence.activeAt,
    metadata,
    metadataVersion: row.metadataVersion,
    agentState: agentStateView(row.agentState),
    agentStateVersion: row.agentStateVersion,
    thinking: presence.thinking,
    thinkingAt: presence.thinkingAt,
    activeTurnStartedAt: presence.activeTurnStartedAt,
    backgroundTaskCount: presence.backgroundTaskCount,
    todos: todosView(row.todos),
    todosUpdatedAt: row.todosUpdatedAt,
    teamState: row.teamState ?? undefined,
    teamStateUpdatedAt: row.teamStateUpdatedAt,
    model: row.model,
    modelReasoningEffort: row.modelReasoningEffort,
    effort: row.effort,
    serviceTier: row.serviceTier,
    permissionMode: presence.permissionMode ?? metadata?.preferredPermissionMode,
    collaborationMode: presence.collaborationMode ?? undefined,
    copilotAgentMode: presence.copilotAgentMode ?? undefined,
  };
}

export type SessionSummary = ReturnType<typeof sessionSummary>;

export function sessionSummary(row: SessionListRow, presence: SessionPresence) {
  const pending = pendingRequests(agentStateView(row.agentState), row.updatedAt);
  return {
    hasConversationContent: row.hasConversationContent,
    id: row.id,
    active: presence.active,
    thinking: presence.thinking,
    activeAt: presence.activeAt,
    updatedAt: row.updatedAt,
    pinned: row.pinned,
    globalPinned: row.globalPinned,
    metadata: summaryMetadata(metadataView(row.metadata)),
    metadataVersion: row.metadataVersion,
    agentStateVersion: row.agentStateVersion,
    todosUpdatedAt: row.todosUpdatedAt,
    todoProgress: todoProgress(todosView(row.todos)),
    pendingRequestsCount: pending.count,
    pendingRequestKinds: pending.kinds,
    pendingRequests: pending.oldest,
    backgroundTaskCount: presence.backgroundTaskCount,
    futureScheduledMessageCount: row.futureScheduledMessageCount,
    nextScheduledAt: row.nextScheduledAt,
    model: row.model,
    modelReasoningEffort: row.modelReasoningEffort,
    effort: row.effort,
  };
}

const first = (a: boolean, b: boolean): number => Number(b) - Number(a);

/** Pins, then what is running and waits for somebody, then the newest (hapi-http-sse A9, C3). */
export const byAttention = (a: SessionSummary, b: SessionSummary): number =>
  first(a.globalPinned, b.globalPinned) ||
  first(a.pinned, b.pinned) ||
  first(a.active, b.active) ||
  (a.active ? b.pendingRequestsCount - a.pendingRequestsCount : 0) ||
  byUpdate(a, b);

export const byUpdate = (a: SessionSummary, b: SessionSummary): number => b.updatedAt - a.updatedAt;

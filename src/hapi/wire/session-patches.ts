// What is told of a session that changed a little. Web clients merge a patch only if they know every key of it, and fetch the session
// anew otherwise: no key may stand here that is not in the list of hapi-http-sse B4.
import type { SessionPresence, SessionRow } from "../store/rows.ts";
import type { Versioned } from "./update.ts";

export interface SessionPatch {
  readonly active?: boolean;
  readonly thinking?: boolean;
  readonly activeAt?: number;
  readonly updatedAt?: number;
  readonly activeTurnStartedAt?: number | null;
  readonly model?: string | null;
  readonly modelReasoningEffort?: string | null;
  readonly effort?: string | null;
  readonly serviceTier?: string | null;
  readonly permissionMode?: string | undefined;
  readonly collaborationMode?: string | undefined;
  readonly copilotAgentMode?: string | undefined;
  readonly backgroundTaskCount?: number;
  readonly scratchlistUpdatedAt?: number;
  readonly metadata?: Versioned;
  readonly agentState?: Versioned;
  readonly todos?: Versioned;
  readonly teamState?: Versioned;
}

export type Models = Pick<SessionRow, "model" | "modelReasoningEffort" | "effort" | "serviceTier">;

export const alivePatch = (presence: SessionPresence, models: Models): SessionPatch => ({
  active: true,
  activeAt: presence.activeAt,
  thinking: presence.thinking,
  activeTurnStartedAt: presence.activeTurnStartedAt,
  permissionMode: presence.permissionMode ?? undefined,
  model: models.model,
  modelReasoningEffort: models.modelReasoningEffort,
  effort: models.effort,
  serviceTier: models.serviceTier,
  collaborationMode: presence.collaborationMode ?? undefined,
  copilotAgentMode: presence.copilotAgentMode ?? undefined,
});

export const ENDED_PATCH: SessionPatch = {
  active: false,
  thinking: false,
  activeTurnStartedAt: null,
  backgroundTaskCount: 0,
};

export const EXPIRED_PATCH: SessionPatch = { active: false };

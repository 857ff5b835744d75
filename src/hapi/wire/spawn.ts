// Starting a session on a machine: what the runner is asked, and what web clients are told of its answer (hapi-socket 12 and 18.5,
// hapi-http-sse A9 and C3).
import type { Flavour } from "./flavours.ts";
import { isBoolean, isObject, isString, listOf, shaped, textAt } from "./shape.ts";

export interface SpawnRequest {
  readonly directory: string;
  readonly agent?: Flavour | undefined;
  readonly model?: string | undefined;
  readonly yolo?: boolean | undefined;
  readonly sessionType?: "simple" | "worktree" | undefined;
  readonly worktreeName?: string | undefined;
  readonly effort?: string | undefined;
  readonly modelReasoningEffort?: string | undefined;
  readonly permissionMode?: string | undefined;
  readonly serviceTier?: string | undefined;
  readonly collaborationMode?: string | undefined;
  readonly copilotAgentMode?: string | undefined;
  readonly startingMode?: string | undefined;
  /** The agent's own session to go on with. */
  readonly resumeSessionId?: string | undefined;
  /** The session to attach to again. */
  readonly sessionId?: string | undefined;
}

/** Members that are undefined do not reach the runner: it gets JSON. In the order of the recordings, which compare text. */
export const spawnParams = (request: SpawnRequest): object => ({
  type: "spawn-in-directory",
  directory: request.directory,
  agent: request.agent ?? "claude",
  model: request.model,
  modelReasoningEffort: request.modelReasoningEffort,
  effort: request.effort,
  yolo: request.yolo,
  permissionMode: request.permissionMode,
  serviceTier: request.serviceTier,
  sessionType: request.sessionType,
  worktreeName: request.worktreeName,
  resumeSessionId: request.resumeSessionId,
  existingSessionId: request.sessionId,
  sessionId: request.sessionId,
  collaborationMode: request.collaborationMode,
  copilotAgentMode: request.copilotAgentMode,
  startingMode: request.startingMode,
  forkSession: false,
});

export type Spawned =
  | { readonly type: "success"; readonly sessionId: string }
  | {
      readonly type: "error";
      readonly message: string;
      readonly code?: string | undefined;
      readonly agent?: string | undefined;
    };

const SHOWN = 1_000;

export const spawnFailure = (message: string, code?: string, agent?: string): Spawned => ({
  type: "error",
  message,
  code,
  agent,
});

export const MUST_BE_UPGRADED = {
  message: "This runner must be upgraded before creating sessions",
  code: "runner_upgrade_required",
} as const;

/** Those that clients know: they check it. */
const CODES: ReadonlySet<string | undefined> = new Set(["agent_unavailable", "outside_workspace_roots"]);

/** The runner's answer, whatever it is. */
export function spawned(answer: unknown): Spawned {
  if (isObject(answer)) {
    const sessionId = textAt(answer, "sessionId");
    if (answer.type === "success" && sessionId !== undefined) return { type: "success", sessionId };
    const directory = textAt(answer, "directory");
    if (answer.type === "requestToApproveDirectoryCreation" && directory !== undefined) {
      return spawnFailure(`Directory creation requires approval: ${directory}`);
    }
    const message = textAt(answer, "errorMessage") ?? textAt(answer, "error") ?? textAt(answer, "message");
    if (message !== undefined && answer.type !== "success") {
      const code = textAt(answer, "code");
      return spawnFailure(message, CODES.has(code) ? code : undefined, textAt(answer, "agent"));
    }
  }
  return spawnFailure(`Unexpected spawn result: ${JSON.stringify(answer ?? null)}`.slice(0, SHOWN));
}

/** Trimmed, without blanks and doubles. */
export const distinctPaths = (paths: readonly string[]): string[] => [
  ...new Set(paths.map((path) => path.trim()).filter((path) => path !== "")),
];

export interface PathsExist {
  readonly exists: Readonly<Record<string, boolean>>;
  readonly outsideWorkspaceRoots?: readonly string[] | undefined;
}

/** Which of its agents a runner can start: a list that clients read entry by entry. */
export const isAgentList = (answer: unknown): boolean => isObject(answer) && listOf(AGENT)(answer.agents);
const AGENT = shaped({ agent: isString, available: isBoolean }, { reason: isString });

/** Whether a runner has said of any path at all whether it is there. */
export const saysWhatExists = (answer: unknown): boolean => isObject(answer) && isObject(answer.exists);

/** Only a literal true is there. */
export function pathsExist(paths: readonly string[], answer: unknown): PathsExist {
  const said = isObject(answer) && isObject(answer.exists) ? answer.exists : {};
  // A path may be called like a member that every object has.
  const exists = Object.fromEntries(
    paths.map((path) => [path, Object.hasOwn(said, path) && said[path] === true]),
  );
  const outside = isObject(answer) ? answer.outsideWorkspaceRoots : undefined;
  const roots = Array.isArray(outside) ? outside.filter((path) => typeof path === "string") : [];
  return roots.length === 0 ? { exists } : { exists, outsideWorkspaceRoots: roots };
}

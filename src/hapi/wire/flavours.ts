// What the agents differ in: permission modes, which settings can be changed from the web, and under which key of the metadata a
// session's own id of the agent stands (hapi-http-sse A7, hapi-socket 18.5).
import { isObject } from "./shape.ts";

export const FLAVOURS = [
  "agy",
  "claude",
  "codex",
  "dsh",
  "copilot",
  "cursor",
  "gemini",
  "grok",
  "kimi",
  "opencode",
  "pi",
] as const;
export type Flavour = (typeof FLAVOURS)[number];

const CODEX_MODES = ["default", "read-only", "safe-yolo", "yolo"] as const;
const CLAUDE_MODES = ["default", "acceptEdits", "bypassPermissions", "plan", "auto"] as const;

const PERMISSION_MODES: Readonly<Record<Flavour, readonly string[]>> = {
  claude: CLAUDE_MODES,
  codex: CODEX_MODES,
  gemini: CODEX_MODES,
  kimi: CODEX_MODES,
  copilot: CODEX_MODES,
  opencode: ["default", "yolo", "plan"],
  grok: ["default", "auto", "plan", "bypassPermissions"],
  cursor: ["default", "plan", "ask", "debug", "autoReview", "yolo"],
  agy: ["request-review", "always-proceed"],
  pi: [],
  dsh: [],
};

/** Every mode that some flavour has. */
export const ALL_PERMISSION_MODES: ReadonlySet<string> = new Set(Object.values(PERMISSION_MODES).flat());

export const isFlavour = (value: unknown): value is Flavour =>
  typeof value === "string" && Object.hasOwn(PERMISSION_MODES, value);

/** Of the metadata of a session: what is missing or unknown counts as Claude wherever a rule of a flavour is asked. */
export function flavourOf(metadata: unknown): Flavour {
  const named = isObject(metadata) ? metadata.flavor : undefined;
  return isFlavour(named) ? named : "claude";
}

/** Empty for a flavour that has none. */
export const permissionModesOf = (flavour: Flavour): readonly string[] => PERMISSION_MODES[flavour];

export const hasPermissionMode = (flavour: Flavour, mode: string): boolean =>
  PERMISSION_MODES[flavour].includes(mode);

const RESUME_KEYS: Readonly<Record<Exclude<Flavour, "dsh">, string>> = {
  claude: "claudeSessionId",
  codex: "codexSessionId",
  gemini: "geminiSessionId",
  opencode: "opencodeSessionId",
  grok: "grokSessionId",
  agy: "agySessionId",
  cursor: "cursorSessionId",
  kimi: "kimiSessionId",
  copilot: "copilotSessionId",
  pi: "piSessionId",
};

/** Keys of the metadata that hold an agent's own session id. */
export const RESUME_ID_KEYS: readonly string[] = Object.values(RESUME_KEYS);

/**
 * The id with which the agent itself goes on: that of the session's flavour; for a missing or unknown flavour the first one there is.
 */
export function agentSessionId(metadata: unknown): string | undefined {
  if (!isObject(metadata)) return undefined;
  const text = (key: string): string | undefined => {
    const value = metadata[key];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const { flavor } = metadata;
  if (isFlavour(flavor)) return flavor === "dsh" ? undefined : text(RESUME_KEYS[flavor]);
  for (const key of RESUME_ID_KEYS) {
    const id = text(key);
    if (id !== undefined) return id;
  }
  return undefined;
}

/** Keys of the metadata that say with which session of an agent one goes on. */
export const AGENT_SESSION_KEYS: readonly string[] = ["flavor", ...RESUME_ID_KEYS];

/**
 * Equal for two sessions that are the same session of one agent; undefined where that is not known. The released hub knows it of all
 * agents but Kimi.
 */
export function agentSession(metadata: unknown): string | undefined {
  const id = agentSessionId(metadata);
  const named = isObject(metadata) ? metadata.flavor : undefined;
  if (id === undefined || named === "kimi") return undefined;
  return `${isFlavour(named) ? named : ""} ${id}`;
}

/** Where the agent's own id stands; undefined for an agent that has none. */
export function resumeKeyOf(metadata: unknown): string | undefined {
  const flavour = flavourOf(metadata);
  return flavour === "dsh" ? undefined : RESUME_KEYS[flavour];
}

const LABELS: Readonly<Record<Flavour, string>> = {
  claude: "Claude",
  codex: "Codex",
  gemini: "Gemini",
  opencode: "OpenCode",
  kimi: "Kimi",
  copilot: "Copilot",
  grok: "Grok",
  cursor: "Cursor",
  agy: "AGY",
  pi: "Pi",
  dsh: "DSH",
};

/** As notifications call it. A session without a flavour is of nobody in particular. */
export function agentLabel(metadata: unknown): string {
  const named = isObject(metadata) ? metadata.flavor : undefined;
  return isFlavour(named) ? LABELS[named] : "Agent";
}

/** An agent that nobody here knows: what its words mean is not known either. */
const isUnknown = (metadata: unknown): boolean => {
  const named = isObject(metadata) ? metadata.flavor : undefined;
  return typeof named === "string" && !isFlavour(named);
};

/** Whose model the web may choose. */
export const canChooseModel = (metadata: unknown): boolean =>
  !isUnknown(metadata) && flavourOf(metadata) !== "dsh";

const EFFORT: ReadonlySet<Flavour> = new Set(["claude", "grok", "pi"]);
export const canChooseEffort = (metadata: unknown): boolean =>
  !isUnknown(metadata) && EFFORT.has(flavourOf(metadata));

/** These two exist only as remote sessions, so a spawn with another starting mode is refused. */
export const isRemoteOnly = (flavour: Flavour): boolean => flavour === "agy" || flavour === "dsh";

/** Agents that take a message while they work. */
export const canSteer = (flavour: Flavour): boolean =>
  flavour === "codex" || flavour === "cursor" || flavour === "pi";

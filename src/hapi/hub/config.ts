// Settings of a session that a person changes: its CLI applies them and says what it applied, and only that is stored (hapi-socket 12,
// hapi-http-sse C3).
import type { SessionColumns, SessionKey, SessionPresence, SessionRow } from "../store/rows.ts";
import { agentStateView } from "../wire/agent-state.ts";
import {
  agentLabel,
  canChooseEffort,
  canChooseModel,
  flavourOf,
  hasPermissionMode,
  permissionModesOf,
} from "../wire/flavours.ts";
import { withKeys } from "../wire/metadata.ts";
import { isObject, textAt } from "../wire/shape.ts";
import { callCli, errorOf } from "./cli-call.ts";
import type { HubCore } from "./core.ts";
import { PREFERRED } from "./live-sessions.ts";
import { DONE, denial, INACTIVE, type Refusal, type Result, refusal } from "./result.ts";

export type ModelChoice = string | { readonly provider: string; readonly modelId: string } | null;

export interface SessionConfig {
  readonly permissionMode?: string | undefined;
  readonly model?: ModelChoice | undefined;
  readonly modelReasoningEffort?: string | null | undefined;
  readonly effort?: string | null | undefined;
  readonly serviceTier?: string | null | undefined;
  readonly collaborationMode?: string | undefined;
  readonly copilotAgentMode?: string | undefined;
}

const COLUMNS = ["model", "modelReasoningEffort", "effort", "serviceTier"] as const;
const MODES = ["permissionMode", "collaborationMode", "copilotAgentMode"] as const;
const SHOWN = 1_000;

const NO_MODES = refusal("unsupported", "Permission mode not supported for session flavor");
export const NO_SUCH_MODE = refusal("invalid", "Invalid permission mode for session flavor");

/** Undefined when the session's flavour has this mode. */
export function modeRefusal(metadata: unknown, mode: string): Refusal | undefined {
  const flavour = flavourOf(metadata);
  if (permissionModesOf(flavour).length === 0) return NO_MODES;
  return hasPermissionMode(flavour, mode) ? undefined : NO_SUCH_MODE;
}

/** Their own terminal says what model these use. */
const TERMINAL_CHOOSES: ReadonlySet<string> = new Set(["codex", "cursor", "grok"]);
const MODEL = "Model selection";

export class Config {
  constructor(private readonly core: HubCore) {}

  /** Also of a session that is not there: it starts with this mode the next time. */
  async setPermissionMode(key: SessionKey, mode: string): Promise<Result> {
    const row = await this.core.store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    const refused = modeRefusal(row.metadata, mode);
    if (refused !== undefined) return refused;
    if (this.core.isActive(key.id)) return this.apply(key, { permissionMode: mode });
    await this.#store(row, { permissionMode: mode });
    return DONE;
  }

  async setModel(key: SessionKey, model: ModelChoice): Promise<Result> {
    const row = await this.core.store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    if (!this.core.isActive(key.id)) return INACTIVE;
    if (!canChooseModel(row.metadata)) {
      return refusal("unsupported", "Model selection is not supported for this session");
    }
    return chosenByTerminal(row, MODEL) ?? this.apply(key, { model });
  }

  async setEffort(key: SessionKey, effort: string | null): Promise<Result> {
    const row = await this.core.store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    if (!this.core.isActive(key.id)) return INACTIVE;
    if (!canChooseEffort(row.metadata)) {
      return refusal("unsupported", "Effort selection is not supported for this session type");
    }
    return chosenByTerminal(row, "Effort") ?? this.apply(key, { effort });
  }

  /** Asks the CLI, and stores what it says that it applied. The caller has checked that the session is there and has these settings. */
  async apply(key: SessionKey, config: SessionConfig): Promise<Result> {
    const called = await callCli(this.core, key.id, "set-session-config", config);
    if (!called.ok) return called;
    const applied = appliedOf(called.answer, Object.keys(config));
    if ("ok" in applied) return applied;
    const row = await this.core.store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    await this.#store(row, applied.values);
    return DONE;
  }

  /** In one turn of the writer, so that web clients are told once, in full. */
  async #store(row: SessionRow, values: Readonly<Record<string, unknown>>): Promise<void> {
    const { core } = this;
    const key = { namespace: row.namespace, id: row.id };
    const modes: Partial<Record<(typeof MODES)[number], string>> = {};
    for (const mode of MODES) {
      const value = values[mode];
      if (typeof value === "string" && value !== "") modes[mode] = value;
    }
    const columns: { -readonly [Key in keyof SessionColumns]: SessionColumns[Key] } = {};
    for (const column of COLUMNS) if (column in values) columns[column] = columnOf(values[column]);
    const live = core.sessions.get(row.id);
    const presence: SessionPresence = { ...core.sessions.presenceOf(row), ...modes };
    if (live !== undefined) {
      live.presence = presence;
      live.configured = { at: core.now(), steady: core.steady() };
    }
    const keys = {
      ...("model" in values && flavourOf(row.metadata) === "pi" && { [PI_MODEL]: piModelOf(values.model) }),
      ...(modes.permissionMode && { [PREFERRED.permissionMode]: modes.permissionMode }),
      ...(modes.copilotAgentMode && { [PREFERRED.copilotAgentMode]: modes.copilotAgentMode }),
    };
    await Promise.all([
      core.store.storePresence({ sessions: [{ id: row.id, presence }] }),
      core.store.editMetadata(
        { key, edit: (stored) => (isObject(stored) ? withKeys(stored, keys) : undefined), touches: false },
        (result) => {
          if (typeof result === "string" || result.kind !== "changed") return;
          core.sessions.note(result.row);
          live?.noteOwnVersion(result.row.metadataVersion);
        },
      ),
      core.store.setSessionColumns(key, columns, (result) => {
        if (typeof result !== "string") core.tellSession(result.row);
      }),
    ]);
  }
}

function chosenByTerminal(row: SessionRow, what: string): Refusal | undefined {
  const isLocal = agentStateView(row.agentState)?.controlledByUser === true;
  return isLocal && TERMINAL_CHOOSES.has(flavourOf(row.metadata))
    ? refusal("conflict", `${what} can only be changed for remote ${agentLabel(row.metadata)} sessions`)
    : undefined;
}

/** Pi's models are known by their provider too, and the row has only the id: clients and the runner read the whole in the metadata. */
const PI_MODEL = "piSelectedModel";

function piModelOf(value: unknown): { readonly provider: string; readonly modelId: string } | null {
  const [provider, modelId] = [textAt(value, "provider"), textAt(value, "modelId")];
  return provider === undefined || modelId === undefined ? null : { provider, modelId };
}

/** The model of a provider is stored by its own id. */
const columnOf = (value: unknown): string | null =>
  (typeof value === "string" && value !== "" ? value : textAt(value, "modelId")) ?? null;

function appliedOf(
  answer: unknown,
  asked: readonly string[],
): Refusal | { readonly values: Readonly<Record<string, unknown>> } {
  if (!isObject(answer)) return refusal("cli", "Invalid response from session config RPC");
  const { applied } = answer;
  // An error stands, whatever it names as applied beside it.
  const error = errorOf(answer);
  if (error !== undefined || !isObject(applied)) {
    const said = error ?? `Missing applied session config, got: ${JSON.stringify(answer)}`;
    return refusal("cli", said.slice(0, SHOWN));
  }
  const missing = asked.find((key) => applied[key] === undefined);
  if (missing !== undefined) return refusal("cli", `Session did not apply ${missing}`);
  return { values: Object.fromEntries(asked.map((key) => [key, applied[key]])) };
}

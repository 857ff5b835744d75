// What only some agents have: settings of their sessions, and lists that their own CLIs are asked for (hapi-http-sse C5).
import type { SessionKey, SessionRow } from "../store/rows.ts";
import { agentStateView } from "../wire/agent-state.ts";
import { type Flavour, flavourOf } from "../wire/flavours.ts";
import { callCli } from "./cli-call.ts";
import type { Config, SessionConfig } from "./config.ts";
import type { HubCore } from "./core.ts";
import { DONE, denial, INACTIVE, type Result, refusal } from "./result.ts";

/** Of which agents, and what the others hear. */
export interface OfAgents {
  readonly flavours: readonly Flavour[];
  readonly isNot: string;
}

export interface AgentSetting extends OfAgents {
  /** While their own terminal controls the session; absent: it may be changed then too. */
  readonly isLocal?: string;
}

export interface AgentQuestion extends OfAgents {
  readonly method: string;
  readonly timeoutMs?: number;
}

export class AgentDeeds {
  constructor(
    private readonly core: HubCore,
    private readonly config: Config,
  ) {}

  /** For who reads the body of a change: an agent that has no such setting says so first. */
  async has(key: SessionKey, of: OfAgents): Promise<Result> {
    const found = await this.#ofAgents(key, of);
    return found.ok ? DONE : found;
  }

  async set(key: SessionKey, setting: AgentSetting, change: SessionConfig): Promise<Result> {
    const found = await this.#ofAgents(key, setting);
    if (!found.ok) return found;
    const isLocal = agentStateView(found.row.agentState)?.controlledByUser === true;
    if (isLocal && setting.isLocal !== undefined) return refusal("conflict", setting.isLocal);
    return this.config.apply(key, change);
  }

  /** Its CLI's answer as it is. */
  async ask(
    key: SessionKey,
    { method, timeoutMs, ...of }: AgentQuestion,
  ): Promise<Result<{ readonly answer: unknown }>> {
    const found = await this.#ofAgents(key, of);
    if (!found.ok) return found;
    return callCli(this.core, key.id, method, {}, timeoutMs === undefined ? {} : { timeoutMs });
  }

  /** That the session is at work is looked at first, as clients know it. */
  async #ofAgents(
    key: SessionKey,
    { flavours, isNot }: OfAgents,
  ): Promise<Result<{ readonly row: SessionRow }>> {
    const row = await this.core.store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    if (!this.core.isActive(key.id)) return INACTIVE;
    return flavours.includes(flavourOf(row.metadata)) ? { ok: true, row } : refusal("unsupported", isNot);
  }
}

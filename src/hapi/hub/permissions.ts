// A person's answer to what an agent asked. The hub only passes it on: the request goes when the CLI says so (hapi-socket 12,
// hapi-http-sse A9).
import type { SessionKey } from "../store/rows.ts";
import { agentStateView, requestWaiting } from "../wire/agent-state.ts";
import { callCli } from "./cli-call.ts";
import { modeRefusal, NO_SUCH_MODE } from "./config.ts";
import type { HubCore } from "./core.ts";
import { DONE, denial, INACTIVE, type Result, refusal } from "./result.ts";

export type Decision = "approved" | "approved_for_session" | "denied" | "abort";

export interface Approval {
  readonly mode?: string | undefined;
  readonly allowTools?: readonly string[] | undefined;
  readonly decision?: Decision | undefined;
  readonly answers?: Readonly<Record<string, unknown>> | undefined;
}

export class Permissions {
  constructor(private readonly core: HubCore) {}

  /** For the order of checks: a denial looks for the request before it looks at its body. */
  async find(session: SessionKey, requestId: string): Promise<Result<{ readonly metadata: unknown }>> {
    const row = await this.core.store.findSession(session);
    if (typeof row === "string") return denial("session", row);
    if (!this.core.isActive(session.id)) return INACTIVE;
    return requestWaiting(agentStateView(row.agentState), requestId) === undefined
      ? refusal("request-not-found", "Request not found")
      : { ok: true, metadata: row.metadata };
  }

  async approve(session: SessionKey, requestId: string, approval: Approval): Promise<Result> {
    const found = await this.find(session, requestId);
    if (!found.ok) return found;
    const { mode, allowTools, decision, answers } = approval;
    const refused = mode === undefined ? undefined : modeRefusal(found.metadata, mode);
    if (refused !== undefined) return NO_SUCH_MODE;
    return this.#answer(session, { id: requestId, approved: true, mode, allowTools, decision, answers });
  }

  async deny(session: SessionKey, requestId: string, decision?: Decision): Promise<Result> {
    const found = await this.find(session, requestId);
    if (!found.ok) return found;
    return this.#answer(session, { id: requestId, approved: false, decision });
  }

  async #answer(session: SessionKey, params: object): Promise<Result> {
    const called = await callCli(this.core, session.id, "permission", params);
    return called.ok ? DONE : called;
  }
}

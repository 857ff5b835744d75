// Going on with a session in a terminal: which ones there are, and having the remote one end first (hapi-http-sse C3, `hapi resume`).
import type { SessionKey, SessionListRow } from "../store/rows.ts";
import { agentStateView } from "../wire/agent-state.ts";
import { userText } from "../wire/content.ts";
import { metadataView } from "../wire/metadata.ts";
import { type ResumeTarget, resumeTarget } from "../wire/resume-target.ts";
import { callCli, errorOf } from "./cli-call.ts";
import type { HubCore } from "./core.ts";
import { isShared } from "./live-sessions.ts";
import { DONE, denial, type Result, refusal } from "./result.ts";
import { NOT_SWITCHED } from "./session-calls.ts";

export type ResumableSession = ResumeTarget & {
  readonly updatedAt: number;
  readonly name?: string | undefined;
  readonly summary?: string | undefined;
  readonly firstUserMessage?: string | undefined;
};

/** The newest; who looks for an older one names it. */
const MAX_LISTED = 200;
/** The first words of a person are among the first messages. */
const LOOKED_AT = 20;
const SHOWN = 500;
const ENDS_WITHIN_MS = 15_000;

const NO_PATH = refusal("resume-unavailable", "Session metadata missing path");
const UNAVAILABLE = refusal(
  "resume-unavailable",
  "Resume session ID unavailable. Start a new session in this directory, or retry after the agent has initialized.",
);

export class Handoff {
  constructor(
    private readonly core: HubCore,
    private readonly withinMs = ENDS_WITHIN_MS,
  ) {}

  async target(session: SessionKey): Promise<Result<{ readonly target: ResumeTarget }>> {
    const row = await this.core.store.findSession(session);
    if (typeof row === "string") return denial("session", row);
    if (!metadataView(row.metadata)?.path) return NO_PATH;
    const target = resumeTarget(row, this.core.sessions.presenceOf(row));
    return target === undefined ? UNAVAILABLE : { ok: true, target };
  }

  /** Newest first; of one machine, if it is named. */
  async resumable(namespace: string, machineId?: string): Promise<readonly ResumableSession[]> {
    const { core } = this;
    const rows = await core.store.listSessions(namespace);
    const found: { readonly row: SessionListRow; readonly target: ResumeTarget }[] = [];
    for (const row of rows) {
      const target = resumeTarget(row, core.sessions.presenceOf(row));
      if (target === undefined || (machineId !== undefined && target.machineId !== machineId)) continue;
      found.push({ row, target });
      if (found.length === MAX_LISTED) break;
    }
    return Promise.all(
      found.map(async ({ row, target }) => {
        const metadata = metadataView(row.metadata);
        return {
          ...target,
          updatedAt: row.updatedAt,
          name: metadata?.name,
          summary: metadata?.summary?.text,
          firstUserMessage: await this.#firstWords(row.id),
        };
      }),
    );
  }

  async #firstWords(sessionId: string): Promise<string | undefined> {
    const messages = await this.core.store.firstMessages(sessionId, LOOKED_AT);
    for (const { content } of messages) {
      const text = userText(content.value);
      if (text !== undefined) return text.slice(0, SHOWN);
    }
    return undefined;
  }

  /** Resolves once the remote session has ended. */
  async toLocal(session: SessionKey): Promise<Result> {
    const { core } = this;
    const row = await core.store.findSession(session);
    if (typeof row === "string") return denial("session", row);
    if (isShared(row.metadata)) return NOT_SWITCHED;
    if (!core.isActive(session.id)) return DONE;
    if (agentStateView(row.agentState)?.controlledByUser === true) {
      return refusal("already-local", "Session is controlled by its terminal already");
    }
    const called = await callCli(core, session.id, "handoff-local", {});
    const error = called.ok ? errorOf(called.answer) : called.error;
    if (error !== undefined) return refusal("cli", error);
    return (await core.sessions.whenGone(session.id, this.withinMs))
      ? DONE
      : refusal("cli", "The remote session did not end in time");
  }
}

// A shared session that begins anew (hapi-probed, "Steering, plans, branches"): its CLI opens another session in its place and names it.
import type { SessionKey } from "../store/rows.ts";
import { textAt } from "../wire/shape.ts";
import { callCli, errorOf } from "./cli-call.ts";
import type { HubCore } from "./core.ts";
import { isShared } from "./live-sessions.ts";
import { denial, type Result, refusal } from "./result.ts";
import type { Resuming } from "./resume.ts";

const WITHIN = { timeoutMs: 120_000 };
/** In which the session that was named is opened. */
const OPENED_WITHIN_MS = 5_000;
const NOT_SHARED = refusal("conflict", "Shared session required");
const NOT_NAMED = refusal("cli", "The session did not name the one that goes on in its place");
const NOT_OPENED = refusal("cli", "The session that goes on in its place was not opened in time");

export interface ClearParts {
  readonly core: HubCore;
  readonly resuming: Resuming;
  readonly openedWithinMs?: number;
}

export class Clearing {
  constructor(private readonly parts: ClearParts) {}

  /** One that is not at work is taken up first. @returns the id to go on with. */
  async clear(key: SessionKey): Promise<Result<{ readonly sessionId: string }>> {
    const { core, resuming, openedWithinMs = OPENED_WITHIN_MS } = this.parts;
    const row = await core.store.findSession(key);
    if (typeof row === "string") return denial("session", row);
    if (!isShared(row.metadata)) return NOT_SHARED;
    const resumed = await resuming.resume(key);
    if (!resumed.ok) return resumed;
    const { namespace } = key;
    const called = await callCli(core, resumed.sessionId, "clear-conversation", {}, WITHIN);
    if (!called.ok) return called;
    const sessionId = textAt(called.answer, "sessionId");
    const problem = errorOf(called.answer);
    if (problem !== undefined) return refusal("cli", problem);
    if (!sessionId || sessionId === resumed.sessionId) return NOT_NAMED;
    const isKnown = typeof (await core.store.findSession({ namespace, id: sessionId })) !== "string";
    if (!isKnown && !(await core.sessions.whenActive(sessionId, namespace, openedWithinMs)))
      return NOT_OPENED;
    return { ok: true, sessionId };
  }
}

// How a session ends: by its CLI's word, or archived by a person, whether its CLI can be reached or not (hapi-socket 10 and 18.2,
// hapi-http-sse C3). Ending twice is ending.

import type { EndReason } from "../events/event.ts";
import type { Denied, SessionKey, SessionRow } from "../store/rows.ts";
import { withKeys } from "../wire/metadata.ts";
import { claimedTime } from "../wire/presence-rules.ts";
import { ENDED_PATCH } from "../wire/session-patches.ts";
import { textAt } from "../wire/shape.ts";
import { callCli } from "./cli-call.ts";
import type { HubCore } from "./core.ts";
import { isShared } from "./live-sessions.ts";
import type { Merging } from "./merging.ts";
import { denial, INACTIVE, type Result } from "./result.ts";

export interface SessionEnd {
  readonly session: SessionKey;
  readonly time: number;
  readonly reason?: EndReason | undefined;
}

const REASON = "The hub archived it, its CLI could not be reached";

export class Lifecycle {
  constructor(
    private readonly core: HubCore,
    private readonly merging: Merging,
  ) {}

  /** The CLI says so. What waits in its queue will not be taken any more, unless others share it or it was only cleared. */
  async end({ session, time, reason }: SessionEnd): Promise<"ok" | Denied> {
    const row = await this.core.store.findSession(session);
    if (typeof row === "string") return row;
    const now = this.core.now();
    const sweeps = reason !== "cleared" && !isShared(row.metadata);
    return this.#end(row, claimedTime(time, now) ?? now, sweeps, reason);
  }

  async #end(row: SessionRow, at: number, sweeps: boolean, reason?: EndReason): Promise<"ok" | Denied> {
    const { core } = this;
    const before = core.sessions.presenceOf(row);
    // From now on it is not there, so that a keep-alive that comes later makes it come back.
    core.sessions.delete(row.id);
    const presence = {
      ...before,
      active: false,
      thinking: false,
      activeTurnStartedAt: null,
      backgroundTaskCount: 0,
    };
    const ended = await core.store.endSession({ key: row, at, sweeps, presence }, (result) => {
      if (typeof result === "string") return;
      const to = { namespace: row.namespace, sessionId: row.id };
      const localIds = result.sweptLocalIds;
      if (localIds.length > 0) {
        core.events.broadcast({ type: "messages-consumed", ...to, localIds, invokedAt: result.invokedAt });
      }
      if (before.active || before.thinking) core.tellPatch(row, ENDED_PATCH);
      core.events.broadcast({ type: "session-ended", ...to, reason });
      this.merging.rests(result.row);
    });
    return typeof ended === "string" ? ended : "ok";
  }

  /** Kills its CLI; where that cannot be reached the hub writes down that it is archived. */
  async archive(session: SessionKey): Promise<Result<{ readonly isArchivedAlready: boolean }>> {
    const { core } = this;
    const row = await core.store.findSession(session);
    if (typeof row === "string") return denial("session", row);
    const lifecycle = textAt(row.metadata, "lifecycleState");
    if (!core.isActive(session.id)) {
      if (lifecycle === "archived") return { ok: true, isArchivedAlready: true };
      if (lifecycle !== "running") return INACTIVE;
    }
    const killed = await callCli(core, session.id, "killSession", {});
    if (!killed.ok) await this.#writeArchived(session);
    // Its queue is kept: a session that is opened again goes on with it.
    const ended = await this.#end(row, core.now(), false);
    return ended === "ok" ? { ok: true, isArchivedAlready: false } : denial("session", ended);
  }

  async #writeArchived(key: SessionKey): Promise<void> {
    const keys = {
      lifecycleState: "archived",
      lifecycleStateSince: this.core.now(),
      archivedBy: "hub",
      archiveReason: REASON,
    };
    await this.core.store.editMetadata({ key, edit: (stored) => withKeys(stored, keys) }, (result) => {
      if (typeof result !== "string" && result.kind === "changed") this.core.tellSession(result.row);
    });
  }
}

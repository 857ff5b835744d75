// Two sessions that are one session of an agent become one, as soon as that is known and not both are at work: the one that is at work,
// else the one that was heard of last, takes up the other's history (hapi-probed, hapi-socket 12). Each merge is one operation of the
// store. What a crash leaves undone is seen again when a CLI of the session is first heard after it.
import type { MergedSessions, SessionKey } from "../store/rows.ts";
import { mergedAgentState } from "../wire/agent-state.ts";
import { AGENT_SESSION_KEYS, agentSession } from "../wire/flavours.ts";
import { isInHand, mergedHistory } from "../wire/metadata.ts";
import { webMessageUpdate } from "../wire/update.ts";
import type { HubCore } from "./core.ts";
import type { LiveSession } from "./live-sessions.ts";

interface Known {
  readonly id: string;
  readonly session: string;
  readonly wasHeard: boolean;
}

export class Merging {
  /** To be looked at, by namespace: many that come at once cost one look. */
  #waiting = new Map<string, Set<string>>();
  #isLooking = false;

  constructor(private readonly core: HubCore) {}

  /** A session at work; looked at once for each session of its agent. */
  heard(live: LiveSession): void {
    if (live.agentSession === live.lookedFor) return;
    live.lookedFor = live.agentSession;
    if (live.agentSession !== undefined) this.look(live);
  }

  /** It is not at work any more, or never was. */
  rests(row: SessionKey & { readonly metadata: unknown }): void {
    if (agentSession(row.metadata) !== undefined) this.look(row);
  }

  /** Something of the session changed by which it may be another's twin, or its twin may be merged now. */
  look({ namespace, id }: SessionKey): void {
    const waiting = this.#waiting.get(namespace) ?? new Set();
    this.#waiting.set(namespace, waiting.add(id));
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.core.inBackground(this.#lookAtAll(), "sessions of one agent session could not be merged");
  }

  async #lookAtAll(): Promise<void> {
    try {
      while (this.#waiting.size > 0) {
        const waiting = this.#waiting;
        this.#waiting = new Map();
        for (const [namespace, ids] of waiting) await this.#lookAt(namespace, ids);
      }
    } finally {
      this.#isLooking = false;
    }
  }

  async #lookAt(namespace: string, ids: ReadonlySet<string>): Promise<void> {
    const rows = await this.core.store.listAgentSessions(namespace, AGENT_SESSION_KEYS);
    const known = rows.flatMap(({ id, metadata, wasHeard }): Known[] => {
      const session = agentSession(metadata);
      return session === undefined ? [] : [{ id, session, wasHeard }];
    });
    const groups = Map.groupBy(known, ({ session }) => session);
    for (const group of groups.values()) {
      const moved = group.filter(({ id }) => ids.has(id)).at(0);
      if (moved !== undefined && group.length > 1) await this.#mergeAll(namespace, group, moved);
    }
  }

  async #mergeAll(namespace: string, group: readonly Known[], moved: Known): Promise<void> {
    const active = group.filter(({ id }) => this.core.isActive(id));
    if (active.length > 1) return;
    const [into = moved] = active;
    // What was just heard of goes first, then the newest.
    const others = new Set([moved, ...group]);
    others.delete(into);
    for (const from of others) {
      const mayGo = () => !this.core.isActive(from.id) && !this.#isComing(from);
      if (!mayGo()) continue;
      await this.merge(
        { namespace, from: from.id, into: into.id },
        (old, own) =>
          mayGo() &&
          !isInHand(old) &&
          agentSession(old) === into.session &&
          agentSession(own) === into.session,
      );
    }
  }

  /** Its CLI has just connected and says with its first keep-alive that it is there. */
  #isComing({ id, wasHeard }: Known): boolean {
    return !wasHeard && this.core.rooms.isConnected({ session: id });
  }

  /** @returns "not-found" also when one of them has gone meanwhile. */
  merge(
    { namespace, from, into }: { readonly namespace: string; readonly from: string; readonly into: string },
    isWanted?: (from: unknown, into: unknown) => boolean,
  ): ReturnType<HubCore["store"]["mergeSessions"]> {
    const { core } = this;
    const agentState = (old: unknown, own: unknown) => mergedAgentState(old, own, core.now());
    return core.store.mergeSessions(
      { namespace, from, into, isWanted, metadata: mergedHistory, agentState },
      (result) => {
        if (typeof result !== "string") this.#tell({ namespace, id: from }, { namespace, id: into }, result);
      },
    );
  }

  #tell({ namespace, id: from }: SessionKey, into: SessionKey, merged: MergedSessions): void {
    const { core } = this;
    core.sessions.delete(from);
    if (merged.movedMessages > 0)
      core.events.broadcast({ type: "messages-invalidated", namespace, sessionId: into.id });
    if (merged.movedNotes > 0) core.tellPatch(into, { scratchlistUpdatedAt: core.now() });
    core.events.broadcast({ type: "session-removed", namespace, sessionId: from });
    core.tellSession(merged.row);
    // A CLI that was heard already is told at once what waits for it now; one that comes is told with its first keep-alive.
    if (!core.isActive(into.id)) return;
    for (const message of merged.waiting)
      core.rooms.update({ session: into.id }, webMessageUpdate(into.id, message));
  }
}

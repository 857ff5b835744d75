// Messages for later: handed to their CLI once they are due, and again with every tick until it takes them (hapi-socket 18.2). Those of
// a session that is not at work wait for it, and keep nobody else's from their turn.
import type { WaitingMessage } from "../store/rows.ts";
import { webMessageUpdate } from "../wire/update.ts";
import type { HubCore } from "./core.ts";

/** Looked at in one tick. */
const MAX_DUE = 1_000;

export class ScheduledMessages {
  /** Ids of due messages that web clients know of: only of those that still wait. */
  #matured = new Set<string>();

  constructor(private readonly core: HubCore) {}

  async tick(): Promise<void> {
    const { core } = this;
    const atWork = [...core.sessions.all].filter(({ presence }) => presence.active).map(({ id }) => id);
    if (atWork.length === 0) return;
    const due = await core.store.dueMessages(core.now(), MAX_DUE, atWork);
    const known = this.#matured;
    this.#matured = new Set(due.map(({ message }) => message.id));
    for (const { namespace, message } of due) {
      if (!known.has(message.id)) this.#tellMatured(namespace, message);
      const room = { session: message.sessionId };
      if (!core.rooms.isConnected(room)) continue;
      core.rooms.update(room, webMessageUpdate(message.sessionId, message));
    }
  }

  #tellMatured(namespace: string, { sessionId }: WaitingMessage["message"]): void {
    this.core.events.broadcast({ type: "scheduled-matured", namespace, sessionId });
  }
}

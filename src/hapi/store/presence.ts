// Presence as of its transitions, in tables of our own, so that a restart changes no session's state. No path here touches messages.
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { factsOf } from "./facts.ts";
import type { Announce, MachinePresence, PresenceChanges, SessionPresence, StoredPresence } from "./rows.ts";
import { presenceOf } from "./session-rows.ts";
import { statement } from "./statement.ts";

const isThere = {
  session: statement("SELECT 1 FROM sessions WHERE id = $id"),
  machine: statement("SELECT 1 FROM machines WHERE id = $id"),
};
const session = statement(
  `UPDATE roost_sessions SET active = $active, active_at = $activeAt, thinking = $thinking, thinking_at = $thinkingAt,
     turn_started_at = $activeTurnStartedAt, background_tasks = $backgroundTaskCount, permission_mode = $permissionMode,
     collaboration_mode = $collaborationMode, copilot_mode = $copilotAgentMode WHERE session_id = $id`,
);
/** The released hub clears the row's own flag when a session expires, never sets it, and knows by the time when it was there last. */
const inactive = statement(
  `UPDATE sessions SET active = 0, active_at = $at
   WHERE id = $id AND (active IS NOT 0 OR coalesce(active_at, 0) < $at)`,
);
const machine = statement(
  `INSERT INTO roost_machines (machine_id, active, active_at) VALUES ($id, $active, $activeAt)
   ON CONFLICT (machine_id) DO UPDATE SET active = $active, active_at = $activeAt`,
);
const presentSessions = statement<Parameters<typeof presenceOf>[0] & { id: string; namespace: string }>(
  `SELECT s.id, s.namespace, r.active, r.active_at AS activeAt, r.thinking, r.thinking_at AS thinkingAt,
     r.turn_started_at AS turnStartedAt, r.background_tasks AS backgroundTasks, r.permission_mode AS permissionMode,
     r.collaboration_mode AS collaborationMode, r.copilot_mode AS copilotMode
   FROM roost_sessions r JOIN sessions s ON s.id = r.session_id WHERE r.active = 1`,
);
/** As a released hub left it, where we stored nothing yet. */
const presentMachines = statement<{ id: string; namespace: string; activeAt: number }>(
  `SELECT m.id, m.namespace, coalesce(r.active_at, m.active_at, m.created_at) AS activeAt
   FROM machines m LEFT JOIN roost_machines r ON r.machine_id = m.id WHERE coalesce(r.active, m.active) = 1`,
);

/** For use inside an operation. */
export function storeSession(db: Db, id: string, presence: SessionPresence): void {
  if (isThere.session(db).get({ id }) === null) return;
  factsOf(db, id);
  const { active, activeAt, thinking, thinkingAt, activeTurnStartedAt, backgroundTaskCount } = presence;
  const { permissionMode, collaborationMode, copilotAgentMode } = presence;
  session(db).run({
    id,
    active,
    activeAt,
    thinking,
    thinkingAt,
    activeTurnStartedAt,
    backgroundTaskCount,
    permissionMode,
    collaborationMode,
    copilotAgentMode,
  });
  if (!presence.active) inactive(db).run({ id, at: presence.activeAt });
}

export function storePresence(
  { writer }: Database,
  { sessions = [], machines = [] }: PresenceChanges,
  announce?: Announce<void>,
): Promise<void> {
  return writer.run((db) => {
    for (const { id, presence } of sessions) storeSession(db, id, presence);
    for (const { id, presence } of machines)
      if (isThere.machine(db).get({ id }) !== null) machine(db).run({ id, ...bound(presence) });
  }, announce);
}

const bound = ({ active, activeAt }: MachinePresence) => ({ active, activeAt });

export async function listPresent({ reads }: Database): Promise<StoredPresence> {
  return {
    sessions: presentSessions(reads)
      .all({})
      .flatMap((row) => {
        const presence = presenceOf(row);
        return presence === undefined ? [] : [{ id: row.id, namespace: row.namespace, presence }];
      }),
    machines: presentMachines(reads)
      .all({})
      .map(({ id, namespace, activeAt }) => ({ id, namespace, presence: { active: true, activeAt } })),
  };
}

// What the person who runs the server sees: namespaces, who uses them and how much they keep; the files of the database.
import { statSync } from "node:fs";
import type { Database } from "../../storage/database.ts";
import { keptBytes } from "./access.ts";
import type { NamespaceRow } from "./records.ts";
import type { Announce } from "./rows.ts";
import { deleteSession } from "./sessions.ts";
import { statement } from "./statement.ts";

const namespaces = statement<Omit<NamespaceRow, "bytes">>(
  `SELECT n.namespace,
     (SELECT count(*) FROM sessions WHERE namespace = n.namespace) AS sessions,
     (SELECT count(*) FROM machines WHERE namespace = n.namespace) AS machines,
     coalesce((SELECT sum(r.messages) FROM sessions s JOIN roost_sessions r ON r.session_id = s.id
       WHERE s.namespace = n.namespace), 0) AS messages,
     (SELECT count(*) FROM push_subscriptions WHERE namespace = n.namespace) AS pushSubscriptions,
     (SELECT count(*) FROM fcm_devices WHERE namespace = n.namespace) AS devices,
     (SELECT count(*) FROM users WHERE namespace = n.namespace) AS bindings,
     min(n.at) AS createdAt,
     max(n.seen) AS lastSeenAt
   FROM (
     SELECT s.namespace, s.created_at AS at, max(s.updated_at, coalesce(r.active_at, 0)) AS seen
       FROM sessions s LEFT JOIN roost_sessions r ON r.session_id = s.id
     UNION ALL SELECT m.namespace, m.created_at, max(m.updated_at, coalesce(r.active_at, m.active_at, 0))
       FROM machines m LEFT JOIN roost_machines r ON r.machine_id = m.id
     UNION ALL SELECT namespace, created_at, created_at FROM push_subscriptions
     UNION ALL SELECT namespace, created_at, updated_at FROM fcm_devices
     UNION ALL SELECT namespace, created_at, created_at FROM users
   ) n GROUP BY n.namespace ORDER BY createdAt, n.namespace`,
);
const sessionIds = statement<{ id: string }>(
  "SELECT id FROM sessions WHERE namespace = $namespace ORDER BY id",
);
const machineIds = statement<{ id: string }>(
  "SELECT id FROM machines WHERE namespace = $namespace ORDER BY id",
);
const bytesOf = statement<{ bytes: number }>(
  `SELECT coalesce(octet_length(s.metadata), 0) + coalesce(octet_length(s.agent_state), 0) + coalesce(octet_length(s.todos), 0)
     + coalesce(octet_length(s.team_state), 0) + coalesce(r.bytes, 0) AS bytes
   FROM sessions s LEFT JOIN roost_sessions r ON r.session_id = s.id WHERE s.id = $id`,
);
const REST = ["machines", "push_subscriptions", "fcm_devices", "users", "events"].map((table) =>
  statement(`DELETE FROM ${table} WHERE namespace = $namespace`),
);

export async function listNamespaces({ reads }: Database): Promise<NamespaceRow[]> {
  return namespaces(reads)
    .all({})
    .map((row) => ({ ...row, bytes: keptBytes(reads, row.namespace) }));
}

export async function sessionIdsOf({ reads }: Database, namespace: string): Promise<string[]> {
  return sessionIds(reads)
    .all({ namespace })
    .map(({ id }) => id);
}

export async function sessionBytes({ reads }: Database, id: string): Promise<number> {
  return bytesOf(reads).get({ id })?.bytes ?? 0;
}

export async function deleteNamespace(
  database: Database,
  namespace: string,
  gone: Announce<{ readonly session: string } | { readonly machine: string }> = () => {},
): Promise<{ readonly sessions: readonly string[]; readonly machines: readonly string[] }> {
  const sessions = await sessionIdsOf(database, namespace);
  for (const id of sessions)
    await deleteSession(database, { namespace, id }, (deleted) => {
      if (typeof deleted !== "string") gone({ session: id });
    });
  const machines = await database.writer.run(
    (db) => {
      const ids = machineIds(db).all({ namespace });
      for (const remove of REST) remove(db).run({ namespace });
      return ids.map(({ id }) => id);
    },
    (ids) => {
      for (const machine of ids) gone({ machine });
    },
  );
  return { sessions, machines };
}

export async function databaseFiles({ path }: Database): Promise<{
  readonly path: string;
  readonly databaseBytes: number;
  readonly walBytes: number;
  readonly shmBytes: number;
}> {
  const size = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  return {
    path,
    databaseBytes: size(path),
    walBytes: size(`${path}-wal`),
    shmBytes: size(`${path}-shm`),
  };
}

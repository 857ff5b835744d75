// The four versioned values: compare-and-swap by what the client last saw (hapi-socket 9), and edits of the whole stored object by the
// hub itself. Unknown keys stay because the stored object is what is edited (hapi-socket 17.5).
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { admitGrowth } from "./access.ts";
import { decode, encodeAdmitted } from "./json.ts";
import { readMachine, required } from "./machines.ts";
import type {
  Access,
  Announce,
  ChangedValue,
  EditedMetadata,
  Json,
  MachineRow,
  MetadataEdit,
  SessionRow,
  ValueChange,
} from "./rows.ts";
import { readSession } from "./session-rows.ts";
import { statement } from "./statement.ts";

interface Kind<Row> {
  /** As clients call it. */
  readonly field: string;
  readonly read: (db: Db) => {
    get(values: { id: string }): { namespace: string; text: string | null; version: number | null } | null;
  };
  readonly write: (db: Db) => {
    run(values: { id: string; text: string | null; version: number; now: number }): unknown;
  };
  readonly row: (db: Db, id: string) => Row | undefined;
}

function kind<Row>(
  table: string,
  column: string,
  field: string,
  row: Kind<Row>["row"],
  more = "",
): Kind<Row> & { readonly rename: Kind<Row>["write"] } {
  const set = `UPDATE ${table} SET ${column} = $text, ${column}_version = $version + 1, seq = coalesce(seq, 0) + 1`;
  const where = `WHERE id = $id AND coalesce(${column}_version, 1) = $version`;
  const write = statement(`${set}, updated_at = max(updated_at, $now)${more} ${where}`);
  const rename = statement(`${set} ${where}`);
  return {
    field,
    read: statement<{ namespace: string; text: string | null; version: number | null }>(
      `SELECT namespace, ${column} AS text, ${column}_version AS version FROM ${table} WHERE id = $id`,
    ),
    write,
    rename: (db) => ({ run: ({ now: _, ...values }) => rename(db).run(values) }),
    row,
  };
}

const metadata = kind("sessions", "metadata", "metadata", readSession);
const agentState = kind("sessions", "agent_state", "agentState", readSession);
const machineMetadata = kind("machines", "metadata", "metadata", readMachine);
const runnerState = kind(
  "machines",
  "runner_state",
  "runnerState",
  readMachine,
  ", active = 1, active_at = $now",
);

function swap<Row>(
  { field, read, write, row }: Kind<Row>,
  database: Database,
  { key, expectedVersion, value, merge }: ValueChange,
  announce: Announce<Access<ChangedValue<Row>>> | undefined,
  sender: object | undefined,
): Promise<Access<ChangedValue<Row>>> {
  return database.writer.run(
    (db): Access<ChangedValue<Row>> => {
      const stored = read(db).get({ id: key.id });
      if (stored === null) return "not-found";
      if (stored.namespace !== key.namespace) return "access-denied";
      const version = stored.version ?? 1;
      if (version !== expectedVersion)
        return { kind: "version-mismatch", version, value: decode(stored.text) };
      const next = merge === undefined ? value : merge(decode(stored.text), value);
      const text = admitted(db, database, field, key.namespace, stored.text, next);
      write(db).run({ id: key.id, text, version, now: Date.now() });
      return { kind: "success", version: version + 1, value: next ?? null, row: required(row(db, key.id)) };
    },
    announce,
    { holds: value, sender },
  );
}

function edit<Row>(
  { field, read, write, rename, row }: Kind<Row> & { readonly rename: Kind<Row>["write"] },
  database: Database,
  { key, edit: change, expectedVersion, touches = false }: MetadataEdit,
  announce: Announce<Access<EditedMetadata<Row>>> | undefined,
): Promise<Access<EditedMetadata<Row>>> {
  return database.writer.run((db): Access<EditedMetadata<Row>> => {
    const stored = read(db).get({ id: key.id });
    if (stored === null) return "not-found";
    if (stored.namespace !== key.namespace) return "access-denied";
    const version = stored.version ?? 1;
    if (expectedVersion !== undefined && expectedVersion !== version)
      return { kind: "conflict", row: required(row(db, key.id)) };
    const next = change(decode(stored.text));
    if (next === undefined) return { kind: "unchanged", row: required(row(db, key.id)) };
    const text = admitted(db, database, field, key.namespace, stored.text, next);
    if (text === stored.text) return { kind: "unchanged", row: required(row(db, key.id)) };
    (touches ? write : rename)(db).run({ id: key.id, text, version, now: Date.now() });
    return { kind: "changed", row: required(row(db, key.id)) };
  }, announce);
}

function admitted(
  db: Db,
  database: Database,
  field: string,
  namespace: string,
  before: string | null,
  value: Json,
): string | null {
  const text = encodeAdmitted(database.sizes, field, value);
  const growth = (text?.length ?? 0) - (before?.length ?? 0);
  if (growth > 0) admitGrowth(db, database, "message", namespace, growth);
  return text;
}

type Changed<Row> = Promise<Access<ChangedValue<Row>>>;
type AnnounceChanged<Row> = Announce<Access<ChangedValue<Row>>>;

export const changeMetadata = (
  database: Database,
  change: ValueChange,
  announce?: AnnounceChanged<SessionRow>,
  sender?: object,
): Changed<SessionRow> => swap(metadata, database, change, announce, sender);

export const changeAgentState = (
  database: Database,
  change: ValueChange,
  announce?: AnnounceChanged<SessionRow>,
  sender?: object,
): Changed<SessionRow> => swap(agentState, database, change, announce, sender);

export const changeMachineMetadata = (
  database: Database,
  change: ValueChange,
  announce?: AnnounceChanged<MachineRow>,
  sender?: object,
): Changed<MachineRow> => swap(machineMetadata, database, change, announce, sender);

export const changeRunnerState = (
  database: Database,
  change: ValueChange,
  announce?: AnnounceChanged<MachineRow>,
  sender?: object,
): Changed<MachineRow> => swap(runnerState, database, change, announce, sender);

export const editMetadata = (
  database: Database,
  change: MetadataEdit,
  announce?: Announce<Access<EditedMetadata<SessionRow>>>,
): Promise<Access<EditedMetadata<SessionRow>>> => edit(metadata, database, change, announce);

export const editMachineMetadata = (
  database: Database,
  change: MetadataEdit,
  announce?: Announce<Access<EditedMetadata<MachineRow>>>,
): Promise<Access<EditedMetadata<MachineRow>>> => edit(machineMetadata, database, change, announce);

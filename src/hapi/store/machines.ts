// Machines: registered by the runner again and again, changed by compare-and-swap. A machine id belongs to the first namespace that used
// it (hapi-data 3).
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { admitGrowth, denied, ROW_BYTES } from "./access.ts";
import { decode, encode, encodeAdmitted } from "./json.ts";
import type {
  Access,
  Announce,
  Json,
  MachineRow,
  RegisteredMachine,
  RegisterMachine,
  SessionKey,
} from "./rows.ts";
import { statement } from "./statement.ts";

interface Stored {
  readonly id: string;
  readonly namespace: string;
  readonly seq: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly metadata: string | null;
  readonly metadataVersion: number | null;
  readonly runnerState: string | null;
  readonly runnerStateVersion: number | null;
  readonly active: number | null;
  readonly activeAt: number | null;
}

const SELECT = `SELECT m.id, m.namespace, m.seq, m.created_at AS createdAt, m.updated_at AS updatedAt, m.metadata,
  m.metadata_version AS metadataVersion, m.runner_state AS runnerState, m.runner_state_version AS runnerStateVersion,
  coalesce(r.active, m.active) AS active, coalesce(r.active_at, m.active_at) AS activeAt
  FROM machines m LEFT JOIN roost_machines r ON r.machine_id = m.id`;
const byId = statement<Stored>(`${SELECT} WHERE m.id = $id`);
const ofNamespace = statement<Stored>(`${SELECT} WHERE m.namespace = $namespace ORDER BY m.created_at, m.id`);
const insert = statement(
  `INSERT INTO machines (id, namespace, created_at, updated_at, metadata, metadata_version, runner_state, runner_state_version,
     active, seq) VALUES ($id, $namespace, $now, $now, $metadata, 1, $runnerState, 1, 0, 0)`,
);
const overlay = statement(
  `UPDATE machines SET metadata = $metadata, metadata_version = coalesce(metadata_version, 1) + 1, seq = coalesce(seq, 0) + 1,
     updated_at = $now WHERE id = $id`,
);

export function readMachine(db: Db, id: string): MachineRow | undefined {
  const row = byId(db).get({ id });
  return row === null ? undefined : machineRow(row);
}

/** For use inside an operation. */
export function register(
  db: Db,
  database: Pick<Database, "quota" | "sizes">,
  { namespace, id, metadata, runnerState = null }: RegisterMachine,
  /** Whether its runner itself says so, and not one of its sessions. */
  isRunner: boolean,
): RegisteredMachine | "access-denied" {
  const row = byId(db).get({ id });
  const now = Date.now();
  if (row === null) {
    const stored = {
      metadata: encodeAdmitted(database.sizes, "metadata", metadata),
      runnerState: encodeAdmitted(database.sizes, "runnerState", runnerState),
    };
    const bytes = ROW_BYTES + (stored.metadata?.length ?? 0) + (stored.runnerState?.length ?? 0);
    admitGrowth(db, database, "thing", namespace, bytes);
    insert(db).run({ id, namespace, now, ...stored });
    return { kind: "created", row: required(readMachine(db, id)) };
  }
  if (row.namespace !== namespace) return "access-denied";
  const merged = isObject(metadata)
    ? laidOver(decode(row.metadata), metadata, isRunner ? RUNNERS_OWN : [])
    : undefined;
  const text = merged === undefined ? row.metadata : encode(merged);
  if (text === row.metadata) return { kind: "unchanged", row: machineRow(row) };
  database.sizes.admit("state", "metadata", text);
  overlay(db).run({ id, metadata: text, now });
  return { kind: "changed", row: required(readMachine(db, id)) };
}

export function registerMachine(
  database: Database,
  machine: RegisterMachine,
  announce?: Announce<RegisteredMachine | "access-denied">,
): Promise<RegisteredMachine | "access-denied"> {
  return database.writer.run((db) => register(db, database, machine, true), announce, { holds: machine });
}

export async function findMachine({ reads }: Database, key: SessionKey): Promise<Access<MachineRow>> {
  return denied(reads, "machines", key) ?? readMachine(reads, key.id) ?? "not-found";
}

export async function listMachines({ reads }: Database, namespace: string): Promise<MachineRow[]> {
  return ofNamespace(reads).all({ namespace }).map(machineRow);
}

function machineRow(row: Stored): MachineRow {
  return {
    id: row.id,
    namespace: row.namespace,
    seq: row.seq ?? 0,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
    metadata: decode(row.metadata),
    metadataVersion: row.metadataVersion ?? 1,
    runnerState: decode(row.runnerState),
    runnerStateVersion: row.runnerStateVersion ?? 1,
    presence: { active: row.active === 1, activeAt: row.activeAt ?? row.createdAt },
  };
}

const isObject = (value: Json): value is Readonly<Record<string, Json>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What a runner can do and how it was started: one that no longer says so cannot, whatever the one before it said. */
const RUNNERS_OWN = ["capabilities", "startedCliMtimeMs", "installedCliMtimeMs", "supervisedRestart"];

/** Undefined when nothing changes. */
function laidOver(
  stored: Json,
  given: Readonly<Record<string, Json>>,
  /** Keys that go when they are not given. */
  own: readonly string[],
): Json {
  if (!isObject(stored)) return given;
  const gone = own.filter((key) => Object.hasOwn(stored, key) && !Object.hasOwn(given, key));
  const isSame = Object.entries(given).every(
    ([key, value]) => Object.hasOwn(stored, key) && Bun.deepEquals(stored[key], value, true),
  );
  if (isSame && gone.length === 0) return undefined;
  const merged: Record<string, Json> = { ...stored, ...given };
  for (const key of gone) delete merged[key];
  return merged;
}

export function required<T>(row: T | undefined): T {
  if (row === undefined) throw new Error("a row vanished inside its own operation");
  return row;
}

// Machines: ids are chosen by clients and unique across accounts; metadata and daemon state are versioned.
import { and, desc, eq, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { type Light, lightRow } from "../../storage/large-rows.ts";
import { type Db, prepared } from "../../storage/query.ts";
import { nextColumns, staleParts, type Versioned } from "../../storage/versioned.ts";
import { type Listed, NOTHING, weighedList } from "../../storage/weighed-list.ts";
import { admitChange, admitMachine, admitRows } from "./account-sizes.ts";
import { accountPk, findAccountPk, takeUpdateSeqs } from "./accounts.ts";
import { accessKeys, accounts, machines } from "./schema.ts";

export type MachineRow = typeof machines.$inferSelect;
/** A machine whose large texts may still be in the database. */
export type LightMachine = Light<MachineRow, "metadata" | "daemonState">;

const owned = prepared((db) =>
  db
    .select({ machine: machines })
    .from(machines)
    .innerJoin(accounts, eq(accounts.pk, machines.accountPk))
    .where(and(eq(machines.id, sql.placeholder("machine")), eq(accounts.id, sql.placeholder("account"))))
    .prepare(),
);

const ownedPk = prepared((db) =>
  db
    .select({ pk: machines.pk })
    .from(machines)
    .innerJoin(accounts, eq(accounts.pk, machines.accountPk))
    .where(and(eq(machines.id, sql.placeholder("machine")), eq(accounts.id, sql.placeholder("account"))))
    .prepare(),
);

/** Integer key of a machine that belongs to the account, else undefined. */
export function findMachinePk(db: Db, account: string, machine: string): number | undefined {
  return ownedPk(db).get({ account, machine })?.pk;
}

/** A machine that belongs to the account, else undefined. */
export function findMachine(db: Db, account: string, machine: string): MachineRow | undefined {
  return owned(db).get({ account, machine })?.machine;
}

/** What may be large, and what is changed by version. */
const PARTS = { metadata: "metadataVersion", daemonState: "daemonStateVersion" } as const;
const light = lightRow(machines, PARTS);

/** A machine that belongs to the account, with its large texts left in the database. */
export async function findLightMachine(
  { reads }: Database,
  account: string,
  machine: string,
): Promise<LightMachine | undefined> {
  const pk = findMachinePk(reads, account, machine);
  return pk === undefined ? undefined : light(reads, pk);
}

const all = weighedList({
  table: machines,
  large: PARTS,
  where: eq(machines.accountPk, sql.placeholder("account")),
  order: desc(machines.lastActiveAt),
});

/** Most recently heard first. */
export async function listMachines({ reads }: Database, account: string): Promise<Listed<LightMachine>> {
  const pk = findAccountPk(reads, account);
  return pk === undefined ? NOTHING : all(reads, { values: { account: pk } });
}

export interface NewMachine {
  readonly id: string;
  readonly metadata: string;
  /** Empty text counts as none. */
  readonly daemonState: string | undefined;
  readonly dataEncryptionKey: Uint8Array | null;
}

export type RegisteredMachine =
  | {
      readonly kind: "new";
      readonly row: MachineRow;
      readonly newMachineSeq: number;
      readonly updateMachineSeq: number;
    }
  | { readonly kind: "known"; readonly row: MachineRow }
  | { readonly kind: "foreign" };

/** Create-or-return by id. A new machine takes two update numbers (realtime contract 7.7). @throws UnknownAccount */
export function registerMachine(
  { writer, quota, sizes }: Database,
  account: string,
  machine: NewMachine,
  announce: (registered: RegisteredMachine) => void,
): Promise<RegisteredMachine> {
  sizes.admit("metadata", "metadata", machine.metadata);
  sizes.admit("state", "daemonState", machine.daemonState);
  sizes.admitBytes("metadata", "dataEncryptionKey", machine.dataEncryptionKey?.length ?? 0);
  return writer.run((db): RegisteredMachine => {
    const owner = accountPk(db, account);
    const existing = db.select().from(machines).where(eq(machines.id, machine.id)).get();
    if (existing !== undefined)
      return existing.accountPk === owner ? { kind: "known", row: existing } : { kind: "foreign" };
    quota.admit("thing");
    admitMachine(db, quota, { account, pk: owner });
    admitRows(db, quota, { account, pk: owner }, [machine.id, machine.metadata, machine.daemonState]);
    const now = Date.now();
    const daemonState = machine.daemonState || null;
    const row = db
      .insert(machines)
      .values({
        id: machine.id,
        accountPk: owner,
        metadata: machine.metadata,
        metadataVersion: 1,
        daemonState,
        daemonStateVersion: daemonState === null ? 0 : 1,
        dataEncryptionKey: machine.dataEncryptionKey,
        active: false,
        lastActiveAt: now,
        createdAt: now,
        updatedAt: now,
      })
      .returning()
      .get();
    const first = takeUpdateSeqs(db, owner, now, 2);
    return { kind: "new", row, newMachineSeq: first, updateMachineSeq: first + 1 };
  }, announce);
}

export interface MachineChange {
  readonly metadata?: Versioned<string> | undefined;
  readonly daemonState?: Versioned<string> | undefined;
}

export type MachineChangeResult =
  | {
      readonly kind: "changed";
      readonly metadataSeq: number | undefined;
      readonly daemonStateSeq: number | undefined;
      readonly at: number;
    }
  | {
      readonly kind: "mismatch";
      readonly row: MachineRow;
      readonly metadata: boolean;
      readonly daemonState: boolean;
    }
  | { readonly kind: "missing" };

/** Compare-and-swap of the given parts, all or nothing. A new daemon state also proves the machine alive (realtime contract 6.9). */
export function changeMachine(
  { writer, quota, sizes }: Database,
  account: string,
  machine: string,
  change: MachineChange,
  announce: (result: MachineChangeResult) => void,
): Promise<MachineChangeResult> {
  const { metadata, daemonState } = change;
  sizes.admit("metadata", "metadata", metadata?.value);
  sizes.admit("state", "daemonState", daemonState?.value);
  return writer.holding(change).run((db): MachineChangeResult => {
    const row = findMachine(db, account, machine);
    if (row === undefined) return { kind: "missing" };
    const stale = staleParts(PARTS, change, row);
    if (stale !== undefined) return { kind: "mismatch", row, ...stale };
    admitChange(db, quota, { account, pk: row.accountPk }, change, row);
    const at = Date.now();
    db.update(machines)
      .set({
        ...nextColumns(PARTS, change),
        ...(daemonState && { active: true, lastActiveAt: at }),
        updatedAt: at,
      })
      .where(eq(machines.pk, row.pk))
      .run();
    return {
      kind: "changed",
      at,
      metadataSeq: metadata && takeUpdateSeqs(db, row.accountPk, at),
      daemonStateSeq: daemonState && takeUpdateSeqs(db, row.accountPk, at),
    };
  }, announce);
}

/** Deletes a machine and its access keys; its sessions stay. False when the account has no such machine. */
export function deleteMachine(
  { writer }: Database,
  account: string,
  machine: string,
  announce: (updateSeq: number) => void,
): Promise<boolean> {
  return writer
    .run(
      (db) => {
        const row = findMachine(db, account, machine);
        if (row === undefined) return undefined;
        db.delete(accessKeys).where(eq(accessKeys.machinePk, row.pk)).run();
        db.delete(machines).where(eq(machines.pk, row.pk)).run();
        return takeUpdateSeqs(db, row.accountPk, Date.now());
      },
      (seq) => {
        if (seq !== undefined) announce(seq);
      },
    )
    .then((seq) => seq !== undefined);
}

// Access keys: one opaque blob for each (account, machine, session), with a version. A foreign session or machine looks like none.
import { and, asc, eq, type SQL, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import type { Light } from "../../storage/large-rows.ts";
import { type Db, prepared } from "../../storage/query.ts";
import { nextColumns, staleParts } from "../../storage/versioned.ts";
import { type Listed, listedAs, NOTHING, weighedList } from "../../storage/weighed-list.ts";
import { admitAccessKey, admitChange, admitRows } from "./account-sizes.ts";
import { findAccountPk } from "./accounts.ts";
import { findMachinePk } from "./machines.ts";
import { accessKeys, machines, sessions } from "./schema.ts";
import { findOwnedSession } from "./sessions.ts";

export type AccessKeyRow = typeof accessKeys.$inferSelect;
type LightAccessKey = Light<AccessKeyRow, "data">;
export type ListedAccessKey = Place &
  Pick<LightAccessKey, "data" | "dataVersion" | "createdAt" | "updatedAt">;

export interface Place {
  readonly sessionId: string;
  readonly machineId: string;
}

const byPlace = prepared((db) =>
  db
    .select()
    .from(accessKeys)
    .where(
      and(
        eq(accessKeys.sessionPk, sql.placeholder("session")),
        eq(accessKeys.machinePk, sql.placeholder("machine")),
      ),
    )
    .prepare(),
);

/** Integer keys of a session and a machine that both belong to the account, else undefined. */
function findPlace(db: Db, account: string, { sessionId, machineId }: Place) {
  const session = findOwnedSession(db, account, sessionId);
  const machine = findMachinePk(db, account, machineId);
  if (session === undefined || machine === undefined) return undefined;
  return { account: session.accountPk, session: session.pk, machine };
}

/** Null when there is no key; undefined when the session or the machine is not the account's. */
export async function findAccessKey(
  { reads }: Database,
  account: string,
  place: Place,
): Promise<AccessKeyRow | null | undefined> {
  const keys = findPlace(reads, account, place);
  return keys && (byPlace(reads).get(keys) ?? null);
}

const PARTS = { data: "dataVersion" } as const;

const list = (filter: SQL | undefined) =>
  weighedList({
    table: accessKeys,
    large: PARTS,
    where: and(eq(accessKeys.accountPk, sql.placeholder("account")), filter),
    order: asc(accessKeys.pk),
  });
const ofSession = eq(accessKeys.sessionPk, sql.placeholder("session"));
const ofMachine = eq(accessKeys.machinePk, sql.placeholder("machine"));
const everyKey = list(undefined);
const keysOfSession = list(ofSession);
const keysOfMachine = list(ofMachine);
const keyOfBoth = list(and(ofSession, ofMachine));

const places = prepared((db) =>
  db
    .select({ sessionId: sessions.id, machineId: machines.id })
    .from(sessions)
    .innerJoin(machines, eq(machines.pk, sql.placeholder("machine")))
    .where(eq(sessions.pk, sql.placeholder("session")))
    .prepare(),
);

/** Every access key of the account, oldest first; of one session, of one machine, or of both when they are given. */
export async function listAccessKeys(
  { reads }: Database,
  account: string,
  { sessionId, machineId }: Partial<Place>,
): Promise<Listed<ListedAccessKey>> {
  const pk = findAccountPk(reads, account);
  const session = sessionId === undefined ? undefined : findOwnedSession(reads, account, sessionId)?.pk;
  const machine = machineId === undefined ? undefined : findMachinePk(reads, account, machineId);
  if (pk === undefined) return NOTHING;
  if (sessionId !== undefined && session === undefined) return NOTHING;
  if (machineId !== undefined && machine === undefined) return NOTHING;
  const ofPlace = session === undefined ? keysOfMachine : machine === undefined ? keysOfSession : keyOfBoth;
  const read = session === undefined && machine === undefined ? everyKey : ofPlace;
  const listed = read(reads, { values: { account: pk, session, machine } });
  return listedAs(listed, (row) => placed(reads, row));
}

function placed(reads: Db, row: LightAccessKey): ListedAccessKey | undefined {
  const place = places(reads).get({ session: row.sessionPk, machine: row.machinePk });
  const { data, dataVersion, createdAt, updatedAt } = row;
  return place && { ...place, data, dataVersion, createdAt, updatedAt };
}

export type CreatedAccessKey =
  | { readonly kind: "new"; readonly row: AccessKeyRow }
  | { readonly kind: "exists" }
  | { readonly kind: "missing" };

/** A first key; never writes over one that is there. */
export function createAccessKey(
  { writer, quota, sizes }: Database,
  account: string,
  place: Place,
  data: string,
): Promise<CreatedAccessKey> {
  sizes.admit("metadata", "data", data);
  return writer.run((db): CreatedAccessKey => {
    const keys = findPlace(db, account, place);
    if (keys === undefined) return { kind: "missing" };
    if (byPlace(db).get(keys) !== undefined) return { kind: "exists" };
    quota.admit("thing");
    admitAccessKey(db, quota, { account, pk: keys.account });
    admitRows(db, quota, { account, pk: keys.account }, [data]);
    const now = Date.now();
    const row = db
      .insert(accessKeys)
      .values({
        id: newId(now),
        accountPk: keys.account,
        sessionPk: keys.session,
        machinePk: keys.machine,
        data,
        dataVersion: 1,
        createdAt: now,
        updatedAt: now,
      })
      .returning()
      .get();
    return { kind: "new", row };
  });
}

export type AccessKeyChange =
  | { readonly kind: "changed"; readonly version: number }
  | { readonly kind: "mismatch"; readonly version: number; readonly data: string }
  | { readonly kind: "missing" };

/** Compare-and-swap of the blob. */
export function changeAccessKey(
  { writer, quota, sizes }: Database,
  account: string,
  place: Place,
  data: string,
  expectedVersion: number,
): Promise<AccessKeyChange> {
  sizes.admit("metadata", "data", data);
  return writer.run((db): AccessKeyChange => {
    const keys = findPlace(db, account, place);
    const row = keys && byPlace(db).get(keys);
    if (row === undefined) return { kind: "missing" };
    const change = { data: { value: data, expectedVersion } };
    if (staleParts(PARTS, change, row) !== undefined)
      return { kind: "mismatch", version: row.dataVersion, data: row.data };
    admitChange(db, quota, { account, pk: row.accountPk }, change, row);
    db.update(accessKeys)
      .set({ ...nextColumns(PARTS, change), updatedAt: Date.now() })
      .where(eq(accessKeys.pk, row.pk))
      .run();
    return { kind: "changed", version: expectedVersion + 1 };
  });
}

// How much an account keeps: bytes of its contents, with a floor for each row so that empty rows count too, and how many machines and
// access keys. Triggers of migration 0003 keep the figures true for every way in and out; here they are read, before something grows.
import { eq, sql } from "drizzle-orm";
import type { CountBound, Owner } from "../../storage/account-bounds.ts";
import type { Database } from "../../storage/database.ts";
import { type Db, prepared } from "../../storage/query.ts";
import type { Versioned } from "../../storage/versioned.ts";
import { accountSizes } from "./schema.ts";

/** What a row costs besides its contents, in itself and in indexes. The triggers have the same number. */
export const ROW_BYTES = 256;

const byAccount = prepared((db) =>
  db
    .select()
    .from(accountSizes)
    .where(eq(accountSizes.accountPk, sql.placeholder("pk")))
    .prepare(),
);

type Quota = Database["quota"];
type Content = string | Uint8Array | null | undefined;

/** For use inside an operation, before `rows` rows with such contents are stored. @throws AccountFull */
export function admitRows(db: Db, quota: Quota, owner: Owner, contents: readonly Content[], rows = 1): void {
  admitGrowth(db, quota, owner, rows * ROW_BYTES + bytesOf(contents));
}

/** The same for a change of a row: each changed part takes the place of what `row` has. @throws AccountFull */
export function admitChange<C extends { readonly [K in keyof C]?: Versioned<Content> | undefined }>(
  db: Db,
  quota: Quota,
  owner: Owner,
  change: C,
  row: { readonly [K in keyof C]: Content },
): void {
  let grown = 0;
  for (const name in change) {
    const part = change[name];
    if (part !== undefined) grown += bytesOf([part.value]) - bytesOf([row[name]]);
  }
  admitGrowth(db, quota, owner, grown);
}

/** @throws AccountFull */
export function admitGrowth(db: Db, quota: Quota, owner: Owner, bytes: number): void {
  quota.accounts.admitBytes(owner, bytes, () => byAccount(db).get({ pk: owner.pk })?.bytes ?? 0);
}

const MACHINES: CountBound = {
  name: "machines",
  bound: "account-machines",
  sentence: (limit) =>
    `Your account has as many machines on this server as it may (${limit}). Delete one that you no longer use, or ask its operator for more.`,
};
const ACCESS_KEYS: CountBound = {
  name: "accessKeys",
  bound: "account-access-keys",
  sentence: (limit) =>
    `Your account has as many access keys on this server as it may (${limit}). Delete old sessions, or ask its operator for more.`,
};

/** @throws AccountFull */
export function admitMachine(db: Db, quota: Quota, owner: Owner): void {
  quota.accounts.admitOneMore(owner, MACHINES, () => byAccount(db).get({ pk: owner.pk })?.machines ?? 0);
}

/** @throws AccountFull */
export function admitAccessKey(db: Db, quota: Quota, owner: Owner): void {
  quota.accounts.admitOneMore(owner, ACCESS_KEYS, () => byAccount(db).get({ pk: owner.pk })?.accessKeys ?? 0);
}

function bytesOf(contents: readonly Content[]): number {
  let bytes = 0;
  for (const content of contents)
    bytes += typeof content === "string" ? Buffer.byteLength(content) : (content?.length ?? 0);
  return bytes;
}

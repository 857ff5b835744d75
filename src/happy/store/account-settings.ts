// What an account says about itself: its encrypted settings, compare-and-swap by version, and its names.
import { eq, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { lightRow } from "../../storage/large-rows.ts";
import { type Db, prepared } from "../../storage/query.ts";
import type { StoredValue } from "../../storage/stored-value.ts";
import { nextColumns, staleParts, type Versioned } from "../../storage/versioned.ts";
import { accountPk, takeUpdateSeqs, UnknownAccount } from "./accounts.ts";
import { accounts } from "./schema.ts";

export interface AccountChange {
  readonly settings?: Versioned<string | null> | undefined;
  readonly firstName?: string | null | undefined;
  readonly lastName?: string | null | undefined;
}

export type AccountChangeResult =
  | { readonly kind: "changed"; readonly updateSeq: number }
  | { readonly kind: "mismatch" };

export interface StoredSettings {
  /** Still in the database where they are large. */
  readonly settings: string | StoredValue | null;
  readonly settingsVersion: number;
}

const PARTS = { settings: "settingsVersion" } as const;
const light = lightRow(accounts, PARTS);

/** @throws UnknownAccount */
export async function loadSettings({ reads }: Database, account: string): Promise<StoredSettings> {
  return storedSettings(reads, account);
}

/** @throws UnknownAccount */
export function storedSettings(db: Db, account: string): StoredSettings {
  const row = light(db, accountPk(db, account));
  if (row === undefined) throw new UnknownAccount();
  return { settings: row.settings, settingsVersion: row.settingsVersion };
}

const versions = prepared((db) =>
  db
    .select({ pk: accounts.pk, settingsVersion: accounts.settingsVersion })
    .from(accounts)
    .where(eq(accounts.id, sql.placeholder("id")))
    .prepare(),
);

/** Writes all given parts, or none when the settings' expected version is not the current one. @throws UnknownAccount */
export function changeAccount(
  { writer, sizes }: Database,
  account: string,
  { settings, firstName, lastName }: AccountChange,
  announce: (result: AccountChangeResult) => void,
): Promise<AccountChangeResult> {
  sizes.admit("state", "settings", settings?.value);
  return writer.run((db): AccountChangeResult => {
    const row = versions(db).get({ id: account });
    if (row === undefined) throw new UnknownAccount();
    if (staleParts(PARTS, { settings }, row) !== undefined) return { kind: "mismatch" };
    const now = Date.now();
    db.update(accounts)
      .set({
        ...nextColumns(PARTS, { settings }),
        ...(firstName !== undefined && { firstName }),
        ...(lastName !== undefined && { lastName }),
        updatedAt: now,
      })
      .where(eq(accounts.pk, row.pk))
      .run();
    return { kind: "changed", updateSeq: takeUpdateSeqs(db, row.pk, now) };
  }, announce);
}

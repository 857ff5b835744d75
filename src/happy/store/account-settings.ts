// What an account says about itself: its encrypted settings, compare-and-swap by version, and its names.
import { eq } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { findAccount, takeUpdateSeqs, UnknownAccount } from "./accounts.ts";
import { accounts } from "./schema.ts";
import type { Versioned } from "./session-state.ts";

export interface AccountChange {
  readonly settings?: Versioned<string | null> | undefined;
  readonly firstName?: string | null | undefined;
  readonly lastName?: string | null | undefined;
}

/** `version` and `settings` of a mismatch are the current ones. */
export type AccountChangeResult =
  | { readonly kind: "changed"; readonly updateSeq: number }
  | { readonly kind: "mismatch"; readonly version: number; readonly settings: string | null };

export interface StoredSettings {
  readonly settings: string | null;
  readonly settingsVersion: number;
}

/** @throws UnknownAccount */
export function loadSettings({ reads }: Database, account: string): StoredSettings {
  const row = findAccount(reads, account);
  if (row === undefined) throw new UnknownAccount();
  return { settings: row.settings, settingsVersion: row.settingsVersion };
}

/** Writes all given parts, or none when the settings' expected version is not the current one. @throws UnknownAccount */
export function changeAccount(
  { writer, sizes }: Database,
  account: string,
  { settings, firstName, lastName }: AccountChange,
  announce: (result: AccountChangeResult) => void,
): Promise<AccountChangeResult> {
  sizes.admit("state", "settings", settings?.value);
  return writer.run((db): AccountChangeResult => {
    const row = findAccount(db, account);
    if (row === undefined) throw new UnknownAccount();
    if (settings !== undefined && settings.expectedVersion !== row.settingsVersion) {
      return { kind: "mismatch", version: row.settingsVersion, settings: row.settings };
    }
    const now = Date.now();
    db.update(accounts)
      .set({
        ...(settings && { settings: settings.value, settingsVersion: row.settingsVersion + 1 }),
        ...(firstName !== undefined && { firstName }),
        ...(lastName !== undefined && { lastName }),
        updatedAt: now,
      })
      .where(eq(accounts.pk, row.pk))
      .run();
    return { kind: "changed", updateSeq: takeUpdateSeqs(db, row.pk, now) };
  }, announce);
}

// Tokens of AI vendors, one a vendor and account, sealed before they come here.
import { and, asc, eq } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import { accountPk, findAccountPk } from "./accounts.ts";
import { serviceAccountTokens as tokens } from "./schema.ts";

/** @throws UnknownAccount */
export function putVendorToken(
  { writer, sizes }: Database,
  account: string,
  vendor: string,
  token: Uint8Array,
): Promise<void> {
  sizes.admitBytes("metadata", "token", token.length);
  return writer.run((db) => {
    const now = Date.now();
    const pk = accountPk(db, account);
    db.insert(tokens)
      .values({ id: newId(now), accountPk: pk, vendor, token, createdAt: now, updatedAt: now })
      .onConflictDoUpdate({
        target: [tokens.accountPk, tokens.vendor],
        set: { token, updatedAt: now },
      })
      .run();
  });
}

export async function findVendorToken(
  { reads }: Database,
  account: string,
  vendor: string,
): Promise<Uint8Array | undefined> {
  const pk = findAccountPk(reads, account);
  if (pk === undefined) return undefined;
  return reads
    .select({ token: tokens.token })
    .from(tokens)
    .where(and(eq(tokens.accountPk, pk), eq(tokens.vendor, vendor)))
    .get()?.token;
}

export async function listVendorTokens({ reads }: Database, account: string) {
  const pk = findAccountPk(reads, account);
  if (pk === undefined) return [];
  return reads
    .select({ vendor: tokens.vendor, token: tokens.token })
    .from(tokens)
    .where(eq(tokens.accountPk, pk))
    .orderBy(asc(tokens.vendor))
    .all();
}

/** Nothing happens where there is none. */
export function deleteVendorToken({ writer }: Database, account: string, vendor: string): Promise<void> {
  return writer.run((db) => {
    const pk = findAccountPk(db, account);
    if (pk === undefined) return;
    db.delete(tokens)
      .where(and(eq(tokens.accountPk, pk), eq(tokens.vendor, vendor)))
      .run();
  });
}

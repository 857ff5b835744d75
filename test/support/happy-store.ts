// A Happy store on a database of its own, for tests that need no server.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findOrCreateAccount } from "../../src/happy/store/accounts.ts";
import { type HappyStore, happyStore } from "../../src/happy/store/index.ts";
import { migrations } from "../../src/happy/store/migrations.ts";
import { createLog } from "../../src/observability/log.ts";
import { type Database, openDatabase } from "../../src/storage/database.ts";

export interface TestStore {
  readonly database: Database;
  readonly store: HappyStore;
  readonly path: string;
  /** Makes the account of a key, or finds it; its id. */
  account(publicKey: string): Promise<string>;
  /** Makes or finds a session of that tag; its id. */
  session(account: string, tag: string): Promise<string>;
  /** Outside of every promise of the store. */
  sql(text: string, ...values: (string | number)[]): unknown[];
  close(): Promise<void>;
}

export function openTestStore(): TestStore {
  const folder = mkdtempSync(join(tmpdir(), "roost-store-"));
  const path = join(folder, "happy.db");
  const database = openDatabase({ path, migrations, log: createLog("silent") });
  const store = happyStore(database);
  let isOpen = true;
  return {
    database,
    store,
    path,
    account: async (key) => (await database.writer.run((db) => findOrCreateAccount(db, key))).account,
    session: async (account, tag) => {
      const session = { tag, metadata: "m", dataEncryptionKey: null };
      return (await store.openSession(account, session, () => {})).row.id;
    },
    sql: (text, ...values) => database.reads.$client.query(text).all(...values),
    close: async () => {
      if (isOpen) await database.close();
      isOpen = false;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

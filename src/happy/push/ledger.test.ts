// The contract of a ledger, on the Happy store.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { ledgerSuite } from "../../../test/support/push-ledger.ts";
import { createLog } from "../../observability/log.ts";
import { openDatabase } from "../../storage/database.ts";
import { findOrCreateAccount } from "../store/accounts.ts";
import { happyStore } from "../store/index.ts";
import { migrations } from "../store/migrations.ts";
import { deletePushToken, findPushLedger, registerPushToken, type TicketRow } from "../store/push.ts";
import { HappyPushLedger, type Phone } from "./ledger.ts";
import { decidedOutcome } from "./outcome.ts";

ledgerSuite<Phone, TicketRow>("of the Happy store", async () => {
  const folder = mkdtempSync(join(tmpdir(), "roost-ledger-"));
  const database = openDatabase({ path: join(folder, "happy.db"), migrations, log: createLog("silent") });
  const account = async (key: string) =>
    (await database.writer.run((db) => findOrCreateAccount(db, key))).account;
  return {
    ledger: new HappyPushLedger(happyStore(database)),
    owners: [await account("AA"), await account("BB")],
    register: async (owner, address) => void (await registerPushToken(database, owner, address, 0)),
    unregister: (owner, address) => deletePushToken(database, owner, address),
    age: (ms) =>
      database.writer.run((db) => {
        db.run(sql`UPDATE push_tickets SET created_at = created_at - ${ms}`);
        db.run(sql`UPDATE push_ledger SET created_at = created_at - ${ms}`);
        db.run(sql`UPDATE push_tokens SET updated_at = updated_at - ${ms}`);
      }),
    decisions: async (owner) =>
      (await findPushLedger(database, owner, 1_000))
        .toReversed()
        .map(({ outcome, reason, tokens, delivered }) => ({
          outcome: decidedOutcome(outcome),
          ...(reason !== null && { reason }),
          devices: tokens,
          delivered,
        })),
    close: async () => {
      await database.close();
      rmSync(folder, { recursive: true });
    },
  };
});

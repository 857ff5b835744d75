// Heartbeats that waited to be stored reach the row that they were heard for, or none.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../../observability/log.ts";
import { type Database, openDatabase } from "../../storage/database.ts";
import { findOrCreateAccount } from "./accounts.ts";
import { deleteMachine, registerMachine } from "./machines.ts";
import { migrations } from "./migrations.ts";
import { findPresence, storeHeartbeats } from "./presence.ts";

let folder: string;
let database: Database;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "roost-presence-"));
  database = openDatabase({ path: join(folder, "happy.db"), migrations, log: createLog("silent") });
});
afterEach(async () => {
  await database.close();
  rmSync(folder, { recursive: true });
});

const account = async (publicKey: string) =>
  (await database.writer.run((db) => findOrCreateAccount(db, publicKey))).account;
const machine = async (owner: string, id: string) => {
  const parts = { id, metadata: "", daemonState: undefined, dataEncryptionKey: null };
  await registerMachine(database, owner, parts, () => {});
  const row = await findPresence(database, "machine", owner, id);
  if (row === undefined) throw new Error("the machine was not stored");
  return row;
};

test("a heartbeat makes its machine active, and the one that took the place of a deleted machine not", async () => {
  const [mine, other] = [await account("AA"), await account("BB")];
  const gone = await machine(mine, "gone");
  await deleteMachine(database, mine, "gone", () => {});
  const successor = await machine(other, "successor");
  expect(successor.pk).toBe(gone.pk);
  const at = Date.now();
  await storeHeartbeats(database, [{ kind: "machine", pk: gone.pk, id: "gone", at }]);
  expect((await findPresence(database, "machine", other, "successor"))?.active).toBe(false);
  await storeHeartbeats(database, [{ kind: "machine", pk: successor.pk, id: "successor", at }]);
  expect(await findPresence(database, "machine", other, "successor")).toMatchObject({
    active: true,
    lastActiveAt: at,
  });
});

// A HAPI store on a database of its own, for tests that need no server.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HapiStore } from "../../src/hapi/store/contract.ts";
import { hapiIdentity } from "../../src/hapi/store/identity.ts";
import { hapiStore } from "../../src/hapi/store/index.ts";
import { migrations } from "../../src/hapi/store/migrations.ts";
import type { Access, Json } from "../../src/hapi/store/rows.ts";
import { createLog } from "../../src/observability/log.ts";
import { type Database, type DatabaseOptions, openDatabase } from "../../src/storage/database.ts";

export interface TestHapiStore {
  readonly database: Database;
  readonly store: HapiStore;
  readonly path: string;
  /** Makes or finds the session of a tag; its id. */
  session(tag: string, namespace?: string, metadata?: Json): Promise<string>;
  /** Outside of every promise of the store. */
  sql<Row = Record<string, unknown>>(text: string, ...values: (string | number)[]): Row[];
  /** The same, on the connection that writes. */
  write(text: string, ...values: (string | number | null)[]): Promise<void>;
  /** Closes the database, and leaves its file. */
  rest(): Promise<void>;
  close(): Promise<void>;
}

export function openHapiDatabase(path: string, options: Partial<DatabaseOptions> = {}): Database {
  return openDatabase({ path, migrations, identity: hapiIdentity, log: createLog("silent"), ...options });
}

export function openTestHapiStore(options: Partial<DatabaseOptions> = {}): TestHapiStore {
  const folder = mkdtempSync(join(tmpdir(), "roost-hapi-store-"));
  const path = join(folder, "hapi.db");
  const database = openHapiDatabase(path, options);
  const store = hapiStore(database);
  let isOpen = true;
  const rest = async () => {
    if (isOpen) await database.close();
    isOpen = false;
  };
  return {
    database,
    store,
    path,
    session: async (tag, namespace = "default", metadata = { path: "/p", host: "h" }) => {
      const opened = await store.openSession({ namespace, tag, metadata });
      if (!("row" in opened)) throw new Error(opened.kind);
      return opened.row.id;
    },
    sql: <Row>(text: string, ...values: (string | number)[]) =>
      database.reads.$client.query<Row, (string | number)[]>(text).all(...values),
    write: (text, ...values) =>
      database.writer.run((db) => {
        db.$client.query(text).run(...values);
      }),
    rest,
    close: async () => {
      await rest();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What was not refused. */
export function granted<T extends object>(result: Access<T>): T {
  if (typeof result === "string") throw new Error(result);
  return result;
}

// The databases that this executable knows, with their migrations. A room's migrations are loaded only when somebody asks.
import type { Migration } from "../storage/migrations.ts";

export interface KnownDatabase {
  /** As people name it. */
  readonly name: string;
  /** In the data folder. */
  readonly file: string;
  readonly migrations: readonly Migration[];
}

export async function knownDatabases(): Promise<readonly KnownDatabase[]> {
  const [happy, topics] = await Promise.all([
    import("../happy/store/migrations.ts"),
    import("../topics/store/migrations.ts"),
  ]);
  return [
    { name: "happy", file: "happy.db", migrations: happy.migrations },
    { name: "topics", file: "topics.db", migrations: topics.migrations },
  ];
}

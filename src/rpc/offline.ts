// What can be done with the RPC database of a folder that no server runs on, or beside one.
import type { Offline, OfflineParts } from "../protocol/manifest.ts";
import type { RpcConfig } from "./settings.ts";
import { SqliteTasks } from "./store/sqlite-tasks.ts";
import { taskRetention } from "./tasks/retention.ts";

export async function offline({ databases }: OfflineParts<RpcConfig>): Promise<Offline> {
  const database = databases.get("rpc");
  if (database === undefined) return {};
  const store = new SqliteTasks({ database, listener: { changed: () => {}, again: () => {} } });
  return { retention: taskRetention({ store, ttlMs: () => Number.POSITIVE_INFINITY }) };
}

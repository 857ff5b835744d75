// Which stores the document names (contract 10.4, 13.4), opened: SQLite unless it says otherwise, since a server always has a data folder.
import type { Logger } from "pino";
import type { Database } from "../../storage/database.ts";
import type { RpcDocument } from "../document/document.ts";
import type { CallStore } from "../idempotency/call-store.ts";
import { MemoryCalls } from "../idempotency/memory-calls.ts";
import { RedisCalls } from "../idempotency/redis-calls.ts";
import type { Dependency } from "../services/health.ts";
import { MemoryTasks } from "../tasks/memory-tasks.ts";
import { RedisTasks } from "../tasks/redis-tasks.ts";
import type { TaskListener, TaskStore } from "../tasks/task-store.ts";
import { nodeId } from "./node.ts";
import { RedisLink } from "./redis-link.ts";
import { openSqliteCalls } from "./sqlite-calls.ts";
import { SqliteInstances } from "./sqlite-instances.ts";
import { SqliteTasks } from "./sqlite-tasks.ts";

export interface Stores {
  readonly calls: CallStore;
  readonly tasks: TaskStore;
  readonly instances: SqliteInstances;
  /** The name under which this data folder holds leases. */
  readonly node: string;
  /** What services need of them. */
  readonly needs: readonly Dependency[];
  close(): Promise<void>;
}

export interface StoresParts {
  readonly database: Database;
  readonly document: () => RpcDocument;
  /** Hears of tasks. */
  readonly listener: TaskListener;
  readonly log: Logger;
}

/** @throws Error with a sentence for a document that names a Redis without its address */
export async function openStores({ database, document, listener, log }: StoresParts): Promise<Stores> {
  const { tasks: said, idempotency } = document();
  const taskStore = said.store === "auto" ? "sqlite" : said.store;
  const callStore = idempotency.store === "auto" ? taskStore : idempotency.store;
  const node = await nodeId(database);
  const run = crypto.randomUUID();
  let link: RedisLink | undefined;
  const redis = (): RedisLink => {
    if (said.redis_url === undefined)
      throw new Error(
        "A store of the RPC protocol is Redis, and tasks.redis_url does not say where it is, such as redis://127.0.0.1:6379.",
      );
    link ??= new RedisLink(said.redis_url, log);
    return link;
  };
  const bounds = () => {
    const { idempotency_max_entries: entries, idempotency_max_bytes: bytes } = document().qos;
    return { entries, bytes };
  };
  const calls =
    callStore === "redis"
      ? new RedisCalls({ link: redis(), bounds, run, node })
      : callStore === "memory"
        ? new MemoryCalls(bounds)
        : await openSqliteCalls({ database, bounds, run });
  const tasks =
    taskStore === "redis"
      ? new RedisTasks({ link: redis(), listener })
      : taskStore === "memory"
        ? new MemoryTasks(listener)
        : new SqliteTasks({ database, listener });
  const check = { redis: () => link?.check(), sqlite: () => database.check(), memory: () => {} };
  return {
    calls,
    tasks,
    instances: new SqliteInstances(database),
    node,
    needs: [
      { name: "registrations", services: ["DiscoveryService"], run: check.sqlite },
      { name: "tasks", services: ["TaskService"], run: check[taskStore] },
      // Only calls with a key need it.
      { name: "answers to idempotency keys", without: "degraded", run: check[callStore] },
    ],
    close: async () => {
      await calls.close();
      await tasks.close();
      link?.close();
    },
  };
}

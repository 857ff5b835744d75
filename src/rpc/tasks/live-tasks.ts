// The tasks that are not over, for whoever operates the server (contract 27.1): those that run first, then in the order of their life.
import { asRpcError } from "../store/store-errors.ts";
import type { Task, TaskStatus } from "./task.ts";
import type { TaskStore } from "./task-store.ts";

const LIVE: readonly TaskStatus[] = ["running", "retrying", "pending", "scheduled"];
/** The counts tell of the rest. */
const MAX_LISTED = 1_000;

export async function liveTasks(store: Pick<TaskStore, "list" | "counts">, now: () => number = Date.now) {
  const tasks: Task[] = [];
  for (const status of LIVE)
    if (tasks.length < MAX_LISTED)
      tasks.push(...(await asRpcError(store.list(status, MAX_LISTED - tasks.length))));
  return {
    tasks: tasks.map(
      ({ id, method, tenant, principal, status, priority, attempt, createdAtMs, readyAtMs }) => ({
        task_id: id,
        target_method: method,
        tenant,
        principal: principal.id,
        status,
        priority,
        attempt,
        age_ms: Math.max(0, now() - createdAtMs),
        ready_at_ms: readyAtMs,
      }),
    ),
    counts: await asRpcError(store.counts()),
  };
}

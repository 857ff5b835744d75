// TaskService, its workers and its retention, joined over one store.
import type { Logger } from "pino";
import type { Metrics } from "../../observability/metrics.ts";
import type { Retention } from "../../retention/retention.ts";
import type { RpcDocument } from "../document/document.ts";
import type { CallStore } from "../idempotency/call-store.ts";
import type { LongTasks } from "../pipeline/parts.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { MethodDefinition } from "../registry/definition.ts";
import { longTasks } from "./long-tasks.ts";
import { taskRetention } from "./retention.ts";
import { taskService } from "./service.ts";
import { TASK_STATUSES } from "./task.ts";
import type { TaskListener, TaskStore } from "./task-store.ts";
import { Tasks } from "./tasks.ts";
import { TaskWorkers } from "./workers.ts";

export interface OpenTasksParts {
  readonly store: TaskStore;
  readonly calls: CallStore;
  readonly node: string;
  readonly pipeline: Pipeline;
  readonly document: () => RpcDocument;
  readonly metrics: Metrics;
  readonly log: Logger;
}

export interface OpenTasks {
  readonly tasks: Tasks;
  readonly longTasks: LongTasks;
  readonly methods: readonly MethodDefinition[];
  readonly listener: TaskListener;
  readonly retention: Retention;
  start(): void;
  stop(): Promise<void>;
}

/** Nothing runs yet; what an earlier process left is told as it is now. */
export async function openTasks(parts: OpenTasksParts): Promise<OpenTasks> {
  const { store, calls, node: owner, pipeline, document, metrics, log } = parts;
  const tasks = new Tasks({ store, pipeline, document });
  const workers = new TaskWorkers({ store, pipeline, document, owner, log });
  metrics.gauge("rpc_tasks", "Tasks by their status").reportAsked(async () => {
    const counts = await store.counts();
    return TASK_STATUSES.map((status) => [{ status }, counts[status]] as const);
  });
  return {
    tasks,
    longTasks: longTasks(tasks),
    methods: taskService(tasks),
    listener: {
      changed: (task) => {
        tasks.subscriptions.changed(task);
        workers.changed(task);
      },
      again: () => {
        workers.wake();
        tasks.catchUp().catch(() => {});
      },
    },
    retention: taskRetention({ store, calls, ttlMs: () => document().tasks.ttl_s * 1_000 }),
    // By now every method is there, and says whether it may run twice.
    start: () => workers.start(),
    stop: () => workers.stop(),
  };
}

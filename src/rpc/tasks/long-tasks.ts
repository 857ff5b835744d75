// Tasks as released clients of the original ask for them (contract 13.8): in the metadata of a call, at the endpoints of calls. Only where the
// document says so.
import type { Call } from "../pipeline/call.ts";
import type { LongTasks } from "../pipeline/parts.ts";
import type { CallContext } from "../registry/call-context.ts";
import type { Data, Handler, MethodDefinition } from "../registry/definition.ts";
import { rpcError } from "../wire/rpc-error.ts";
import { storedValue } from "../wire/stored-value.ts";
import { taskId } from "./messages.ts";
import type { Tasks } from "./tasks.ts";

/** A year: what the document allows at most. */
const MAX_TTL_S = 31_536_000;

const own = (handler: string, run: Handler, more: Partial<MethodDefinition> = {}): MethodDefinition => ({
  service: "TaskService",
  handler,
  source: "builtin",
  isOpen: true,
  run,
  ...more,
});

export function longTasks(tasks: Tasks): LongTasks {
  const about: Readonly<Record<string, MethodDefinition>> = {
    "task/status": own("Query", (data, context) => state(tasks, data, context)),
    "task/result": own("Query", (data, context) => state(tasks, data, context)),
    "task/query": own("Query", (data, context) => tasks.query(data, context)),
    "task/cancel": own("Cancel", (data, context) => tasks.cancel(data, context)),
    "task/subscribe": own("Subscribe", (data, context) => tasks.follow(data, context), {
      streamingOutput: true,
      before: (data, context) => tasks.mayFollow(data, context),
    }),
  };
  const wish = (call: Call): string | undefined => {
    if (!call.config.tasks.long_task_compat) return undefined;
    const asked = call.asked.metadata?.longTask;
    return asked === undefined ? undefined : (asked.method ?? "task/submit");
  };
  const become = (call: Call, definition: MethodDefinition) => {
    call.method = definition;
    call.methodName = `rpc.v2/${definition.service}/${definition.handler}`;
  };
  return {
    takes: (call) => {
      const named = wish(call);
      if (named === undefined || named === "task/submit") return false;
      const definition = Object.hasOwn(about, named) ? about[named] : undefined;
      if (definition === undefined)
        throw rpcError(
          2003,
          "InvalidField",
          "must be task/submit, status, result, query, cancel or subscribe",
          {
            field: "metadata.long_task_method",
          },
        );
      if (definition.streamingOutput === true && call.incoming.kind === "unary")
        throw rpcError(2000, "stream", "a task is followed at the endpoint of streams");
      become(call, definition);
      return true;
    },
    defers: (call) => {
      if (wish(call) !== "task/submit") return;
      const { method, data, qos, metadata } = call.asked;
      const seconds = metadata?.longTask?.timeoutS;
      become(
        call,
        own("Submit", async (_data, context) => {
          const { id, status, createdAtMs } = await tasks.add(
            {
              method,
              params: data,
              priority: qos.priority,
              maxAttempts: undefined,
              timeoutMs: qos.timeoutMs,
              scheduledAtMs: undefined,
              key: qos.idempotencyKey,
              metadata: {},
              ttlMs: seconds === undefined || seconds < 1 ? undefined : Math.min(seconds, MAX_TTL_S) * 1_000,
              isCompat: true,
            },
            context,
          );
          return { task_id: id, status, created_at_ms: createdAtMs };
        }),
      );
    },
  };
}

/** `value` is the Response that a call without a task would have had. */
async function state(tasks: Tasks, data: Data, context: Pick<CallContext, "tenant_id">) {
  const { task, result } = await tasks.find(taskId(data), context);
  return {
    task_id: task.id,
    status: task.status,
    created_at_ms: task.createdAtMs,
    updated_at_ms: task.updatedAtMs,
    ...(result !== undefined && { value: storedValue(result) }),
    ...(task.error !== null && { error: task.error }),
  };
}

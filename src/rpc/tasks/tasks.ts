// What TaskService does (contract 13), whoever asks for it and by which transport: submit, query, cancel, follow. A tenant sees its own tasks.

import type { RpcDocument } from "../document/document.ts";
import { hashed } from "../idempotency/canonical.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { CallContext } from "../registry/call-context.ts";
import type { Data } from "../registry/definition.ts";
import { holderOf } from "../store/shares.ts";
import { asRpcError } from "../store/store-errors.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { storedText } from "../wire/stored-value.ts";
import { cancelReason, eventFilter, type Submission, submission, taskId, unknownTask } from "./messages.ts";
import { Subscriptions } from "./subscriptions.ts";
import { eventOf, isFinal, type Task, type TaskEventName, type TaskStatus, taskRecord } from "./task.ts";
import { taskCall } from "./task-call.ts";
import { TASK_BYTES, type TaskStore } from "./task-store.ts";

export interface TasksParts {
  readonly store: TaskStore;
  readonly pipeline: Pipeline;
  readonly document: () => RpcDocument;
}

export interface TaskEvent {
  readonly event: TaskEventName;
  readonly task: Record<string, unknown>;
  readonly timestamp_ms: number;
}

/** Of a method that may run twice; another one runs once, unless its client says otherwise. */
const DEFAULT_ATTEMPTS = 3;
/** Others change the same task at once: so often is a cancel tried. */
const CANCEL_TRIES = 100;

export class Tasks {
  readonly subscriptions = new Subscriptions();

  constructor(private readonly parts: TasksParts) {}

  async submit(data: Data, context: CallContext) {
    const { id, status, createdAtMs } = await this.add(submission(data), context);
    return { task_id: id, status, created_at_ms: createdAtMs };
  }

  /** @throws RpcError as the target itself would refuse the call; 5021 */
  async add(
    asked: Submission,
    { principal, tenant_id: tenant, tenant_proved, trace, negotiated_version }: Caller,
  ): Promise<Task> {
    const { store, pipeline, document } = this.parts;
    const config = document();
    const now = Date.now();
    const { trace_id, span_id, sampled, baggage } = trace;
    const isLater = asked.scheduledAtMs !== undefined && asked.scheduledAtMs > now;
    const params = storedText(asked.params);
    const draft: Task = {
      id: crypto.randomUUID(),
      tenant,
      holder: holderOf(tenant, principal.verified, tenant_proved),
      principal,
      trace: { trace_id, span_id, sampled, baggage },
      parentId: null,
      method: asked.method.full,
      protocolVersion: negotiated_version,
      isCompat: asked.isCompat === true,
      status: isLater ? "scheduled" : "pending",
      priority: asked.priority,
      createdAtMs: now,
      updatedAtMs: now,
      scheduledAtMs: asked.scheduledAtMs ?? null,
      readyAtMs: isLater ? (asked.scheduledAtMs ?? now) : now,
      startedAtMs: null,
      completedAtMs: null,
      attempt: 1,
      maxAttempts: asked.maxAttempts ?? 1,
      nextRetryAtMs: null,
      timeoutMs: asked.timeoutMs ?? null,
      keyId: null,
      ttlMs: asked.ttlMs ?? config.tasks.ttl_s * 1_000,
      error: null,
      progress: null,
      metadata: asked.metadata,
      tags: [],
      leaseOwner: null,
      leaseUntilMs: null,
      version: 1,
      bytes: 0,
    };
    const call = taskCall({ task: draft, params: asked.params, config });
    pipeline.permit(call);
    const isIdempotent = call.definition.idempotent === true;
    const { max: tasks, max_bytes: bytes } = config.tasks;
    const told = JSON.stringify([principal, baggage, asked.metadata]);
    const task: Task = {
      ...draft,
      method: call.methodName,
      maxAttempts: asked.maxAttempts ?? (isIdempotent ? DEFAULT_ATTEMPTS : 1),
      keyId:
        asked.key === undefined
          ? null
          : hashed(JSON.stringify([tenant, principal.verified, principal.id, call.methodName, asked.key])),
      bytes: TASK_BYTES + Buffer.byteLength(params) + Buffer.byteLength(told),
    };
    return (await asRpcError(store.save(task, params, { tasks, bytes }))).task;
  }

  async query(data: Data, context: Tenant) {
    const { task, result } = await this.find(taskId(data), context);
    return { task: taskRecord(task, result) };
  }

  /** @throws RpcError 4000 */
  async find(id: string, { tenant_id }: Tenant) {
    const found = await asRpcError(this.parts.store.get(id));
    if (found === undefined || found.task.tenant !== tenant_id) throw unknownTask();
    return found;
  }

  async cancel(
    data: Data,
    context: Tenant,
  ): Promise<{ task_id: string; status: TaskStatus; canceled: boolean }> {
    const id = taskId(data);
    const reason = cancelReason(data);
    for (let tries = 0; tries < CANCEL_TRIES; tries++) {
      const { task } = await this.find(id, context);
      if (isFinal(task)) return { task_id: id, status: task.status, canceled: false };
      const now = Date.now();
      const stored = await asRpcError(
        this.parts.store.update({
          ...task,
          status: "canceled",
          completedAtMs: now,
          updatedAtMs: now,
          nextRetryAtMs: null,
          error: null,
          metadata: reason === undefined ? task.metadata : { ...task.metadata, cancel_reason: reason },
          leaseOwner: null,
          leaseUntilMs: null,
        }),
      );
      if (stored !== undefined) return { task_id: id, status: "canceled", canceled: true };
    }
    throw new RpcError(5002, { message: "the task changes too fast to be canceled" });
  }

  /** Before a stream of it begins. @throws RpcError 2002, 2003, 4000 */
  async mayFollow(data: Data, context: Tenant): Promise<void> {
    eventFilter(data);
    await this.find(taskId(data), context);
  }

  /** First what it is now, then each change; after the last one it ends. */
  async *follow(data: Data, context: Tenant & Pick<CallContext, "signal">): AsyncGenerator<TaskEvent> {
    const wanted = eventFilter(data);
    const id = taskId(data);
    // Before it is read, so that no change is missed in between.
    const subscription = this.subscriptions.follow(id);
    try {
      const { task: now, result } = await this.find(id, context);
      yield event(now, result);
      let { version } = now;
      while (!isFinal({ status: now.status })) {
        const task = await subscription.next(context.signal);
        if (task === undefined) return;
        if (task.version <= version) continue;
        version = task.version;
        if (isFinal(task)) {
          const last = await asRpcError(this.parts.store.get(id));
          yield event(last?.task ?? task, last?.result);
          return;
        }
        if (wanted === undefined || wanted.has(eventOf(task))) yield event(task, undefined);
      }
    } finally {
      subscription.leave();
    }
  }

  /** Changes may have been missed: whoever follows a task is told what it is now. */
  async catchUp(): Promise<void> {
    for (const id of this.subscriptions.ids()) {
      const found = await this.parts.store.get(id);
      if (found !== undefined) this.subscriptions.changed(found.task);
    }
  }
}

type Tenant = Pick<CallContext, "tenant_id">;
type Caller = Pick<CallContext, "tenant_id" | "tenant_proved" | "principal" | "trace" | "negotiated_version">;

const event = (task: Task, result: string | undefined): TaskEvent => ({
  event: eventOf(task),
  task: taskRecord(task, result),
  timestamp_ms: Date.now(),
});

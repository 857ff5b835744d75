// A task as somebody submitted it at a moment, for tests of what keeps tasks.
import type { Task } from "../../src/rpc/tasks/task.ts";
import type { Priority } from "../../src/rpc/wire/qos.ts";

export interface TaskShape extends Partial<Task> {
  readonly priority?: Priority;
}

export const taskAt = (now: number, id: string, shape: TaskShape = {}): Task => ({
  id,
  tenant: "acme",
  holder: "tenant/acme",
  principal: {
    id: "somebody",
    type: "user",
    roles: ["a"],
    scopes: [],
    verified: true,
    auth_scheme: "bearer",
  },
  trace: { trace_id: "1".repeat(32), span_id: "2".repeat(16), sampled: true, baggage: {} },
  parentId: null,
  method: "rpc.v2/EchoService/Echo",
  protocolVersion: "2.0",
  isCompat: false,
  status: "pending",
  priority: 1,
  createdAtMs: now,
  updatedAtMs: now,
  scheduledAtMs: null,
  readyAtMs: now,
  startedAtMs: null,
  completedAtMs: null,
  attempt: 1,
  maxAttempts: 3,
  nextRetryAtMs: null,
  timeoutMs: null,
  keyId: null,
  ttlMs: 60_000,
  error: null,
  progress: null,
  metadata: { note: "ä" },
  tags: [],
  leaseOwner: null,
  leaseUntilMs: null,
  version: 1,
  bytes: 1_100,
  ...shape,
});

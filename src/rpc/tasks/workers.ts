// Runs tasks (contract 13.3, 13.4): so many at once as the document says, each under a lease that is renewed, its end stored before anybody
// hears of it. What an earlier process left is taken up again where a second run does no harm, and told to have failed elsewhere.
import type { Logger } from "pino";
import type { RpcDocument } from "../document/document.ts";
import type { Call } from "../pipeline/call.ts";
import { debugInfo, isDebugOn } from "../pipeline/debug.ts";
import type { Outcome } from "../pipeline/outcome.ts";
import type { Slot } from "../pipeline/parts.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { respond } from "../pipeline/respond.ts";
import { errorCode } from "../wire/error-codes.ts";
import { methodName } from "../wire/method-name.ts";
import type { Fields } from "../wire/problems.ts";
import { type ErrorBody, errorBody, RpcError, rpcError } from "../wire/rpc-error.ts";
import { storedText, storedValue } from "../wire/stored-value.ts";
import { type Change, RunningTask } from "./running-task.ts";
import type { Task } from "./task.ts";
import { taskCall } from "./task-call.ts";
import { type Claimed, MAX_RETRY_DELAY_MS, RENEW_MS, type TaskStore } from "./task-store.ts";

const FIRST_RETRY_MS = 100;
/** A clock that was set is noticed within this time. */
const LOOK_MS = 1_000;
/** While the store is away. */
const AGAIN = { firstMs: 100, mostMs: 5_000 };
/** For tasks to end by themselves when the server stops. */
const STOP_MS = 2_000;
/** At once: what they are called with is held until they begin. */
const MAX_CLAIMED = 16;
/** Of all tasks together: a result that is larger is not kept. */
const SHARE_OF_ONE = 4;

export interface TaskWorkersParts {
  readonly store: TaskStore;
  readonly pipeline: Pipeline;
  readonly document: () => RpcDocument;
  /** In leases: of the data folder, not of the process. */
  readonly owner: string;
  readonly log: Logger;
}

interface Attempt {
  readonly running: RunningTask;
  readonly call: Call;
  readonly over: Promise<void>;
}

export class TaskWorkers {
  readonly #attempts = new Map<string, Attempt>();
  #busy = 0;
  #isPumping = false;
  #isAsked = false;
  #isStopping = false;
  #isAway = false;
  #mustRecover = true;
  #hasRecovered = false;
  #timer: Timer | undefined;
  #renewing: Timer | undefined;

  constructor(private readonly parts: TaskWorkersParts) {}

  start(): void {
    this.#renewing = setInterval(() => void this.#renew(), RENEW_MS);
    this.#pump();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    clearInterval(this.#renewing);
    const over = Promise.all([...this.#attempts.values()].map((attempt) => attempt.over));
    await Promise.race([over, Bun.sleep(STOP_MS)]);
    for (const { running, call } of [...this.#attempts.values()]) {
      if (running.isLost) continue;
      running.end(call, "shutdown");
      await running.drained();
      // Where that fails, the next start finds its lease.
      await this.parts.store.update(this.#lapse(running.task)).catch(() => {});
    }
  }

  /** Something may run. */
  wake(): void {
    this.#pump();
  }

  /** A change that may be another server's. */
  changed(task: Task): void {
    if (task.status === "pending" || task.status === "scheduled" || task.status === "retrying") this.#pump();
    const attempt = this.#attempts.get(task.id);
    if (attempt === undefined || attempt.running.isLost) return;
    const isOurs = task.status === "running" && task.leaseOwner === this.parts.owner;
    if (isOurs || task.version <= attempt.running.task.version) return;
    if (task.status === "canceled" || task.status === "running") attempt.running.end(attempt.call, "cancel");
  }

  #pump(): void {
    this.#isAsked = true;
    if (this.#isPumping || this.#isStopping) return;
    this.#isPumping = true;
    void this.#work().finally(() => {
      this.#isPumping = false;
      if (this.#isAsked) this.#pump();
    });
  }

  async #work(): Promise<void> {
    while (this.#isAsked && !this.#isStopping) {
      this.#isAsked = false;
      try {
        await this.#fill();
        this.#isAway = false;
      } catch (error) {
        if (!this.#isAway) this.parts.log.warn({ err: error }, "tasks cannot be looked for");
        this.#isAway = true;
        this.#look(LOOK_MS);
      }
    }
  }

  /** Takes up what an earlier process of this data folder left, and what another server let lie. Never while a claim is under way. */
  async #recover(): Promise<void> {
    const { store, owner } = this.parts;
    for (const task of await store.lapsed(owner, [...this.#attempts.keys()])) {
      // Claimed here, and the answer never came: it did not begin.
      const isUnbegun = this.#hasRecovered && task.leaseOwner === owner;
      await store.update(isUnbegun ? { ...task, ...unleased, status: "pending" } : this.#lapse(task));
    }
    this.#hasRecovered = true;
    this.#mustRecover = false;
  }

  async #fill(): Promise<void> {
    const { store, owner, document } = this.parts;
    if (this.#mustRecover) await this.#recover();
    while ((await store.wake()) > 0);
    for (;;) {
      // All that are free ask at once: one commit is for all of them, and for what ends in the same turn.
      const free = Math.min(document().tasks.workers - this.#busy, MAX_CLAIMED);
      if (free <= 0 || this.#isStopping) break;
      const claimed = await store.claim(owner, free);
      const problems = claimed.flatMap((one) => this.#mayBegin(one) ?? []);
      if (problems.length > 0) throw problems[0];
      if (claimed.length < free) break;
    }
    const nextMs = await store.nextInMs();
    if (nextMs !== undefined) this.#look(Math.min(nextMs, LOOK_MS));
  }

  #look(inMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#pump(), Math.max(1, inMs));
    this.#timer.unref();
  }

  /** What is wrong with one keeps none of the others back. */
  #mayBegin(claimed: Claimed): Error | undefined {
    try {
      this.#begin(claimed);
      return undefined;
    } catch (error) {
      return new Error(`task ${claimed.task.id} cannot begin`, { cause: error });
    }
  }

  #begin({ task, params }: Claimed): void {
    const { store, pipeline, document } = this.parts;
    const running = new RunningTask(task, store);
    const call = taskCall({
      task,
      params: storedValue(params) as Fields | null,
      config: document(),
      left: running.left,
    });
    call.progress = (progress) => running.progress(progress);
    this.#busy++;
    let isHeld = true;
    const slot: Slot = {
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#busy--;
        this.#pump();
      },
    };
    const over = pipeline
      .background(call, slot)
      .then((outcome) => this.#settle(running, call, outcome))
      .finally(() => this.#attempts.delete(task.id));
    this.#attempts.set(task.id, { running, call, over });
  }

  /** Stores how it ended, as soon as the store takes it. */
  async #settle(running: RunningTask, call: Call, outcome: Outcome): Promise<void> {
    await running.drained();
    let pauseMs = AGAIN.firstMs;
    let isTold = false;
    while (!running.isLost) {
      try {
        await running.store((task) => this.#after(task, call, outcome));
        return;
      } catch (error) {
        if (!isTold)
          this.parts.log.warn({ err: error, task_id: running.task.id }, "how a task ended is not stored yet");
        isTold = true;
        await Bun.sleep(pauseMs);
        pauseMs = Math.min(2 * pauseMs, AGAIN.mostMs);
      }
    }
  }

  #after(task: Task, call: Call, outcome: Outcome): Change {
    if (outcome.status === "error") return { task: this.#afterError(task, call, outcome.error) };
    try {
      const result = storedText(task.isCompat ? this.#envelope(call, outcome) : outcome.result);
      const { max: tasks, max_bytes: bytes } = this.parts.document().tasks;
      if (Buffer.byteLength(result) * SHARE_OF_ONE > bytes)
        return { task: ended(task, rpcError(5021, "task", "the result is too large to be kept")) };
      return { task: { ...over(task, "succeeded"), error: null }, result, bounds: { tasks, bytes } };
    } catch (cause) {
      this.parts.pipeline.parts.observer.unexpected(call, cause);
      return { task: this.#afterError(task, call, new RpcError(5000, { cause })) };
    }
  }

  /** As the original's clients know results (contract 13.8). */
  #envelope(call: Call, outcome: Outcome): unknown {
    return respond(call, outcome, this.parts.pipeline.parts.server).response;
  }

  #afterError(task: Task, call: Call, error: RpcError): Task {
    const isRetried = error.code === 5000 || error.code === 5003 || errorCode(error.code)?.auto === "yes";
    const body: ErrorBody = isDebugOn(call.config)
      ? { ...errorBody(error), debug: debugInfo(error) }
      : errorBody(error);
    if (!isRetried || task.attempt >= task.maxAttempts) return { ...over(task, "failed"), error: body };
    const delayMs = Math.min(FIRST_RETRY_MS * 2 ** (task.attempt - 1), MAX_RETRY_DELAY_MS);
    return { ...retrying(task, delayMs), error: body };
  }

  /** Whoever ran it does not run it any more. */
  #lapse(task: Task): Task {
    const { registry } = this.parts.pipeline.parts;
    const service = methodName(task.method)?.service ?? "";
    let isIdempotent = false;
    try {
      isIdempotent = registry.find(task.method, service, task.protocolVersion).method.idempotent === true;
    } catch {
      // It is not there any more.
    }
    if (isIdempotent && task.attempt < task.maxAttempts) return retrying(task, 0);
    return ended(task, rpcError(5002, "task", "the server restarted while the task ran"));
  }

  async #renew(): Promise<void> {
    const { store, owner } = this.parts;
    try {
      const ids = [...this.#attempts.keys()];
      if (ids.length > 0) await store.renew(owner, ids);
      this.#mustRecover = true;
      this.#pump();
    } catch {
      // The store is away; who asks it next says so.
    }
  }
}

const unleased = { leaseOwner: null, leaseUntilMs: null };

function over(task: Task, status: "succeeded" | "failed"): Task {
  const now = Date.now();
  return { ...task, ...unleased, status, completedAtMs: now, updatedAtMs: now };
}

const ended = (task: Task, error: RpcError): Task => ({ ...over(task, "failed"), error: errorBody(error) });

function retrying(task: Task, delayMs: number): Task {
  const now = Date.now();
  return {
    ...task,
    ...unleased,
    status: "retrying",
    updatedAtMs: now,
    nextRetryAtMs: now + delayMs,
    readyAtMs: now + delayMs,
  };
}

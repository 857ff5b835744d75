// Methods that block run here (contract 10.2): in threads that can be ended, so that their deadline holds and nobody else waits for them.
//
// There are so many threads at most; a call beyond them waits in a line that is bounded and goes by priority and age, within its own
// deadline. When nobody waits for a call any more (deadline, client gone, task canceled, shutdown), its thread is ended and another one takes
// its place when it is needed. A thread without work for a while is ended too, and gives its memory back.
import type { RpcDocument } from "../document/document.ts";
import type { Call } from "../pipeline/call.ts";
import type { CallContext } from "../registry/call-context.ts";
import type { CpuModule } from "../registry/definition.ts";
import { Bulkhead, type Refusal } from "../resilience/bulkhead.ts";
import { RpcError, rpcError } from "../wire/rpc-error.ts";
import { CpuThread } from "./cpu-thread.ts";
import { factsOf } from "./messages.ts";

const IDLE_MS = 30_000;
/** The call's own deadline is what bounds its waiting. */
const NEVER_MS = 2 ** 31 - 1;

export interface CpuThreadsParts {
  readonly document: () => RpcDocument;
  /** For tests of what a thread may do. */
  readonly worker?: () => Worker;
  readonly idleMs?: number;
}

export class CpuThreads {
  readonly #places = new Bulkhead(() => performance.now());
  /** All that live. */
  readonly #threads = new Set<CpuThread>();
  /** Without a call; the last one is the warmest. */
  readonly #idle: CpuThread[] = [];
  readonly #timers = new Map<CpuThread, Timer>();
  #isStopped = false;

  constructor(private readonly parts: CpuThreadsParts) {}

  get figures(): { readonly threads: number; readonly running: number; readonly waiting: number } {
    return { threads: this.#threads.size, running: this.#places.active, waiting: this.#places.queued };
  }

  /** @throws what the handler throws; the call's own reason when it ends; RpcError 5021 when too many wait */
  async run(module: CpuModule, call: Call, context: CallContext): Promise<unknown> {
    const { signal } = call;
    signal.throwIfAborted();
    await this.#place(call, signal);
    try {
      const thread = this.#take();
      const over = () => thread.end(signal.reason);
      signal.addEventListener("abort", over, { once: true });
      try {
        const { trace } = call;
        return await thread.run({ module, data: call.asked.data, facts: factsOf(context), trace }, context);
      } finally {
        signal.removeEventListener("abort", over);
        this.#rest(thread);
      }
    } finally {
      this.#places.release(this.#settings());
    }
  }

  /** Whatever still runs is ended. */
  stop(): void {
    this.#isStopped = true;
    for (const thread of [...this.#threads]) thread.end(new RpcError(5002, { message: "ended by shutdown" }));
  }

  async #place(call: Call, signal: AbortSignal): Promise<void> {
    const settings = this.#settings();
    if (this.#places.tryEnter(settings)) return;
    try {
      await this.#places.wait(settings, call.asked.qos.priority, NEVER_MS, signal);
    } catch (why) {
      if ((why as Refusal) === "left") throw signal.reason;
      const { running, waiting } = this.figures;
      throw rpcError(5021, "bulkhead", "no thread for a method that blocks, and no room to wait", {
        metadata: { active: running, queued: waiting },
      });
    }
  }

  #settings() {
    const { workers, queue_depth } = this.parts.document().cpu;
    return { max_concurrent: workers, queue_depth, max_wait_ms: NEVER_MS };
  }

  #take(): CpuThread {
    if (this.#isStopped) throw new RpcError(5002, { message: "ended by shutdown" });
    const known = this.#idle.pop();
    if (known !== undefined) {
      clearTimeout(this.#timers.get(known));
      this.#timers.delete(known);
      return known;
    }
    const thread = new CpuThread(this.parts.worker?.() ?? newWorker(), (gone) => this.#forget(gone));
    this.#threads.add(thread);
    return thread;
  }

  #rest(thread: CpuThread): void {
    if (!this.#threads.has(thread)) return;
    this.#idle.push(thread);
    const timer = setTimeout(() => thread.end(undefined), this.parts.idleMs ?? IDLE_MS);
    timer.unref();
    this.#timers.set(thread, timer);
  }

  #forget(thread: CpuThread): void {
    this.#threads.delete(thread);
    clearTimeout(this.#timers.get(thread));
    this.#timers.delete(thread);
    const at = this.#idle.indexOf(thread);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}

/** The path is resolved by the bundler: the worker is embedded in the executable as an entry of its own (build.ts). */
function newWorker(): Worker {
  return new Worker(new URL("./cpu-worker.ts", import.meta.url).href);
}

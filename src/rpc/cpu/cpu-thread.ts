// One thread for methods that block, and the one call that it runs. Ending it ends whatever it does, and costs only that call.
import type { CallContext } from "../registry/call-context.ts";
import { PartialResult } from "../registry/call-context.ts";
import { RpcError } from "../wire/rpc-error.ts";
import type { CpuAnswer, CpuCall, CpuMessage } from "./messages.ts";

interface Running {
  readonly context: Pick<CallContext, "log" | "emit_progress">;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class CpuThread {
  readonly #worker: Worker;
  #running: Running | undefined;
  #number = 0;
  #isOver = false;

  /** `gone`: it ended, by itself or not. Called once. */
  constructor(
    worker: Worker,
    private readonly gone: (thread: CpuThread) => void,
  ) {
    this.#worker = worker;
    worker.unref();
    worker.onmessage = ({ data }: MessageEvent<CpuMessage>) => this.#heard(data);
    worker.onerror = (event) => {
      // What a handler left behind threw: the thread is not to be trusted any more.
      event.preventDefault();
      this.end(new Error(`the thread of a method failed: ${event.message}`));
    };
    worker.addEventListener("close", () =>
      this.end(new Error("the thread of a method ended without a word")),
    );
  }

  /** @throws what the handler throws, what `end` was given, or what cannot cross to a thread */
  run(call: Omit<CpuCall, "number">, context: CallContext): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#running = { context, resolve, reject };
    try {
      this.#worker.postMessage({ ...call, number: ++this.#number } satisfies CpuCall);
    } catch (error) {
      this.#running = undefined;
      reject(error);
    }
    return promise;
  }

  end(why: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#worker.terminate();
    const running = this.#running;
    this.#running = undefined;
    this.gone(this);
    running?.reject(why);
  }

  #heard({ number, said }: CpuMessage): void {
    const running = this.#running;
    if (running === undefined || number !== this.#number) return;
    const { context } = running;
    if (said.kind === "log") context.log[said.level](said.fields, said.text);
    else if (said.kind === "progress") context.emit_progress(said.current, said.total, said.message);
    else {
      this.#running = undefined;
      if (said.kind === "result") running.resolve(said.result);
      else if (said.kind === "partial") running.resolve(new PartialResult(said.result, said.pagination));
      else running.reject(thrown(said));
    }
  }
}

function thrown(answer: CpuAnswer & { readonly kind: "refused" | "failed" }): unknown {
  if (answer.kind === "failed") {
    const { name, message, stack } = answer;
    return Object.assign(new Error(message), { name, stack });
  }
  const { code, name, message, details, retryAfterMs } = answer;
  return new RpcError(code, { name, message, details, ...(retryAfterMs !== undefined && { retryAfterMs }) });
}

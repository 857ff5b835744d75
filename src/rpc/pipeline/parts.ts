// What the stages of the pipeline stand on; each part has one file or folder of its own.
import type { Logger } from "pino";
import type { CallContext } from "../registry/call-context.ts";
import type { CpuModule } from "../registry/definition.ts";
import type { Registry } from "../registry/registry.ts";
import type { Call, Identity } from "./call.ts";
import type { Outcome } from "./outcome.ts";

/** Stage 8. @throws RpcError 3000, 3001, 3002 */
export interface Authentication {
  identify(call: Call): Identity | Promise<Identity>;
}

/** Stage 11. @throws RpcError 3011, 3012 */
export interface Authorization {
  check(call: Call): void;
}

/** Stage 12: sets `call.rateLimit` where a limiter was asked. @throws RpcError 5020 */
export interface RateLimiting {
  take(call: Call): void;
}

/** Stage 14, of unary calls with a key. */
export interface Idempotency {
  /** What was answered before, or undefined: this call runs, and is settled by `completed` or `released`. @throws RpcError 4011 */
  enter(call: Call): Promise<Outcome | undefined>;
  /** Resolves when a replay is possible also after a crash: the answer leaves after that. */
  completed(call: Call, outcome: Outcome): Promise<void>;
  released(call: Call): Promise<void>;
}

/** Stage 15, around the handler. */
export interface Guards {
  /** A place to run. @throws RpcError 5021, 5003 */
  enter(call: Call): Slot | Promise<Slot>;
  /** Asks the breaker. @throws RpcError 5010 */
  admit(call: Call): BreakerTicket;
}

export interface Slot {
  /** Idempotent. */
  release(): void;
}

/** Stage 15, of a method that blocks its thread: runs it in another one. */
export interface Blocking {
  /** Ends what runs when the call's signal fires. Like a handler it returns a result or throws. */
  run(module: CpuModule, call: Call, context: CallContext): Promise<unknown>;
}

/** One request counts once, after its retries. */
export interface BreakerTicket {
  succeeded(): void;
  failed(code: number): void;
  /** Neither: a cancelled call, a mistake of the client. */
  ignored(): void;
}

/** Stage 17, and what happens on the way that figures or the audit tell of. */
export interface Observer {
  /** The envelope could be read and the trace is known. */
  began(call: Call): void;
  /** Who calls is known, and for which tenant. */
  identified(call: Call): void;
  /**
   * Of a stream: at its end, with the status that it began with. What the client itself ended has `call.endedBy` "disconnect" or "cancel"; its
   * outcome is an error then, and nobody's fault.
   */
  ended(call: Call, outcome: Outcome, answer: { readonly durationMs: number; readonly http: number }): void;
  /** Bytes of the answer on the wire; of a stream never told. */
  answered(call: Call, bytes: number): void;
  retried(call: Call): void;
  replayed(call: Call): void;
  lateResult(call: Call): void;
  deprecatedCall(call: Call): void;
  /** It failed with this code, and a fallback answered. */
  fellBack(call: Call, code: number): void;
  /** A limiter was asked. */
  rateLimited(call: Call, isAllowed: boolean): void;
  /** Roles were checked. */
  access(call: Call, isGranted: boolean): void;
  cancelled(call: Call, kind: "unary" | "stream"): void;
  /** A handler threw what is no RpcError: the log has it, with the request's id. */
  unexpected(call: Call, error: unknown): void;
}

/** Calls that are about a task, or are to be one, by a word in their metadata (contract 13.8). */
export interface LongTasks {
  /** Stage 10: true when the call is about a task; it has its method then. @throws RpcError 2003, 2000 */
  takes(call: Call): boolean;
  /** After stage 13: a call that is to be a task gets the method that makes it one. */
  defers(call: Call): void;
}

export interface PipelineParts {
  readonly registry: Registry;
  readonly authentication: Authentication;
  readonly authorization: Authorization;
  readonly rateLimiting: RateLimiting;
  readonly idempotency: Idempotency;
  readonly guards: Guards;
  readonly blocking: Blocking;
  readonly observer: Observer;
  readonly longTasks?: LongTasks;
  readonly server: { readonly id: string; readonly version: string };
  readonly log: Logger;
}

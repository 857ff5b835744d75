// The one pipeline (contract 2), in the contract's order. A stage that refuses ends the call with its code; only the answer and the figures
// come after that. Stages 1 to 4 (size, encodings, format of the answer) are the transport's.
import { type ReadRequest, readRequest } from "../wire/request.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { adoptTrace } from "./adopt-trace.ts";
import { bindTenant } from "./bind-tenant.ts";
import { Call } from "./call.ts";
import { execute, setDeadline } from "./execute.ts";
import { HandlerContext } from "./handler-context.ts";
import type { Incoming } from "./incoming.ts";
import { lookUp } from "./look-up.ts";
import { negotiateVersion } from "./negotiate.ts";
import { errorOutcome, type Outcome } from "./outcome.ts";
import type { BreakerTicket, Observer, PipelineParts, Slot } from "./parts.ts";
import { type Answer, respond } from "./respond.ts";

export interface Finished extends Answer {
  readonly call: Call;
  /** Told how large the answer was, once it is bytes. */
  readonly observer: Pick<Observer, "answered" | "unexpected">;
  readonly server: PipelineParts["server"];
}

/** A stream that was let in: whoever runs it gives its place back and settles its ticket. */
export interface AdmittedStream {
  readonly call: Call;
  readonly slot: Slot;
  readonly ticket: BreakerTicket;
}

export const isAdmitted = (stream: Finished | AdmittedStream): stream is AdmittedStream => "slot" in stream;

export const isLetIn = (call: Finished | Call): call is Call => call instanceof Call;

export class Pipeline {
  /** Unary calls that wait for something, with what answers each. */
  readonly #open = new Map<Call, (outcome: Outcome) => void>();

  constructor(readonly parts: PipelineParts) {}

  /** Never rejects, nor throws. Answers at once where no stage has to wait. */
  unary(incoming: Incoming): Finished | Promise<Finished> {
    const call = new Call(incoming);
    const outcome = this.#unary(call);
    if (!(outcome instanceof Promise)) return this.finish(call, outcome);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.#open.set(call, resolve);
    // What ends after the answer is settled where it runs.
    void outcome.then(resolve);
    return promise.then((waited) => {
      this.#open.delete(call);
      return this.finish(call, waited);
    });
  }

  /** The server ends: whoever still waits for an answer, in a queue or for a handler, gets one, and handlers are told. */
  endCalls(): void {
    for (const [call, answer] of [...this.#open]) {
      call.end("shutdown");
      answer({ status: "error", error: new RpcError(5002) });
    }
  }

  #unary(call: Call): Outcome | Promise<Outcome> {
    try {
      const admitting = this.#admit(call);
      const running =
        admitting === undefined ? this.#admitted(call) : admitting.then(() => this.#admitted(call));
      return running instanceof Promise
        ? running.catch((error: unknown) => this.#refusal(call, error))
        : running;
    } catch (error) {
      return this.#refusal(call, error);
    }
  }

  #admitted(call: Call): Outcome | Promise<Outcome> {
    setDeadline(call);
    return call.asked.qos.idempotencyKey === undefined ? execute(call, this.parts) : this.#once(call);
  }

  /** Before a stream begins, a refusal is an answer like every other (contract 7.4). Never rejects. */
  async stream(incoming: Incoming): Promise<Finished | AdmittedStream> {
    const call = new Call(incoming);
    let slot: Slot | undefined;
    try {
      const admitting = this.#admit(call);
      if (admitting !== undefined) await admitting;
      const { timeoutMs } = call.asked.qos;
      // Without one of its own a stream has no deadline (contract 7.8).
      if (timeoutMs !== undefined)
        call.deadlineAt = incoming.startedAt + Math.min(timeoutMs, call.config.qos.max_timeout_ms);
      await call.definition.before?.(call.asked.data, new HandlerContext(call, this.parts.log));
      slot = await this.parts.guards.enter(call);
      return { call, slot, ticket: this.parts.guards.admit(call) };
    } catch (error) {
      slot?.release();
      return this.finish(call, this.#refusal(call, error));
    }
  }

  /**
   * A request that calls no method, such as one for a stream that is open: who asks is found out, and for which tenant, as for a call. With
   * the call, who asked for it goes on, and finishes it. `about`: the method that gives the stream, as it was called. Never rejects.
   */
  async letIn(incoming: Incoming, read: ReadRequest, about?: string): Promise<Finished | Call> {
    const call = new Call(incoming);
    call.about = about;
    try {
      this.#begin(call, read);
      call.identity = await this.parts.authentication.identify(call);
      bindTenant(call);
      this.parts.observer.identified(call);
      return call;
    } catch (error) {
      return this.finish(call, this.#refusal(call, error));
    }
  }

  /** Stages 10, 11 and 13, of what is called later on in somebody's name. @throws RpcError */
  permit(call: Call): void {
    const { registry, authorization, observer } = this.parts;
    lookUp(call, registry, () => observer.deprecatedCall(call));
    authorization.check(call);
    this.#checkParams(call);
  }

  /** The same with stage 15, in a place that the caller has for it. Never rejects. */
  async background(call: Call, slot: Slot): Promise<Outcome> {
    try {
      this.permit(call);
    } catch (error) {
      slot.release();
      return this.#refusal(call, error);
    }
    setDeadline(call);
    const { guards } = this.parts;
    return execute(call, {
      ...this.parts,
      guards: { enter: () => slot, admit: (admitted) => guards.admit(admitted) },
    });
  }

  /** Of a call that was let in: what answering it threw. */
  fail(call: Call, error: unknown): Finished {
    return this.finish(call, this.#refusal(call, error));
  }

  /** A stream that was let in and does not begin after all. */
  refuse({ call, slot, ticket }: AdmittedStream, error: RpcError): Finished {
    ticket.ignored();
    slot.release();
    return this.finish(call, errorOutcome(error));
  }

  /** Stage 17 of a stream, whose answer began long ago. */
  ended(call: Call, outcome: Outcome): void {
    const durationMs = Math.max(0, Math.floor(performance.now() - call.incoming.startedAt));
    this.parts.observer.ended(call, outcome, { durationMs, http: 200 });
  }

  /** Stages 16 and 17. */
  finish(call: Call, outcome: Outcome): Finished {
    const answer = respond(call, outcome, this.parts.server);
    this.parts.observer.ended(call, outcome, answer);
    if (outcome.status === "error" && outcome.error.retryAfterMs !== undefined)
      call.httpHeaders["retry-after"] = String(Math.max(1, Math.ceil(outcome.error.retryAfterMs / 1_000)));
    return { ...answer, call, observer: this.parts.observer, server: this.parts.server };
  }

  /** Stages 5 to 13. Synchronous unless somebody has to be asked who the caller is. @throws RpcError */
  #admit(call: Call): Promise<void> | undefined {
    const { authentication } = this.parts;
    this.#begin(call, readRequest(call.incoming.message, call.config.protocol.id_mode));
    negotiateVersion(call);
    const identity = authentication.identify(call);
    if (identity instanceof Promise)
      return identity.then((known) => {
        call.identity = known;
        this.#authorized(call);
      });
    call.identity = identity;
    this.#authorized(call);
    return undefined;
  }

  /** Stages 5 and 7. @throws RpcError */
  #begin(call: Call, read: ReadRequest): void {
    const { incoming } = call;
    call.id = "request" in read ? read.request.id : read.id;
    adoptTrace(call, "request" in read ? read.request.trace : read.trace);
    if (incoming.refused !== undefined) throw incoming.refused;
    if (!("request" in read)) throw read.error;
    call.request = read.request;
    this.parts.observer.began(call);
  }

  /** Stages 9 to 13. */
  #authorized(call: Call): void {
    const { registry, authorization, rateLimiting, observer, longTasks } = this.parts;
    bindTenant(call);
    observer.identified(call);
    if (longTasks?.takes(call) !== true) lookUp(call, registry, () => observer.deprecatedCall(call));
    authorization.check(call);
    rateLimiting.take(call);
    this.#checkParams(call);
    longTasks?.defers(call);
  }

  #checkParams(call: Call): void {
    const details = call.definition.params?.check(call.asked.data) ?? [];
    if (details.length > 0) throw new RpcError(2001, { details });
  }

  /** Stage 14 around stage 15: an answer that was given with this key is given again. */
  async #once(call: Call): Promise<Outcome> {
    const { idempotency, observer } = this.parts;
    const before = await idempotency.enter(call);
    if (before !== undefined) {
      observer.replayed(call);
      call.headers["idempotent-replay"] = "true";
      return before;
    }
    const outcome = await execute(call, this.parts);
    if (outcome.status === "error") await idempotency.released(call);
    else await idempotency.completed(call, outcome);
    return outcome;
  }

  #refusal(call: Call, error: unknown): Outcome {
    if (!(error instanceof RpcError)) this.parts.observer.unexpected(call, error);
    return errorOutcome(error);
  }
}

// One stream from its admission to its end (contract 7): pulls its handler as fast as its client takes the frames, numbers them, and closes
// with the frames that the contract wants for each way in which it can end.
//
// A state that is final never changes, and whoever brings it about sends the last frames in the same turn: the handler's own end, what it
// threw, the deadline, the client's wish, the client's leaving, the server's stop. Whichever comes first counts. The handler hears at once
// when nobody listens any more, and what it still does is abandoned; its place is given back with the final state.
import type { Logger } from "pino";
import { isCallersDeadline } from "../pipeline/blame.ts";
import type { Call, EndedBy } from "../pipeline/call.ts";
import { debugInfo, isDebugOn } from "../pipeline/debug.ts";
import { HandlerContext } from "../pipeline/handler-context.ts";
import { errorOutcome, type Outcome } from "../pipeline/outcome.ts";
import type { Blocking } from "../pipeline/parts.ts";
import type { AdmittedStream } from "../pipeline/pipeline.ts";
import { Fragment, PartialResult } from "../registry/call-context.ts";
import { type ErrorBody, errorBody, RpcError } from "../wire/rpc-error.ts";
import type { StreamControl, StreamMessage } from "../wire/stream-message.ts";
import { AckWindow } from "./ack-window.ts";

export type StreamState = "created" | "active" | "completed" | "errored" | "cancelled";

/** What became of a frame: `left-out`: this client's shape has no such frame; `gone`: there is no client any more. */
export type Sent = "sent" | "left-out" | "gone";

/** Where frames go. */
export interface FrameSink {
  /** False while nobody reads, though somebody may come back. */
  readonly isHeard: boolean;
  /** @throws what `JSON.stringify` throws of an item that is no JSON: then nothing was sent */
  send(frame: StreamMessage): Sent;
  /** Undefined: now. Settles when more may be sent, or when nobody is there any more. */
  room(): Promise<void> | undefined;
  /** Everything up to this number has arrived. */
  acked?(sequence: number): void;
  /** After the last frame. */
  close(): void;
}

export interface LiveStreamParts {
  readonly blocking: Blocking;
  readonly log: Logger;
  /** A handler threw what is no RpcError. */
  readonly unexpected: (call: Call, error: unknown) => void;
  readonly sent: (type: StreamMessage["type"]) => void;
  /** Told once, when the state is final. */
  readonly ended: (stream: LiveStream, outcome: Outcome) => void;
}

/** Then others have their turn, though the handler never waits for anything. */
const FRAMES_A_TURN = 64;
const MAX_TIMER_MS = 2 ** 31 - 1;
const OVER = Symbol("over");
const SUCCESS: Outcome = { status: "success", result: null };

export class LiveStream {
  readonly call: Call;
  readonly window: AckWindow;
  #state: StreamState = "created";
  #sequence = 0;
  #dataFrames = 0;
  #pings = 0;
  /** Of `performance.now()`. */
  #sentAt = 0;
  #beganAt = 0;
  #heartbeat: Timer | undefined;
  #deadline: Timer | undefined;
  #sink: FrameSink | undefined;
  /** Ends what the loop waits for. */
  #interrupt: (() => void) | undefined;

  constructor(
    private readonly admitted: AdmittedStream,
    private readonly parts: LiveStreamParts,
    readonly id: string = crypto.randomUUID(),
  ) {
    this.call = admitted.call;
    const { ack_window, max_idle_ack_ms } = this.call.config.stream;
    this.window = new AckWindow(ack_window, max_idle_ack_ms);
  }

  get state(): StreamState {
    return this.#state;
  }

  get lastSequence(): number {
    return this.#sequence;
  }

  get isOver(): boolean {
    return this.#state !== "created" && this.#state !== "active";
  }

  /** Resolves when the stream is over. Never rejects. */
  async run(sink: FrameSink): Promise<void> {
    if (this.#state !== "created") {
      sink.close();
      return;
    }
    this.#sink = sink;
    this.#state = "active";
    this.#beganAt = performance.now();
    this.#sentAt = this.#beganAt;
    this.#armHeartbeat(this.call.config.stream.heartbeat_interval_ms);
    this.#armDeadline();
    try {
      await this.#pull();
      this.#finish("completed", SUCCESS, {});
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /** The client wants no more. False: the stream is over already. */
  cancel(reason: string | undefined): boolean {
    if (this.isOver) return false;
    this.call.end("cancel");
    this.#send("cancel", { control: reason === undefined ? {} : { reason } });
    this.#finish("cancelled", cancelled(), { reason: "cancelled" });
    return true;
  }

  /** False: the stream is over already. */
  ack(sequence: number): boolean {
    if (this.isOver) return false;
    this.window.ack(sequence);
    this.#sink?.acked?.(sequence);
    return true;
  }

  /** The client is gone: nothing can be sent. */
  disconnected(): void {
    if (this.isOver) return;
    this.call.end("disconnect");
    this.#settle("cancelled", cancelled());
  }

  /** The server stops. */
  shutdown(): void {
    this.#break("shutdown", new RpcError(5002));
  }

  #break(by: EndedBy, error: RpcError): void {
    if (this.isOver) return;
    this.call.end(by);
    this.#fail(error);
  }

  async #pull(): Promise<void> {
    const { call } = this;
    const context = new HandlerContext(call, this.parts.log);
    const { cpu, run } = call.definition;
    const value = await this.#orOver(
      cpu === undefined ? run(call.asked.data, context) : this.parts.blocking.run(cpu, call, context),
    );
    if (value === OVER) return;
    if (isAsyncIterable(value)) await this.#each(value[Symbol.asyncIterator]());
    else this.#item(value);
  }

  async #each(iterator: AsyncIterator<unknown>): Promise<void> {
    let isDone = false;
    try {
      for (let inTurn = 1; ; inTurn++) {
        if (!(await this.#room())) return;
        const next = await this.#orOver(iterator.next());
        if (next === OVER) return;
        if (next.done === true) {
          isDone = true;
          return;
        }
        this.#item(next.value);
        if (inTurn % FRAMES_A_TURN === 0) await new Promise(setImmediate);
      }
    } finally {
      // What is left is abandoned, also where an item could not be sent; nobody waits for it.
      if (!isDone) abandon(iterator);
    }
  }

  #item(item: unknown): void {
    if (item instanceof Fragment) {
      this.#send("partial", { data: item.data ?? null });
      return;
    }
    const data = item instanceof PartialResult ? item.result : item;
    this.#send("data", { data: data ?? null });
    if (this.isOver) return;
    this.#dataFrames++;
    this.window.sent(this.#sequence);
  }

  /** Resolves with true when the client takes more and is not too far behind with its acknowledgements; false: it is over. */
  async #room(): Promise<boolean> {
    while (!this.isOver) {
      const taking = this.#sink?.room();
      if (taking !== undefined) await this.#orOver(taking);
      else if (!this.window.isFull) return true;
      else if ((await this.#orOver(this.window.room())) === false) this.#unacknowledged();
    }
    return false;
  }

  #unacknowledged(): void {
    if (this.isOver) return;
    this.call.end("deadline");
    const error = new RpcError(5003, { message: "nothing was acknowledged for too long" });
    // Not the service's fault.
    this.#fail(error, () => this.admitted.ticket.ignored());
  }

  /** For one at a time. Waits on nothing that outlives the stream: a promise that many others wait for would remember each. */
  #orOver<T>(work: T | PromiseLike<T>): Promise<T | typeof OVER> {
    return new Promise((resolve, reject) => {
      if (this.isOver) resolve(OVER);
      this.#interrupt = () => resolve(OVER);
      Promise.resolve(work).then(resolve, reject);
    });
  }

  #send<T extends StreamMessage["type"]>(
    type: T,
    payload: Extract<StreamMessage, { readonly type: T }>["payload"],
  ): void {
    if (this.isOver) return;
    const sequence = this.#sequence + 1;
    const sent = this.#sink?.send({ type, sequence, payload, timestamp_ms: Date.now() } as StreamMessage);
    if (sent === "gone" || sent === undefined) {
      this.disconnected();
      return;
    }
    this.#sequence = sequence;
    this.parts.sent(type);
    if (sent === "sent") this.#sentAt = performance.now();
  }

  #fail(thrown: unknown, settleTicket?: () => void): void {
    if (this.isOver) return;
    if (!(thrown instanceof RpcError)) this.parts.unexpected(this.call, thrown);
    const outcome = errorOutcome(thrown);
    const debug = isDebugOn(this.call.config) ? { debug: debugInfo(outcome.error) } : undefined;
    this.#sendError({ ...errorBody(outcome.error), ...debug });
    this.#finish("errored", outcome, { reason: "error" }, settleTicket);
  }

  #sendError(error: ErrorBody): void {
    try {
      this.#send("error", { error });
    } catch (unwritable) {
      // Details that are no JSON.
      this.parts.unexpected(this.call, unwritable);
      this.#send("error", { error: { code: error.code, name: error.name, message: error.message } });
    }
  }

  #finish(state: StreamState, outcome: Outcome, control: StreamControl, settleTicket?: () => void): void {
    if (this.isOver) return;
    this.#send("end", { control: { final: true, total_count: this.#dataFrames, ...control } });
    this.#settle(state, outcome, settleTicket);
  }

  #settle(state: StreamState, outcome: Outcome, settleTicket?: () => void): void {
    if (this.isOver) return;
    this.#state = state;
    clearTimeout(this.#heartbeat);
    clearTimeout(this.#deadline);
    this.window.close();
    const { slot, ticket } = this.admitted;
    if (settleTicket !== undefined) settleTicket();
    else if (outcome.status !== "error") ticket.succeeded();
    else if (state === "cancelled" || this.call.endedBy === "shutdown") ticket.ignored();
    else if (isCallersDeadline(this.call, this.#beganAt)) ticket.ignored();
    else ticket.failed(outcome.error.code);
    slot.release();
    this.#interrupt?.();
    this.#sink?.close();
    this.parts.ended(this, outcome);
  }

  #armHeartbeat(inMs: number): void {
    const everyMs = this.call.config.stream.heartbeat_interval_ms;
    if (everyMs === 0) return;
    this.#heartbeat = setTimeout(() => {
      if (this.isOver) return;
      const silentMs = performance.now() - this.#sentAt;
      // One timer for a stream, not one a frame: it looks what was sent meanwhile. Who is away is not waited for with pings.
      if (this.#sink?.isHeard === true && silentMs >= everyMs - 1)
        this.#send("heartbeat", { control: { ping_id: `hb-${++this.#pings}` } });
      this.#armHeartbeat(silentMs >= everyMs - 1 ? everyMs : everyMs - silentMs);
    }, inMs);
  }

  #armDeadline(): void {
    const leftMs = this.call.remainingMs();
    if (!Number.isFinite(leftMs)) return;
    this.#deadline = setTimeout(
      () => this.#break("deadline", new RpcError(5003)),
      Math.min(leftMs, MAX_TIMER_MS),
    );
  }
}

function abandon(iterator: AsyncIterator<unknown>): void {
  try {
    void iterator.return?.().then(undefined, () => {});
  } catch {
    // Somebody's own iterator may throw.
  }
}

const cancelled = (): Outcome => ({
  status: "error",
  error: new RpcError(5002, { message: "cancelled by its client" }),
});

const isAsyncIterable = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value;

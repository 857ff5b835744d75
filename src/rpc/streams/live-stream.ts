// One stream from its admission to its end (contract 7): pulls its handler as fast as its client takes the frames, numbers them, and closes
// with the frames that the contract wants for each way in which it can end. The handler hears at once when nobody listens any more.
import type { Logger } from "pino";
import type { Call, EndedBy } from "../pipeline/call.ts";
import { debugInfo, isDebugOn } from "../pipeline/debug.ts";
import { HandlerContext } from "../pipeline/handler-context.ts";
import { errorOutcome, type Outcome } from "../pipeline/outcome.ts";
import type { Observer, PipelineParts } from "../pipeline/parts.ts";
import type { AdmittedStream } from "../pipeline/pipeline.ts";
import { Fragment, PartialResult } from "../registry/call-context.ts";
import { errorBody, RpcError } from "../wire/rpc-error.ts";
import type { StreamControl, StreamMessage } from "../wire/stream-message.ts";
import { AckWindow } from "./ack-window.ts";

export type StreamState = "created" | "active" | "completed" | "errored" | "cancelled";

/** Where frames go. */
export interface StreamSink {
  /** False: nobody is there any more. */
  send(frame: StreamMessage): boolean;
  /** Resolves when the client takes more, or has left. */
  taken(): Promise<void> | undefined;
  /** After the last frame. */
  close(): void;
}

export interface LiveStreamParts extends Pick<PipelineParts, "log"> {
  readonly observer: Observer & StreamObserver;
  readonly log: Logger;
  /** Told once, when the state is final. */
  readonly ended: (stream: LiveStream, outcome: Outcome) => void;
}

export interface StreamObserver {
  streamFrame(type: StreamMessage["type"]): void;
}

export class LiveStream {
  readonly id: string;
  readonly call: Call;
  readonly startedAtMs = Date.now();
  readonly window: AckWindow;
  #state: StreamState = "created";
  #sequence = 0;
  #dataFrames = 0;
  #pings = 0;
  #heartbeat: Timer | undefined;
  #sink: StreamSink | undefined;
  /** Settles when something other than the handler ends the stream. */
  readonly #broken = Promise.withResolvers<never>();
  #deadline: Timer | undefined;

  constructor(
    private readonly admitted: AdmittedStream,
    private readonly parts: LiveStreamParts,
    id: string = crypto.randomUUID(),
  ) {
    this.id = id;
    this.call = admitted.call;
    this.window = new AckWindow(this.call.config.stream.ack_window);
    // Nobody may listen yet.
    this.#broken.promise.catch(() => {});
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

  /** Runs to its end. Never rejects. */
  async run(sink: StreamSink): Promise<void> {
    if (this.isOver) return;
    this.#sink = sink;
    this.#state = "active";
    this.#armHeartbeat();
    this.#armDeadline();
    try {
      await this.#pull();
      this.#finish("completed", { status: "success", result: null }, {});
    } catch (thrown) {
      if (this.isOver) return;
      if (!(thrown instanceof RpcError)) this.parts.observer.unexpected(this.call, thrown);
      const outcome = errorOutcome(thrown);
      const debug = isDebugOn(this.call.config) ? { debug: debugInfo(outcome.error) } : undefined;
      this.#send("error", { error: { ...errorBody(outcome.error), ...debug } });
      this.#finish("errored", outcome, { reason: "error" });
    }
  }

  /** By the client, through the control endpoint. False: it is over already. */
  cancel(reason: string | undefined): boolean {
    if (this.isOver) return false;
    this.call.end("cancel");
    const why: StreamControl = reason === undefined ? {} : { reason };
    this.#send("cancel", { control: why });
    this.#finish("cancelled", cancelled(), { reason: "cancelled" });
    this.parts.observer.cancelled(this.call, "stream");
    return true;
  }

  /** The client is gone: nothing can be sent. */
  disconnected(): void {
    if (this.isOver) return;
    this.call.end("disconnect");
    this.#sink = undefined;
    this.#finish("cancelled", cancelled(), {});
    this.parts.observer.cancelled(this.call, "stream");
  }

  /** The server stops. */
  shutdown(): void {
    this.#break("shutdown", new RpcError(5002));
  }

  #break(by: EndedBy, error: RpcError): void {
    if (this.isOver) return;
    this.call.end(by);
    this.#broken.reject(error);
  }

  async #pull(): Promise<void> {
    const { call } = this;
    const value = call.definition.run(call.asked.data, new HandlerContext(call, this.parts.log));
    if (!isAsyncIterable(value)) {
      await this.#item(await this.#orBroken(Promise.resolve(value)));
      return;
    }
    const iterator = value[Symbol.asyncIterator]();
    try {
      for (;;) {
        await this.#room();
        const next = await this.#orBroken(iterator.next());
        if (next.done === true) return;
        await this.#item(next.value);
      }
    } finally {
      // What is left of it is abandoned; nobody waits for it.
      if (this.isOver || call.endedBy !== undefined) void iterator.return?.().then(undefined, () => {});
    }
  }

  async #item(item: unknown): Promise<void> {
    if (item instanceof Fragment) {
      this.#send("partial", { data: item.data ?? null });
      return;
    }
    const data = item instanceof PartialResult ? item.result : item;
    this.#send("data", { data: data ?? null });
    this.#dataFrames++;
    this.window.sent(this.#sequence);
  }

  /** The client takes more, and is not too far behind with its acknowledgements. */
  async #room(): Promise<void> {
    const taking = this.#sink?.taken();
    if (taking !== undefined) await this.#orBroken(taking);
    if (!this.window.isFull) return;
    if (!(await this.#orBroken(this.window.room(this.call.config.stream.max_idle_ack_ms)))) {
      this.call.end("deadline");
      throw new RpcError(5003, { message: "nothing was acknowledged for too long" });
    }
  }

  #orBroken<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#broken.promise]);
  }

  #send(type: StreamMessage["type"], payload: StreamMessage["payload"]): void {
    if (this.isOver) return;
    const frame = { type, sequence: ++this.#sequence, payload, timestamp_ms: Date.now() } as StreamMessage;
    this.parts.observer.streamFrame(type);
    this.#armHeartbeat();
    if (this.#sink?.send(frame) === false) this.disconnected();
  }

  #finish(state: StreamState, outcome: Outcome, control: StreamControl): void {
    if (this.isOver) return;
    if (state !== "cancelled" || this.call.endedBy === "cancel")
      this.#send("end", { control: { final: true, total_count: this.#dataFrames, ...control } });
    if (this.isOver) return;
    this.#state = state;
    clearTimeout(this.#heartbeat);
    clearTimeout(this.#deadline);
    const { slot, ticket } = this.admitted;
    if (outcome.status !== "error") ticket.succeeded();
    else if (state === "cancelled") ticket.ignored();
    else ticket.failed(outcome.error.code);
    slot.release();
    this.#broken.reject(new RpcError(5002));
    this.#sink?.close();
    this.parts.ended(this, outcome);
  }

  #armHeartbeat(): void {
    const everyMs = this.call.config.stream.heartbeat_interval_ms;
    clearTimeout(this.#heartbeat);
    if (everyMs === 0 || this.isOver) return;
    this.#heartbeat = setTimeout(() => {
      this.#send("heartbeat", { control: { ping_id: `hb-${++this.#pings}` } });
    }, everyMs);
  }

  #armDeadline(): void {
    const leftMs = this.call.remainingMs();
    if (!Number.isFinite(leftMs)) return;
    this.#deadline = setTimeout(
      () => this.#break("deadline", new RpcError(5003)),
      Math.min(leftMs, 2 ** 31 - 1),
    );
  }
}

const cancelled = (): Outcome => ({ status: "error", error: new RpcError(5002, { message: "cancelled" }) });

const isAsyncIterable = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value;

// The streams of the room: opened for who was let in, controlled by whose they are, gone on with after a lost connection, ended when the
// server stops. What one of them holds (a place, memory, names) goes when it ends, whoever ends it.
import type { Logger } from "pino";
import type { Cluster } from "../../bus/cluster.ts";
import { EventStreams } from "../../http/event-stream.ts";
import type { Limits } from "../../limits/limits.ts";
import type { Metrics } from "../../observability/metrics.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import type { Call } from "../pipeline/call.ts";
import type { Outcome } from "../pipeline/outcome.ts";
import type { AdmittedStream, Finished, Pipeline } from "../pipeline/pipeline.ts";
import { RpcError, rpcError } from "../wire/rpc-error.ts";
import type { ControlRequest, StreamWish } from "../wire/stream-control.ts";
import { traceParentHeader } from "../wire/trace-context.ts";
import { AwayStreams } from "./away-streams.ts";
import { EventSink } from "./event-sink.ts";
import { StreamFigures } from "./figures.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { LiveStream } from "./live-stream.ts";
import {
  type Found,
  factsOf,
  isSameOwner,
  LiveStreams,
  type Owner,
  ownerOf,
  type StreamFacts,
} from "./live-streams.ts";
import { OtherNodes } from "./other-nodes.ts";
import { ResumableSink } from "./resumable-sink.ts";

export interface StreamsParts {
  readonly pipeline: Pipeline;
  readonly limits: Pick<Limits, "queues" | "bounds" | "addresses">;
  /** That may wait for one reader. Asked each time. */
  readonly maxQueuedBytes: () => number;
  readonly metrics: Metrics;
  readonly cluster: Cluster | undefined;
  readonly log: Logger;
  readonly list?: LiveStreams;
}

/** The request whose answer carries the frames. */
export interface Listening {
  readonly request: Request;
  readonly facts: Pick<RequestFacts, "clientAddress" | "extendIdle">;
}

export interface Opening extends Listening {
  readonly writer: FrameWriter;
  /** The client may lose its connection for so many seconds; undefined: losing it is leaving. */
  readonly resumeSeconds?: number | undefined;
}

interface Resumable {
  readonly stream: LiveStream;
  readonly owner: Owner;
  readonly sink: ResumableSink;
  readonly headers: Readonly<Record<string, string>>;
}

export interface ControlResult {
  /** Absent where only the node that has the stream knows it. */
  readonly stream_id?: string;
  readonly state: string;
  readonly accepted: boolean;
  readonly last_sequence?: number;
  readonly acked_sequence?: number;
}

/** Streams that are over and may be gone on with; the first to end goes for a further one. */
const MAX_RESUMABLE_OVER = 1_000;
const SWEEP_MS = 10_000;
/** Of what was sent with a call: less is not worth counting. */
const SMALL_MESSAGE = 16 * 1024;
const STREAM_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export class Streams {
  readonly list: LiveStreams;
  readonly #events: EventStreams;
  readonly #figures: StreamFigures;
  readonly #nodes: OtherNodes | undefined;
  readonly #away: AwayStreams;
  readonly #resumable = new Map<string, Resumable>();
  readonly #resumableOver = new Set<Resumable>();
  #sweeping: Timer | undefined;
  #isClosing = false;

  constructor(private readonly parts: StreamsParts) {
    const { limits, maxQueuedBytes, metrics, cluster, log, list = new LiveStreams() } = parts;
    this.list = list;
    this.#events = new EventStreams({ queues: limits.queues, maxQueuedBytes, log });
    this.#figures = new StreamFigures(metrics, list);
    this.#away = new AwayStreams(limits);
    if (cluster !== undefined)
      this.#nodes = new OtherNodes({
        cluster,
        log,
        wished: ({ wish, ...name }, owner) => {
          const found = list.find(name, owner);
          if (typeof found === "object" && isInRange(found.facts, wish)) this.#apply(found, wish);
        },
      });
  }

  /** Those that may be gone on with, open or over. */
  get resumable(): number {
    return this.#resumable.size;
  }

  /** That was called for the stream of this id, whoever did. */
  methodOf(streamId: string | undefined): string | undefined {
    if (streamId === undefined) return undefined;
    return this.#resumable.get(streamId)?.stream.call.asked.method.full ?? this.list.methodOf(streamId);
  }

  start(): void {
    this.#sweeping = setInterval(() => {
      this.list.sweep();
      this.#events.closeStalled();
    }, SWEEP_MS);
  }

  /** The door closes: every stream ends with a word for its client. */
  endAnswers(): void {
    this.#isClosing = true;
    for (const stream of [...this.list]) stream.shutdown();
    for (const { sink } of [...this.#resumable.values()]) sink.leave();
    this.#events.close();
  }

  stop(): void {
    clearInterval(this.#sweeping);
    this.endAnswers();
    this.#nodes?.close();
  }

  /** A stream of any transport: whoever runs it gives it a sink, or tells it that its client is gone. Or a refusal after all. */
  begin(admitted: AdmittedStream, address: string): LiveStream | Finished {
    const { call } = admitted;
    const { pipeline, limits, log } = this.parts;
    if (this.#isClosing) return pipeline.refuse(admitted, new RpcError(5002));
    if (this.list.isFull) {
      limits.bounds.refused("rpc-streams", { address, limit: this.list.size });
      return pipeline.refuse(admitted, rpcError(5021, "stream", "as many streams are open as may be"));
    }
    const { retry, idempotencyKey } = call.asked.qos;
    if (retry !== undefined || idempotencyKey !== undefined)
      log.debug(
        { request_id: call.id, method: call.methodName },
        "a stream is neither retried nor answered twice",
      );
    const stream = new LiveStream(admitted, {
      blocking: pipeline.parts.blocking,
      log,
      unexpected: (...facts) => pipeline.parts.observer.unexpected(...facts),
      sent: (type) => this.#figures.frame(type),
      ended: (...facts) => this.#ended(...facts),
    });
    this.list.add(stream);
    this.#figures.opened(stream);
    this.#holds(stream);
    return stream;
  }

  /** What was sent with a call is there as long as its stream, which may be for hours: it counts as what waits for the client. */
  #holds(stream: LiveStream): void {
    const { messageBytes } = stream.call.incoming;
    if (messageBytes > SMALL_MESSAGE)
      this.parts.limits.queues.set(stream, messageBytes, () => stream.shutdown());
  }

  /** The answer that carries the frames as server-sent events, or a refusal after all. */
  open(admitted: AdmittedStream, opening: Opening): Response | Finished {
    const stream = this.begin(admitted, opening.facts.clientAddress);
    if (!(stream instanceof LiveStream)) return stream;
    const headers = headersOf(stream, opening);
    return opening.resumeSeconds === undefined
      ? this.#once(stream, opening, headers)
      : this.#resumably(stream, opening, headers, opening.resumeSeconds);
  }

  /** What was wished. @throws RpcError 4000, 2003; of one that another node has 5002, 5021 */
  async control({ wish, ...name }: ControlRequest, call: Call): Promise<ControlResult> {
    const owner = ownerOf(call);
    const found = this.list.find(name, owner);
    if (found === undefined && this.#nodes !== undefined && canBeElsewhere(name, owner)) {
      const sent = await this.#nodes.forward({ wish, ...name }, owner);
      if (sent === "busy") throw rpcError(5021, "stream", "too many wait for the other nodes");
      if (sent === "failed") throw rpcError(5002, "stream", "the other nodes cannot be asked");
      const { streamId } = name;
      return { ...(streamId !== undefined && { stream_id: streamId }), state: "unknown", accepted: true };
    }
    if (typeof found !== "object") throw unknown(name.streamId === undefined ? "id" : "stream_id");
    const { facts } = found;
    call.id = facts.requestId;
    call.version = facts.version;
    if (!isInRange(facts, wish))
      throw rpcError(2003, "InvalidField", "must be from 0 to the last sequence that was sent", {
        field: "message.payload.control.ack_sequence",
        metadata: { last_sequence: facts.lastSequence },
      });
    const accepted = this.#apply(found, wish);
    const now = found.live === undefined ? facts : factsOf(found.live);
    return {
      stream_id: now.streamId,
      state: now.state,
      accepted,
      last_sequence: now.lastSequence,
      acked_sequence: now.acked,
    };
  }

  /** Goes on after the frame of this number. @throws RpcError 4000, 4020, 2003 */
  resume(streamId: string, after: number, call: Call, { request, facts }: Listening): Response {
    const kept = this.#resumable.get(streamId);
    if (kept === undefined || !isSameOwner(kept.owner, ownerOf(call)))
      throw unknown("header.x-aduib-stream-id");
    const { stream, sink, headers } = kept;
    call.id = stream.call.id;
    call.version = stream.call.version;
    if (after > stream.lastSequence)
      throw rpcError(2003, "InvalidField", "is more than was sent", {
        field: "header.last-event-id",
        metadata: { last_sequence: stream.lastSequence },
      });
    if (!sink.has(after))
      throw rpcError(4020, "stream", "a frame after that one is not kept any more", {
        field: "header.last-event-id",
      });
    return this.#events.open(
      request,
      facts,
      {
        opened: (reader) => {
          // More may have gone since it was asked.
          if (!sink.attach(reader, after)) reader.end();
        },
        ended: (reader) => sink.detach(reader),
      },
      { headers, isPlain: true },
    );
  }

  #once(
    stream: LiveStream,
    { request, facts, writer }: Opening,
    headers: Readonly<Record<string, string>>,
  ): Response {
    const gone = () => stream.disconnected();
    // Who leaves before the answer is asked for is never heard of by the answer.
    request.signal.addEventListener("abort", gone, { once: true });
    if (request.signal.aborted) gone();
    return this.#events.open(
      request,
      facts,
      { opened: (reader) => void stream.run(new EventSink(reader, writer)), ended: gone },
      { headers, isPlain: true },
    );
  }

  #resumably(
    stream: LiveStream,
    { request, facts, writer }: Opening,
    headers: Readonly<Record<string, string>>,
    seconds: number,
  ): Response {
    const owner = ownerOf(stream.call);
    const address = facts.clientAddress;
    const sink = new ResumableSink({
      frames: writer,
      maxFrames: stream.call.config.stream.resume_frames,
      awayMs: seconds * 1_000,
      queues: this.parts.limits.queues,
      away: (isAway) => this.#away[isAway ? "add" : "remove"](sink, owner, address),
      left: () => {
        this.#resumable.delete(stream.id);
        this.#resumableOver.delete(kept);
        stream.disconnected();
      },
    });
    const kept: Resumable = {
      stream,
      owner,
      sink,
      headers: { ...headers, "x-aduib-resume": String(seconds) },
    };
    this.#resumable.set(stream.id, kept);
    const away = () => sink.away();
    request.signal.addEventListener("abort", away, { once: true });
    if (request.signal.aborted) away();
    return this.#events.open(
      request,
      facts,
      {
        opened: (reader) => {
          sink.attach(reader, 0);
          void stream.run(sink);
        },
        ended: (reader) => sink.detach(reader),
      },
      { headers: kept.headers, isPlain: true },
    );
  }

  #ended(stream: LiveStream, outcome: Outcome): void {
    const { pipeline } = this.parts;
    this.list.end(stream);
    this.parts.limits.queues.forget(stream);
    if (stream.state === "cancelled") pipeline.parts.observer.cancelled(stream.call, "stream");
    pipeline.ended(stream.call, outcome);
    const kept = this.#resumable.get(stream.id);
    if (kept === undefined) return;
    this.#resumableOver.add(kept);
    if (this.#resumableOver.size <= MAX_RESUMABLE_OVER) return;
    for (const oldest of this.#resumableOver) {
      oldest.sink.leave();
      break;
    }
  }

  #apply({ live }: Found, wish: StreamWish): boolean {
    if (wish.type === "cancel") return live?.cancel(wish.reason) ?? false;
    if (live?.ack(wish.sequence) !== true) return false;
    this.#figures.frame("ack");
    return true;
  }
}

function headersOf({ id, call }: LiveStream, { writer }: Opening): Record<string, string> {
  const headers: Record<string, string> = {
    "content-type": "text/event-stream; charset=utf-8",
    "x-aduib-stream-id": id,
    "x-aduib-stream-shape": writer.shape,
    ...call.httpHeaders,
  };
  if (call.version !== undefined) headers["x-aduib-negotiated-version"] = call.version;
  if (call.trace !== undefined) headers.traceparent = traceParentHeader(call.trace);
  return headers;
}

const isInRange = ({ lastSequence }: StreamFacts, wish: StreamWish): boolean =>
  wish.type === "cancel" || (wish.sequence >= 0 && wish.sequence <= lastSequence);

/** What no node can have is not asked for. */
const canBeElsewhere = (
  { streamId }: Pick<ControlRequest, "streamId" | "requestId">,
  { verified }: Owner,
): boolean => (streamId === undefined ? verified : STREAM_ID.test(streamId));

const unknown = (field: string): RpcError => rpcError(4000, "stream", "no such stream", { field });

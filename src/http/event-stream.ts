// Answers that stay open and carry server-sent events. No timeout of silence holds for them; whoever opens one says what is sent and how
// often. All end when the door closes, so that clients come back to whoever is there then.
import type { Logger } from "pino";
import type { MemoryPieces } from "../limits/memory-pieces.ts";
import { asksToClose } from "../server/owed.ts";
import type { RequestFacts } from "../server/request-facts.ts";
import { acceptsGzip } from "./accept-encoding.ts";
import { EventFrame, type FrameCounts } from "./event-frame.ts";
import { EventReader } from "./event-reader.ts";

export interface EventStreamsParts {
  /** What waits for slow sockets. */
  readonly queues: MemoryPieces;
  /** That may wait for one reader. Asked each time. */
  readonly maxQueuedBytes: () => number;
  readonly log: Logger;
  /** Monotonic. */
  readonly now?: () => number;
}

export interface StreamHooks {
  /** The client listens. What is sent here goes out first, at once. */
  readonly opened: (reader: EventReader) => void;
  /** Once for each that was opened. */
  readonly ended: (reader: EventReader) => void;
}

export interface StreamForm {
  /** Beside those of every event stream, or in place of one of them; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Never compressed, whatever the client takes. */
  readonly isPlain?: boolean;
}

/** Who has taken nothing for so long reads no more. */
const STALLED_MS = 60_000;

const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache",
  // nginx would collect what must go out at once.
  "x-accel-buffering": "no",
};

export class EventStreams {
  readonly counts: FrameCounts = { encoded: 0, deflated: 0 };
  readonly #readers = new Set<EventReader>();
  #due: EventReader[] = [];
  #isClosed = false;
  readonly #now: () => number;

  constructor(private readonly parts: EventStreamsParts) {
    this.#now = parts.now ?? (() => performance.now());
  }

  /** Readers that are open. */
  get size(): number {
    return this.#readers.size;
  }

  frame(text: string): EventFrame {
    return new EventFrame(text, this.counts);
  }

  /**
   * The answer to a request for events; to HEAD only its headers. gzip when the client takes it. Its headers leave with the first byte
   * that is sent, not before (oven-sh/bun#33660).
   */
  open(
    request: Request,
    facts: Pick<RequestFacts, "clientAddress" | "extendIdle">,
    hooks: StreamHooks,
    form: StreamForm = {},
  ): Response {
    const isGzipped = form.isPlain !== true && acceptsGzip(request.headers.get("accept-encoding"));
    const headers: Record<string, string> = { ...HEADERS, ...form.headers };
    if (!asksToClose(request)) headers.connection = "keep-alive";
    if (isGzipped) headers["content-encoding"] = "gzip";
    if (request.method === "HEAD") return new Response(null, { headers });
    facts.extendIdle(0);
    let reader: EventReader | undefined;
    const body = new ReadableStream<Uint8Array>({
      // Bun's own kind: what is written goes to the connection, without a queue of promises between.
      type: "direct",
      pull: (sink) => {
        reader = this.#reader(facts.clientAddress, isGzipped, hooks);
        return reader.started(sink);
      },
      cancel: () => reader?.cancelled(),
    });
    return new Response(body, { headers });
  }

  /** Resets the connections of those that read no more; to be called now and then. */
  closeStalled(): void {
    for (const reader of this.#readers) reader.closeIfStalled(STALLED_MS);
  }

  /** The server stops: every answer ends as it should, after what was sent. */
  close(): void {
    this.#isClosed = true;
    for (const reader of this.#readers) reader.end();
  }

  #reader(address: string, isGzipped: boolean, { opened, ended }: StreamHooks): EventReader {
    const { queues, maxQueuedBytes, log } = this.parts;
    const reader = new EventReader({
      queues,
      maxQueuedBytes,
      address,
      isGzipped,
      due: (one) => this.#add(one),
      ended: (one) => {
        this.#readers.delete(one);
        ended(one);
      },
      log,
      now: this.#now,
    });
    this.#readers.add(reader);
    opened(reader);
    if (this.#isClosed) reader.end();
    return reader;
  }

  /** One write to each at the end of the turn, however much it got in it. */
  #add(reader: EventReader): void {
    if (this.#due.length === 0) setImmediate(() => this.#flush());
    this.#due.push(reader);
  }

  #flush(): void {
    const due = this.#due;
    this.#due = [];
    for (const reader of due) reader.flush();
  }
}

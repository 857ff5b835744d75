// Frames on their way to the one reader of a stream over server-sent events. Nothing more is asked of the handler while the client has not
// taken what it was sent; a reader that takes nothing for too long is closed by its door, and its stream with it.
import { EventFrame } from "../../http/event-frame.ts";
import type { EventReader } from "../../http/event-reader.ts";
import type { StreamMessage } from "../wire/stream-message.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { FrameSink, Sent } from "./live-stream.ts";

/** A reader whose first frame goes on where the head that was sent before it ended. */
export class HeadedReader {
  #head: string | undefined;

  /** `head`: undefined where no frame comes. */
  constructor(
    readonly reader: EventReader,
    head: string | undefined,
  ) {
    this.#head = head;
    if (head !== undefined) reader.send(new EventFrame(head));
  }

  /** False: the reader is gone. `text`: of the whole frame. */
  send(text: string, frame: () => EventFrame): boolean {
    const head = this.#head;
    this.#head = undefined;
    if (head === undefined || !text.startsWith(head)) return this.reader.send(frame());
    return this.reader.send(new EventFrame(text.slice(head.length)));
  }
}

export class EventSink implements FrameSink {
  readonly #to: HeadedReader;

  constructor(
    reader: EventReader,
    private readonly frames: FrameWriter,
  ) {
    this.#to = new HeadedReader(reader, frames.head(1));
  }

  get isHeard(): boolean {
    return this.#to.reader.isOpen;
  }

  send(frame: StreamMessage): Sent {
    const text = this.frames.text(frame);
    if (text === undefined) return this.isHeard ? "left-out" : "gone";
    return this.#to.send(text, () => new EventFrame(text)) ? "sent" : "gone";
  }

  room(): Promise<void> | undefined {
    return this.#to.reader.taking();
  }

  close(): void {
    this.#to.reader.end();
  }
}

// Server-sent events as they stand on the wire: every frame as it came and as what it says, in order.
import { Recorder } from "../clients/recorder.ts";
import { isObject, type Json, parseOr } from "./placeholders.ts";

/** What a frame says, a key a line of it. A line that the recordings do not know shows as one more key. */
export interface Frame {
  readonly raw: string;
  readonly says: { [key: string]: Json };
}

export class EventStream {
  readonly frames = new Recorder<Frame>();
  readonly #abort = new AbortController();
  /** Resolves when it ended, by whichever side. */
  ended: Promise<void> = Promise.resolve();

  private constructor(readonly url: string) {}

  /** @returns once the headers are there, whatever the status. */
  static async open(
    url: string,
    headers: Record<string, string> = {},
  ): Promise<{ response: Response; stream: EventStream }> {
    const stream = new EventStream(url);
    const response = await fetch(url, {
      headers: { "accept-encoding": "identity", ...headers },
      signal: stream.#abort.signal,
    });
    stream.ended = stream.#read(response);
    return { response, stream };
  }

  close(): void {
    this.#abort.abort();
  }

  async #read(response: Response): Promise<void> {
    if (response.body === null) return;
    let text = "";
    try {
      for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
        text += part;
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const raw = text.slice(0, end + 2);
          text = text.slice(end + 2);
          const frame = { raw, says: readFrame(raw) };
          // Its time is the hub's own: it comes between any two frames.
          if (typeOf(frame) !== "heartbeat") this.frames.push(frame);
        }
      }
    } catch {
      // Its end is its end, however it came; what is missing then is told by whoever waits for it.
    }
  }
}

/** The event's type. */
export const typeOf = ({ says: { data } }: Frame): string =>
  isObject(data) && typeof data.type === "string" ? data.type : "";

function readFrame(raw: string): { [key: string]: Json } {
  const lines = raw.trimEnd().split("\n");
  return Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(": ");
      const [key, value] = colon < 0 ? ["line", line] : [line.slice(0, colon), line.slice(colon + 2)];
      return [key, key === "data" ? parseOr(value) : value];
    }),
  );
}

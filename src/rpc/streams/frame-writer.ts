// How the frames of a stream are written as server-sent events (contract 7.2, 7.9). `message`: each frame as it is. `response`: what released
// clients read, each item a Response (of a bare endpoint the item itself), a failure one more Response, the end only the end of the body.
// Line feeds only: clients split on two of them.
import { STREAM_SHAPES, type StreamShape } from "../document/document.ts";
import type { Call } from "../pipeline/call.ts";
import { respond, type ServerName } from "../pipeline/respond.ts";
import { absent, isFields } from "../wire/problems.ts";
import type { RpcResponse } from "../wire/response.ts";
import { type ErrorBody, rpcError } from "../wire/rpc-error.ts";
import type { StreamMessage } from "../wire/stream-message.ts";

export interface FrameWriter {
  readonly shape: StreamShape;
  /**
   * Goes out before there is a frame, because headers leave with the first byte only. Where the frame with this number will be the first,
   * that is how it begins; elsewhere an empty line, which means nothing.
   */
  head(sequence: number): string;
  /** With its empty line. Undefined: the shape has no such frame. @throws for an item that is no JSON */
  text(frame: StreamMessage): string | undefined;
}

const event = (sequence: number, value: unknown): string =>
  `id: ${sequence}\ndata: ${JSON.stringify(value)}\n\n`;

/** Each frame is one line of data. `line`: what a transport puts there. */
export const messageLines = (line: (frame: StreamMessage) => unknown): FrameWriter => ({
  shape: "message",
  head: (sequence) => `id: ${sequence}\n`,
  text: (frame) => event(frame.sequence, line(frame)),
});

export interface ResponseLines {
  readonly item: (data: unknown) => unknown;
  readonly failure: (error: ErrorBody) => unknown;
}

/** Each item, and a failure, is one line of data; what a transport puts there. */
export const responseLines = ({ item, failure }: ResponseLines): FrameWriter => ({
  shape: "response",
  head: () => "\n",
  text: (frame) => {
    if (frame.type === "heartbeat") return `: ${frame.payload.control.ping_id}\n\n`;
    if (frame.type === "data") return event(frame.sequence, item(frame.payload.data));
    return frame.type === "error" ? event(frame.sequence, failure(frame.payload.error)) : undefined;
  },
});

export const messageWriter: FrameWriter = messageLines((frame) => frame);

/** `bare`: items are written as they are, as the bare endpoints answer (contract 1). */
export const responseWriter = (call: Call, server: ServerName, bare = false): FrameWriter =>
  responseLines({
    item: (data) => (bare ? data : itemResponse(call, data, server)),
    failure: (error) => envelope(call, server, { status: "error", error }),
  });

/** One item as an answer of its own. */
export const itemResponse = (call: Call, result: unknown, server: ServerName): unknown =>
  envelope(call, server, { status: "success", result });

type Ending =
  | Pick<RpcResponse & { status: "success" }, "status" | "result">
  | Pick<RpcResponse & { status: "error" }, "status" | "error">;

function envelope(call: Call, server: ServerName, ending: Ending): unknown {
  const { response } = respond(call, { status: "success", result: null }, server);
  const { result: _, ...common } = response as RpcResponse & { result?: unknown };
  // Items are JSON in any case, whatever form a refusal would have had.
  const { "content-encoding": __, ...headers } = common.metadata.headers;
  return {
    ...common,
    ...ending,
    metadata: { ...common.metadata, headers: { ...headers, "content-type": "application/json" } },
  };
}

const SHAPE_HEADER = "x-aduib-stream-shape";

const isShape = (value: unknown): value is StreamShape =>
  (STREAM_SHAPES as readonly unknown[]).includes(value);

/** Of one stream: the HTTP header's word, the envelope's, or the document's. @throws RpcError 2003 */
export function streamShape(header: string | null, message: unknown, standard: StreamShape): StreamShape {
  if (header !== null) return known(header, `header.${SHAPE_HEADER}`);
  const wished = fromEnvelope(message);
  return absent(wished) ? standard : known(wished, `metadata.headers.${SHAPE_HEADER}`);
}

function known(value: unknown, field: string): StreamShape {
  if (isShape(value)) return value;
  throw rpcError(2003, "InvalidField", `must be ${STREAM_SHAPES.join(" or ")}`, { field });
}

function fromEnvelope(message: unknown): unknown {
  const metadata = isFields(message) && isFields(message.metadata) ? message.metadata : undefined;
  if (!isFields(metadata?.headers)) return undefined;
  const { headers } = metadata;
  const name = Object.keys(headers).find((key) => key.toLowerCase() === SHAPE_HEADER);
  return name === undefined ? undefined : headers[name];
}

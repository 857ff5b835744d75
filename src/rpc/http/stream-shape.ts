// In which shape the frames of a stream are written (contract 7.9): as StreamMessages, or as what released clients read, one answer an item.
import { STREAM_SHAPES, type StreamShape } from "../document/document.ts";
import type { Incoming } from "../pipeline/incoming.ts";
import { isFields } from "../wire/problems.ts";
import type { ErrorBody } from "../wire/rpc-error.ts";
import { type RpcError, rpcError } from "../wire/rpc-error.ts";
import type { StreamMessage } from "../wire/stream-message.ts";

export const SHAPE_HEADER = "x-aduib-stream-shape";

type Asked = Pick<Incoming, "headers" | "message" | "config" | "transport">;

/** HTTP's header, then the envelope's, then the document. What is refused has a shape all the same. */
export function streamShape(asked: Asked): { readonly shape: StreamShape; readonly refused?: RpcError } {
  const { shape: standard } = asked.config.stream;
  const shape = asked.transport === "thrift" ? "response" : standard[asked.transport];
  const inHeader = asked.headers.get(SHAPE_HEADER);
  const named = inHeader ?? enveloped(asked.message);
  if (named === undefined) return { shape };
  const known = STREAM_SHAPES.find((one) => one === named);
  if (known !== undefined) return { shape: known };
  const field = `${inHeader === null ? "metadata.headers" : "header"}.${SHAPE_HEADER}`;
  return { shape, refused: rpcError(2003, "InvalidField", "must be message or response", { field }) };
}

function enveloped(message: unknown): unknown {
  const metadata = isFields(message) && isFields(message.metadata) ? message.metadata : undefined;
  if (!isFields(metadata?.headers)) return undefined;
  return Object.entries(metadata.headers).find(([name]) => name.toLowerCase() === SHAPE_HEADER)?.[1];
}

/** What one data line holds, of each transport. */
export interface LineBodies {
  readonly message: (frame: StreamMessage) => unknown;
  readonly item: (data: unknown) => unknown;
  readonly failure: (error: ErrorBody) => unknown;
}

/** The text of one frame (contract 7.2); undefined for one that the shape leaves out. */
export function eventText(frame: StreamMessage, shape: StreamShape, bodies: LineBodies): string | undefined {
  if (shape === "message") return event(frame.sequence, bodies.message(frame));
  if (frame.type === "data") return event(frame.sequence, bodies.item(frame.payload.data));
  if (frame.type === "error") return event(frame.sequence, bodies.failure(frame.payload.error));
  if (frame.type === "heartbeat") return `: ${frame.payload.control.ping_id ?? ""}\n\n`;
  return undefined;
}

/** JSON has no line ends of its own. */
const event = (sequence: number, body: unknown): string =>
  `id: ${sequence}\ndata: ${JSON.stringify(body)}\n\n`;

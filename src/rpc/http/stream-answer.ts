// A stream that was let in, as the answer to its request: head first, then frame by frame as the client takes them. A client that leaves
// ends its handler.
import type { RequestFacts } from "../../server/request-facts.ts";
import type { StreamShape } from "../document/document.ts";
import type { Call } from "../pipeline/call.ts";
import type { AdmittedStream } from "../pipeline/pipeline.ts";
import { respond, type ServerName } from "../pipeline/respond.ts";
import type { LiveStreams } from "../streams/live-streams.ts";
import type { RpcResponse } from "../wire/response.ts";
import type { ErrorBody } from "../wire/rpc-error.ts";
import { callHeaders } from "./exchange.ts";
import { EventBody } from "./sse.ts";
import { eventText, type LineBodies, SHAPE_HEADER } from "./stream-shape.ts";

export interface StreamAnswerParts {
  readonly streams: LiveStreams;
  readonly facts: Pick<RequestFacts, "extendIdle">;
  readonly shape: StreamShape;
  readonly bodies: LineBodies;
}

export function streamAnswer(admitted: AdmittedStream, parts: StreamAnswerParts): Response {
  const { shape, bodies } = parts;
  const stream = parts.streams.open(admitted);
  const body = new EventBody(() => stream.disconnected());
  // Heartbeats say that it lives; between them it may be silent for longer than other answers.
  parts.facts.extendIdle(0);
  void stream.run({
    send: (frame) => {
      const text = eventText(frame, shape, bodies);
      return text === undefined || body.write(text);
    },
    taken: () => body.taken(),
    close: () => body.close(),
  });
  return new Response(body.readable, {
    headers: {
      ...callHeaders(admitted.call),
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
      "x-aduib-stream-id": stream.id,
      [SHAPE_HEADER]: shape,
    },
  });
}

/** One item as an answer of its own. */
export const itemResponse = (call: Call, result: unknown, server: ServerName): RpcResponse =>
  respond(call, { status: "success", result }, server).response;

export function failureResponse(call: Call, error: ErrorBody, server: ServerName): RpcResponse {
  const { result: _none, ...common } = itemResponse(call, null, server) as RpcResponse & {
    readonly result: null;
  };
  return { ...common, status: "error", error };
}

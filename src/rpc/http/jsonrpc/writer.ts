// Frames of a stream in JSON-RPC objects (contract 7.9, 26.2): in the shape message each frame is a result; in the shape response each item is
// the result that a unary call would have, and a failure an error object.
import type { StreamShape } from "../../document/document.ts";
import type { Call } from "../../pipeline/call.ts";
import type { ServerName } from "../../pipeline/respond.ts";
import { type FrameWriter, itemResponse, messageLines, responseLines } from "../../streams/frame-writer.ts";
import { jsonRpcError, jsonRpcResult } from "./answer.ts";
import type { JsonRpcRequest } from "./request.ts";

export function jsonRpcWriter(
  shape: StreamShape,
  { id, isBare }: Pick<JsonRpcRequest, "id" | "isBare">,
  call: Call,
  server: ServerName,
): FrameWriter {
  if (shape === "message") return messageLines((frame) => jsonRpcResult(id, frame));
  return responseLines({
    item: (data) => jsonRpcResult(id, isBare ? data : itemResponse(call, data, server)),
    failure: (error) => jsonRpcError(id, error),
  });
}

// Answers as JSON-RPC objects (contract 26.2): the result is the envelope, or the bare message of a service; an error has the code of the
// RpcError, which is its data in whole.
import type { RpcResponse } from "../../wire/response.ts";
import type { ErrorBody } from "../../wire/rpc-error.ts";
import type { JsonRpcId, JsonRpcRequest } from "./request.ts";

export type JsonRpcAnswer =
  | { readonly jsonrpc: "2.0"; readonly id: JsonRpcId; readonly result: unknown }
  | { readonly jsonrpc: "2.0"; readonly id: JsonRpcId; readonly error: JsonRpcError };

export interface JsonRpcError {
  readonly code: number;
  readonly message: string;
  readonly data: ErrorBody;
}

export const jsonRpcResult = (id: JsonRpcId, result: unknown): JsonRpcAnswer => ({
  jsonrpc: "2.0",
  id,
  result,
});

export const jsonRpcError = (id: JsonRpcId, error: ErrorBody, code = error.code): JsonRpcAnswer => ({
  jsonrpc: "2.0",
  id,
  error: { code, message: error.message, data: error },
});

export function jsonRpcAnswer(
  { id, isBare, code }: Pick<JsonRpcRequest, "id" | "isBare" | "code">,
  response: RpcResponse,
): JsonRpcAnswer {
  if (response.status === "error") return jsonRpcError(id, response.error, code);
  return jsonRpcResult(id, isBare ? response.result : response);
}

// The JSON-RPC endpoint (contract 26.2): one object or a batch, each run through the one pipeline. What is wrong with one element of a batch
// is that element's error; all of them run at once and are answered in their order.
import type { RequestBody } from "../../../http/request-body.ts";
import type { RequestFacts } from "../../../server/request-facts.ts";
import { type AskedForm, jsonForm } from "../../formats/negotiation.ts";
import { weightedList } from "../../formats/weighted.ts";
import type { CallKind, Incoming } from "../../pipeline/incoming.ts";
import type { Finished } from "../../pipeline/pipeline.ts";
import { type RpcError, rpcError } from "../../wire/rpc-error.ts";
import {
  bytesAnswer,
  callHeaders,
  decodeBody,
  type ExchangeParts,
  incomingOf,
  JSON_TYPE,
  type Received,
} from "../exchange.ts";
import { type StreamParts, streamAnswer } from "../stream-answer.ts";
import { jsonRpcAnswer } from "./answer.ts";
import {
  INVALID_REQUEST,
  invalidRequest,
  type JsonRpcRequest,
  jsonRpcRequest,
  PARSE_ERROR,
} from "./request.ts";
import { jsonRpcWriter } from "./writer.ts";

export const MAX_BATCH = 50;

export type JsonRpcParts = ExchangeParts & StreamParts;

interface Asking {
  readonly request: Request;
  readonly facts: RequestFacts;
  readonly received: Received;
  readonly parts: JsonRpcParts;
}

export async function jsonRpc(
  request: Request,
  facts: RequestFacts,
  body: RequestBody,
  parts: JsonRpcParts,
): Promise<Response> {
  const received = await decodeBody(request, body, parts, "json");
  const asking = { request, facts, received, parts };
  if (received.refused !== undefined) return single(asking, unreadable(received));
  const { message } = received;
  if (!Array.isArray(message)) return single(asking, jsonRpcRequest(message));
  if (message.length === 0 || message.length > MAX_BATCH)
    return single(asking, invalidRequest(null, `a batch has 1 to ${MAX_BATCH} requests`));
  return batch(asking, message.map(jsonRpcRequest));
}

/** Not JSON, or not told to be JSON; what else went wrong with the body has its own code. */
function unreadable({ refused, read }: Received): JsonRpcRequest {
  const { code } = refused as RpcError;
  const isType = read === undefined;
  return {
    ...invalidRequest(null, ""),
    refused: refused as RpcError,
    code: code !== 1003 ? code : isType ? INVALID_REQUEST : PARSE_ERROR,
  };
}

async function single(asking: Asking, asked: JsonRpcRequest): Promise<Response> {
  const { request, received, parts } = asking;
  const form = jsonForm(asked.message, request.headers, received.config);
  // What is no request has no method that could stream.
  if (asked.code === undefined && isStreamed(asked, asking)) return streamed(asking, asked, form);
  return whole(asking, asked, form, 200, await parts.pipeline.unary(incoming(asking, asked, "unary", form)));
}

function isStreamed({ endpoint, target }: JsonRpcRequest, { request, parts }: Asking): boolean {
  if (endpoint !== undefined) return endpoint === "stream";
  return parts.pipeline.parts.registry.streams(target) || wantsOnlyEvents(request.headers.get("accept"));
}

/** A stream that is refused has its code's status: nobody takes it for one that begins. */
async function streamed(asking: Asking, asked: JsonRpcRequest, form: AskedForm): Promise<Response> {
  const { request, facts, parts } = asking;
  const { server } = parts.pipeline.parts;
  const answered = await streamAnswer(
    {
      request,
      facts,
      incoming: incoming(asking, asked, "stream", form),
      writer: (shape, call) => jsonRpcWriter(shape, asked, call, server),
    },
    parts,
  );
  return answered instanceof Response ? answered : whole(asking, asked, form, answered.http, answered);
}

function whole(
  { received: { config }, parts: { formats } }: Asking,
  asked: JsonRpcRequest,
  form: AskedForm,
  status: number,
  finished: Finished,
): Response | Promise<Response> {
  const { call, response } = finished;
  return bytesAnswer(
    JSON.stringify(jsonRpcAnswer(asked, response)),
    { ...callHeaders(call), "content-type": JSON_TYPE },
    status,
    { form, formats, config, finished },
  );
}

async function batch(asking: Asking, all: readonly JsonRpcRequest[]): Promise<Response> {
  const { request, received, parts } = asking;
  // Of several envelopes none speaks for the whole answer.
  const form = jsonForm(undefined, request.headers, received.config);
  const requestBytes = Math.floor(received.requestBytes / all.length);
  const each = { ...asking, received: { ...received, requestBytes } };
  const finished = await Promise.all(
    all.map(async (asked) => {
      const one = asked.endpoint === "stream" ? refusedStream(asked) : asked;
      const { response } = await parts.pipeline.unary(incoming(each, one, "unary", form));
      return jsonRpcAnswer(asked, response);
    }),
  );
  return bytesAnswer(JSON.stringify(finished), { "content-type": JSON_TYPE }, 200, {
    form,
    formats: parts.formats,
    config: received.config,
  });
}

const refusedStream = (asked: JsonRpcRequest): JsonRpcRequest => ({
  ...asked,
  refused: rpcError(2000, "stream", "no stream is part of a batch"),
});

function incoming(
  { request, facts, received, parts }: Asking,
  { message, refused }: JsonRpcRequest,
  kind: CallKind,
  form: AskedForm,
): Incoming {
  const own = { ...received, message, refused };
  return incomingOf(request, facts, own, form, { transport: "jsonrpc", kind }, parts);
}

/** Whether an `Accept` admits events and nothing else that could be answered. */
function wantsOnlyEvents(accept: string | null): boolean {
  if (accept === null) return false;
  const admitted = weightedList(accept).filter(({ weight }) => weight > 0);
  return admitted.length > 0 && admitted.every(({ name }) => name === "text/event-stream");
}

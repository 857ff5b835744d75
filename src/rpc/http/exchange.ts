// Stages 1 to 4 of a request over HTTP (contract 2), and its answer as bytes: size, compression and format of the body, the form of the
// answer. What is refused here still runs through the pipeline, so that its answer has an id, a trace and a line in the log.
import { BodyRefused, isLarge, type RequestBody } from "../../http/request-body.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import type { RpcDocument } from "../document/document.ts";
import type { Formats } from "../formats/formats.ts";
import {
  type AnswerForm,
  answerForm,
  PLAIN,
  requestCompression,
  requestFormat,
  streamAnswerForm,
} from "../formats/negotiation.ts";
import type { CallKind, Incoming, Peer } from "../pipeline/incoming.ts";
import type { Finished } from "../pipeline/pipeline.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { traceParentHeader } from "../wire/trace-context.ts";

export interface Exchange {
  readonly incoming: Incoming;
  readonly form: AnswerForm;
}

export interface ExchangeParts {
  readonly formats: Formats;
  readonly config: () => RpcDocument;
  readonly peerOf: (facts: RequestFacts) => Peer;
}

/** Never rejects for what a client sent. */
export async function receive(
  request: Request,
  facts: RequestFacts,
  body: RequestBody,
  kind: CallKind,
  { formats, config: current, peerOf }: ExchangeParts,
): Promise<Exchange> {
  const startedAt = performance.now();
  const startedAtMs = Date.now();
  const config = current();
  const { headers } = request;
  let message: unknown;
  let requestBytes = 0;
  let refused: unknown;
  let read: AnswerForm["format"] | undefined;
  try {
    const raw = await body.read();
    const bytes = isLarge(raw) ? Buffer.concat(raw.chunks as Uint8Array[]) : raw.bytes;
    requestBytes = bytes.byteLength;
    const compression = requestCompression(headers.get("content-encoding"), config);
    read = requestFormat(headers.get("content-type"), config);
    const plain =
      compression === undefined
        ? bytes
        : await formats.expand(bytes, compression, config.protocol.max_expanded_bytes);
    message = await formats.decode(plain, read);
  } catch (error) {
    refused = bodyError(error, config);
  }
  const form = (kind === "stream" ? streamAnswerForm : answerForm)(message, headers, read, config);
  const compression = form.compression;
  return {
    form,
    incoming: {
      transport: "rest",
      kind,
      message,
      headers,
      peer: peerOf(facts),
      config,
      startedAt,
      startedAtMs,
      requestBytes,
      disconnected: request.signal,
      contentType: form.format,
      contentEncoding: compression,
      refused: refused ?? form.refused,
    },
  };
}

/** Of what reading a body throws. */
export function bodyError(error: unknown, { protocol }: RpcDocument): unknown {
  if (!(error instanceof BodyRefused)) return error;
  const { code } = error;
  if (code === "too-large")
    return new RpcError(2004, { message: `the body has more than ${protocol.max_body_bytes} bytes` });
  if (code === "cut-short" || code === "late")
    return new RpcError(1003, { message: "the body did not arrive whole" });
  if (code === "busy")
    return new RpcError(5021, { message: "too many bodies are being read", retryAfterMs: 1_000 });
  if (code === "too-much-work")
    return new RpcError(5020, {
      message: "too much work for this address",
      retryAfterMs: error.facts.waitMs ?? 1_000,
    });
  return new RpcError(1003);
}

/** The whole answer. */
export async function answer(
  finished: Finished,
  form: AnswerForm,
  formats: Formats,
  config: RpcDocument,
): Promise<Response> {
  const { response, http, call } = finished;
  const headers: Record<string, string> = {
    "content-type": form.format === "application/json" ? "application/json; charset=utf-8" : form.format,
    vary: "Accept, Accept-Encoding",
    ...call.httpHeaders,
  };
  if (call.version !== undefined) headers["x-aduib-negotiated-version"] = call.version;
  if (call.trace !== undefined) headers.traceparent = traceParentHeader(call.trace);
  const encoded = await formats.encode(response, form.format);
  if (form.compression === undefined) return new Response(encoded, { status: http, headers });
  const bytes = typeof encoded === "string" ? Buffer.from(encoded) : encoded;
  if (bytes.byteLength < config.compression.min_bytes) return new Response(bytes, { status: http, headers });
  headers["content-encoding"] = form.compression;
  return new Response(await formats.compress(bytes, form.compression), { status: http, headers });
}

export { PLAIN };

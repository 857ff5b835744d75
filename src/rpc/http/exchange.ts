// Stages 1 to 4 of a request over HTTP (contract 2), and its answer as bytes: size, compression and format of the body, the form of the
// answer. What is refused here still runs through the pipeline, so that its answer has an id, a trace and a line in the log.
import { BodyRefused, isLarge, type RawBody, type RequestBody } from "../../http/request-body.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import type { Compression, ContentType, RpcDocument } from "../document/document.ts";
import type { Formats } from "../formats/formats.ts";
import {
  type AnswerForm,
  type AskedForm,
  answerForm,
  otherFormat,
  requestCompression,
  requestFormat,
  streamAnswerForm,
} from "../formats/negotiation.ts";
import type { Call } from "../pipeline/call.ts";
import type { CallKind, HeaderSource, Incoming, Peer } from "../pipeline/incoming.ts";
import type { Finished } from "../pipeline/pipeline.ts";
import type { Transport } from "../registry/call-context.ts";
import { RpcError, rpcError } from "../wire/rpc-error.ts";
import { traceParentHeader } from "../wire/trace-context.ts";
import { HeaderSnapshot } from "./header-snapshot.ts";

export interface Exchange {
  readonly incoming: Incoming;
  readonly form: AnswerForm;
}

export interface ExchangeParts {
  readonly formats: Formats;
  readonly config: () => RpcDocument;
  readonly peerOf: (facts: RequestFacts, headers: HeaderSource, config: RpcDocument) => Peer;
}

/** What came, as far as it could be read. */
export interface Received {
  readonly message: unknown;
  readonly requestBytes: number;
  /** Undefined where the format could not be told. */
  readonly read: ContentType | undefined;
  readonly refused: unknown;
  readonly config: RpcDocument;
  readonly startedAt: number;
  readonly startedAtMs: number;
  /** Read already, for the stages after this. */
  readonly headers?: HeaderSource;
}

/** Formats of a body: whatever the document serves, or JSON alone. */
export type Admitted = "any" | "json";

/** Stages 1 to 3. Never rejects for what a client sent. */
export function decodeBody(
  request: Request,
  body: RequestBody,
  parts: ExchangeParts,
  admitted: Admitted = "any",
): Promise<Received> {
  const begun: Received = {
    message: undefined,
    requestBytes: 0,
    read: undefined,
    refused: undefined,
    config: parts.config(),
    startedAt: performance.now(),
    startedAtMs: Date.now(),
    headers: new HeaderSnapshot(request.headers),
  };
  return body.read().then(
    (raw) => decoded(raw, begun, parts.formats, admitted),
    (error: unknown) => ({ ...begun, refused: bodyError(error, begun.config) }),
  );
}

function decoded(
  raw: RawBody,
  begun: Received,
  formats: Formats,
  admitted: Admitted,
): Received | Promise<Received> {
  const { config, startedAt, startedAtMs, headers } = begun;
  let requestBytes = 0;
  let read: ContentType | undefined;
  const received = (message: unknown, refused: unknown): Received => ({
    message,
    requestBytes,
    read,
    refused,
    config,
    startedAt,
    startedAtMs,
    ...(headers !== undefined && { headers }),
  });
  const failed = (error: unknown) => received(undefined, bodyError(error, config));
  try {
    const bytes = isLarge(raw) ? Buffer.concat(raw.chunks as Uint8Array[]) : raw.bytes;
    requestBytes = bytes.byteLength;
    const compression = requestCompression(headers?.get("content-encoding") ?? null, config);
    const type = requestFormat(headers?.get("content-type") ?? null, config);
    if (admitted === "json" && type !== "application/json") throw onlyJson(type);
    read = type;
    const message =
      compression === undefined
        ? formats.decode(bytes, type)
        : formats
            .expand(bytes, compression, config.protocol.max_expanded_bytes)
            .then((plain) => formats.decode(plain, type));
    return message instanceof Promise
      ? message.then((it) => received(it, undefined), failed)
      : received(message, undefined);
  } catch (error) {
    return failed(error);
  }
}

const onlyJson = (requested: string): RpcError =>
  rpcError(1003, "UnsupportedContentType", "only JSON is served here", {
    metadata: { requested, supported: ["application/json"] },
  });

/** Nothing came that would have to be read. */
export const nothingReceived = (config: RpcDocument, refused: unknown = undefined): Received => ({
  message: undefined,
  requestBytes: 0,
  read: undefined,
  refused,
  config,
  startedAt: performance.now(),
  startedAtMs: Date.now(),
});

/** What the pipeline is asked with. `form`: how the answer leaves, or why it has no such form. */
export function incomingOf(
  request: Request,
  facts: RequestFacts,
  received: Received,
  form: AskedForm,
  { transport = "rest", kind = "unary" }: { readonly transport?: Transport; readonly kind?: CallKind },
  { peerOf }: Pick<ExchangeParts, "peerOf">,
): Incoming {
  const { message, requestBytes, read, refused, config, startedAt, startedAtMs } = received;
  const headers = received.headers ?? new HeaderSnapshot(request.headers);
  return {
    transport,
    kind,
    message,
    headers,
    peer: peerOf(facts, headers, config),
    config,
    startedAt,
    startedAtMs,
    requestBytes,
    // Made by Bun when somebody asks: most calls are over before anybody does. One that is asked for late tells what was before.
    get disconnected() {
      return request.signal;
    },
    contentType: form.format,
    contentEncoding: form.compression,
    refused: refused ?? (read && otherFormat(message, read)) ?? form.refused,
  };
}

/** Stages 1 to 4. Never rejects for what a client sent. */
export function receive(
  request: Request,
  facts: RequestFacts,
  body: RequestBody,
  kind: CallKind,
  parts: ExchangeParts,
): Promise<Exchange> {
  return decodeBody(request, body, parts).then((received) => {
    const formOf = kind === "stream" ? streamAnswerForm : answerForm;
    const { message, headers = request.headers, read, config } = received;
    const form = formOf(message, headers, read, config);
    return { form, incoming: incomingOf(request, facts, received, form, { kind }, parts) };
  });
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
export function answer(finished: Finished, form: AnswerForm, formats: Formats): Response | Promise<Response> {
  const { response, http, call } = finished;
  const headers = callHeaders(call);
  headers["content-type"] = form.format === "application/json" ? JSON_TYPE : form.format;
  const parts = { form, formats, config: call.config, finished };
  const encoded = formats.encode(response, form.format);
  return encoded instanceof Promise
    ? encoded.then((bytes) => bytesAnswer(bytes, headers, http, parts))
    : bytesAnswer(encoded, headers, http, parts);
}

export const JSON_TYPE = "application/json; charset=utf-8";

/** Of an answer to one call. */
export function callHeaders(call: Call): Record<string, string> {
  const headers = { ...call.httpHeaders };
  if (call.version !== undefined) headers["x-aduib-negotiated-version"] = call.version;
  if (call.trace !== undefined) headers.traceparent = traceParentHeader(call.trace);
  return headers;
}

export interface FormParts {
  readonly form: AnswerForm;
  readonly formats: Formats;
  readonly config: RpcDocument;
  /** Of one call. */
  readonly finished?: Finished;
}

/** Compressed as the form says. `headers` are the answer's from here on. */
export function bytesAnswer(
  encoded: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
  status: number,
  parts: FormParts,
): Response | Promise<Response> {
  headers.vary ??= "Accept, Accept-Encoding";
  const { form, finished } = parts;
  if (form.compression !== undefined)
    return compressed(encoded, headers, status, { ...parts, compression: form.compression });
  finished?.observer.answered(
    finished.call,
    typeof encoded === "string" ? Buffer.byteLength(encoded) : encoded.byteLength,
  );
  return new Response(encoded, { status, headers });
}

async function compressed(
  encoded: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
  status: number,
  { compression, formats, config, finished }: FormParts & { readonly compression: Compression },
): Promise<Response> {
  const plain = typeof encoded === "string" ? Buffer.from(encoded) : encoded;
  const isSmall = plain.byteLength < config.compression.min_bytes;
  if (!isSmall) headers["content-encoding"] = compression;
  const bytes = isSmall ? plain : await formats.compress(plain, compression);
  finished?.observer.answered(finished.call, bytes.byteLength);
  return new Response(bytes, { status, headers });
}

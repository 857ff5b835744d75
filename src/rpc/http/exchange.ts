// Stages 1 to 4 of a request over HTTP (contract 2), and its answer as bytes: size, compression and format of the body, the form of the
// answer. What is refused here still runs through the pipeline, so that its answer has an id, a trace and a line in the log.
import { BodyRefused, bodyRefused, isLarge, type RequestBody } from "../../http/request-body.ts";
import type { MemoryPieces } from "../../limits/memory-pieces.ts";
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
import { errorOutcome } from "../pipeline/outcome.ts";
import type { Finished } from "../pipeline/pipeline.ts";
import { respond } from "../pipeline/respond.ts";
import type { Transport } from "../registry/call-context.ts";
import { RpcError, rpcError } from "../wire/rpc-error.ts";
import { traceParentHeader } from "../wire/trace-context.ts";
import type { CallerBodies } from "./caller-bodies.ts";
import { PACED_BYTES, pacedBody } from "./paced-body.ts";

export interface Exchange {
  readonly incoming: Incoming;
  readonly form: AnswerForm;
}

export interface ExchangeParts {
  readonly formats: Formats;
  readonly config: () => RpcDocument;
  readonly peerOf: (facts: RequestFacts, headers: HeaderSource, config: RpcDocument) => Peer;
  readonly bodies: Pick<CallerBodies, "turn">;
  /** What waits for slow clients. */
  readonly queues: MemoryPieces;
}

/** What came, as far as it could be read. */
export interface Received {
  readonly message: unknown;
  readonly requestBytes: number;
  /** Of the message, expanded and decoded: what it holds in memory. */
  readonly messageBytes: number;
  /** Undefined where the format could not be told. */
  readonly read: ContentType | undefined;
  readonly refused: unknown;
  readonly config: RpcDocument;
  readonly startedAt: number;
  readonly startedAtMs: number;
}

/** Formats of a body: whatever the document serves, or JSON alone. */
export type Admitted = "any" | "json";

/** Stages 1 to 3. Never rejects for what a client sent. */
export async function decodeBody(
  { headers }: Request,
  { clientAddress }: Pick<RequestFacts, "clientAddress">,
  body: RequestBody,
  { formats, config: current, bodies }: ExchangeParts,
  admitted: Admitted = "any",
): Promise<Received> {
  const startedAt = performance.now();
  const startedAtMs = Date.now();
  const config = current();
  let message: unknown;
  let requestBytes = 0;
  let messageBytes = 0;
  let endTurn = (_bytes: number) => {};
  let refused: unknown;
  let read: ContentType | undefined;
  try {
    const raw = await body.read();
    const bytes = isLarge(raw) ? Buffer.concat(raw.chunks as Uint8Array[]) : raw.bytes;
    requestBytes = bytes.byteLength;
    const compression = requestCompression(headers.get("content-encoding"), config);
    const type = requestFormat(headers.get("content-type"), config);
    if (admitted === "json" && type !== "application/json") throw onlyJson(type);
    read = type;
    const inTurn = async () => {
      endTurn = await bodies.turn(clientAddress);
    };
    if (compression === undefined && bytes.byteLength > SMALL_BYTES) await inTurn();
    const plain =
      compression === undefined ? bytes : await expanded(bytes, compression, { formats, config, inTurn });
    messageBytes = plain.byteLength;
    if (messageBytes > requestBytes) body.share.take(messageBytes - requestBytes);
    message = await formats.decode(plain, read, (more) => {
      messageBytes += more;
      body.share.take(more);
    });
  } catch (error) {
    refused = bodyError(bodyRefused(error), config);
  } finally {
    // Of one that was refused nobody knows how far it came.
    endTurn(refused === undefined ? messageBytes : config.protocol.max_expanded_bytes);
  }
  return { message, requestBytes, messageBytes, read, refused, config, startedAt, startedAtMs };
}

/** What is larger is expanded and decoded in turn. */
const SMALL_BYTES = 256 * 1024;

interface Expanding {
  readonly formats: Formats;
  readonly config: RpcDocument;
  readonly inTurn: () => Promise<void>;
}

/** Few bytes do not tell what they become: what turns out to be large is begun anew when it is its turn. */
async function expanded(
  bytes: Uint8Array,
  compression: Compression,
  { formats, config: { protocol }, inTurn }: Expanding,
): Promise<Uint8Array> {
  const limit = protocol.max_expanded_bytes;
  if (limit <= SMALL_BYTES) return formats.expand(bytes, compression, limit);
  try {
    return await formats.expand(bytes, compression, SMALL_BYTES);
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== 2004) throw error;
  }
  await inTurn();
  return formats.expand(bytes, compression, limit);
}

const onlyJson = (requested: string): RpcError =>
  rpcError(1003, "UnsupportedContentType", "only JSON is served here", {
    metadata: { requested, supported: ["application/json"] },
  });

/** Nothing came that would have to be read. */
export const nothingReceived = (config: RpcDocument, refused: unknown = undefined): Received => ({
  message: undefined,
  requestBytes: 0,
  messageBytes: 0,
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
  { message, requestBytes, messageBytes, read, refused, config, startedAt, startedAtMs }: Received,
  form: AskedForm,
  { transport = "rest", kind = "unary" }: { readonly transport?: Transport; readonly kind?: CallKind },
  { peerOf }: Pick<ExchangeParts, "peerOf">,
): Incoming {
  return {
    transport,
    kind,
    message,
    headers: request.headers,
    peer: peerOf(facts, request.headers, config),
    config,
    startedAt,
    startedAtMs,
    requestBytes,
    messageBytes,
    disconnected: request.signal,
    contentType: form.format,
    contentEncoding: form.compression,
    refused: refused ?? (read && otherFormat(message, read)) ?? form.refused,
  };
}

/** Stages 1 to 4. Never rejects for what a client sent. */
export async function receive(
  request: Request,
  facts: RequestFacts,
  body: RequestBody,
  kind: CallKind,
  parts: ExchangeParts,
): Promise<Exchange> {
  const received = await decodeBody(request, facts, body, parts);
  const formOf = kind === "stream" ? streamAnswerForm : answerForm;
  const form = formOf(received.message, request.headers, received.read, received.config);
  return { form, incoming: incomingOf(request, facts, received, form, { kind }, parts) };
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

type Encoded = string | Uint8Array<ArrayBuffer>;

/** The whole answer. */
export async function answer(
  finished: Finished,
  form: AnswerForm,
  { formats, queues }: AnswerParts,
): Promise<Response> {
  const done = await written(finished, ({ response }) => formats.encode(response, form.format));
  const { http, call } = done.finished;
  const type = form.format === "application/json" ? JSON_TYPE : form.format;
  return bytesAnswer(done.encoded, { ...callHeaders(call), "content-type": type }, http, {
    form,
    formats,
    queues,
    config: call.config,
    finished: done.finished,
  });
}

export interface Written {
  readonly encoded: Encoded;
  readonly finished: Finished;
}

/** What a handler returned may have no bytes, such as a list that contains itself: then that is how the call ended. */
export async function written(
  finished: Finished,
  write: (finished: Finished) => Encoded | Promise<Encoded>,
): Promise<Written> {
  try {
    return { encoded: await write(finished), finished };
  } catch (error) {
    const { call, observer, server } = finished;
    observer.unexpected(call, error);
    const failed = { ...finished, ...respond(call, errorOutcome(error), server) };
    return { encoded: await write(failed), finished: failed };
  }
}

export const JSON_TYPE = "application/json; charset=utf-8";

/** Of an answer to one call. */
export function callHeaders(call: Call): Record<string, string> {
  const headers: Record<string, string> = { ...call.httpHeaders };
  if (call.version !== undefined) headers["x-aduib-negotiated-version"] = call.version;
  if (call.trace !== undefined) headers.traceparent = traceParentHeader(call.trace);
  return headers;
}

export interface AnswerParts {
  readonly formats: Formats;
  /** What waits for slow clients. */
  readonly queues: MemoryPieces;
}

export interface FormParts extends AnswerParts {
  readonly form: AnswerForm;
  readonly config: RpcDocument;
  /** Of one call. */
  readonly finished?: Finished;
}

/** Compressed as the form says. */
export async function bytesAnswer(
  encoded: Encoded,
  given: Readonly<Record<string, string>>,
  status: number,
  { form, formats, queues, config, finished }: FormParts,
): Promise<Response> {
  const headers: Record<string, string> = { vary: "Accept, Accept-Encoding", ...given };
  const sent = (bytes: number) => finished?.observer.answered(finished.call, bytes);
  const body = (bytes: Encoded) =>
    bytes.length <= PACED_BYTES
      ? bytes
      : pacedBody(typeof bytes === "string" ? Buffer.from(bytes) : bytes, queues);
  if (form.compression === undefined) {
    sent(typeof encoded === "string" ? Buffer.byteLength(encoded) : encoded.byteLength);
    return new Response(body(encoded), { status, headers });
  }
  const plain = typeof encoded === "string" ? Buffer.from(encoded) : encoded;
  const isSmall = plain.byteLength < config.compression.min_bytes;
  if (!isSmall) headers["content-encoding"] = form.compression;
  const bytes = isSmall ? plain : await formats.compress(plain, form.compression);
  sent(bytes.byteLength);
  return new Response(body(bytes), { status, headers });
}

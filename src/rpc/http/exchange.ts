// Stages 1 to 4 of a request over HTTP (contract 2), and its answer as bytes: size, compression and format of the body, the form of the
// answer. What is refused here still runs through the pipeline, so that its answer has an id, a trace and a line in the log.
import {
  BodyRefused,
  bodyRefused,
  isLarge,
  type RawBody,
  type RequestBody,
} from "../../http/request-body.ts";
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
import { HeaderSnapshot } from "./header-snapshot.ts";
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
  /** Read already, for the stages after this. */
  readonly headers?: HeaderSource;
}

/** Formats of a body: whatever the document serves, or JSON alone. */
export type Admitted = "any" | "json";

/** Stages 1 to 3. Never rejects for what a client sent. */
export function decodeBody(
  request: Request,
  facts: Pick<RequestFacts, "clientAddress">,
  body: RequestBody,
  parts: ExchangeParts,
  admitted: Admitted = "any",
): Promise<Received> {
  const begun: Received = {
    message: undefined,
    requestBytes: 0,
    messageBytes: 0,
    read: undefined,
    refused: undefined,
    config: parts.config(),
    startedAt: performance.now(),
    startedAtMs: Date.now(),
    headers: new HeaderSnapshot(request.headers),
  };
  return body.read().then(
    (raw) => decoded(raw, begun, body, facts, parts, admitted),
    (error: unknown) => ({ ...begun, refused: bodyError(error, begun.config) }),
  );
}

function decoded(
  raw: RawBody,
  begun: Received,
  { share }: RequestBody,
  facts: Pick<RequestFacts, "clientAddress">,
  { formats, bodies }: ExchangeParts,
  admitted: Admitted,
): Received | Promise<Received> {
  const { config, headers } = begun;
  let requestBytes = 0;
  let messageBytes = 0;
  let read: ContentType | undefined;
  const received = (message: unknown, refused: unknown): Received => ({
    ...begun,
    message,
    requestBytes,
    messageBytes,
    read,
    refused,
  });
  const failed = (error: unknown) => received(undefined, bodyError(bodyRefused(error), config));
  const grown = (more: number) => {
    messageBytes += more;
    share.take(more);
  };
  const inTurn = async (bytes: Uint8Array, compression: Compression | undefined, type: ContentType) => {
    let endTurn = (_bytes: number) => {};
    const turn = async () => {
      endTurn = await bodies.turn(facts.clientAddress);
    };
    // Of one that is refused nobody knows how far it came.
    let endedBytes = config.protocol.max_expanded_bytes;
    try {
      if (compression === undefined) await turn();
      const plain =
        compression === undefined
          ? bytes
          : await expanded(bytes, compression, { formats, config, inTurn: turn });
      messageBytes = plain.byteLength;
      if (messageBytes > requestBytes) share.take(messageBytes - requestBytes);
      const message = await formats.decode(plain, type, grown);
      endedBytes = messageBytes;
      return received(message, undefined);
    } catch (error) {
      return failed(error);
    } finally {
      endTurn(endedBytes);
    }
  };
  try {
    const bytes = isLarge(raw) ? Buffer.concat(raw.chunks as Uint8Array[]) : raw.bytes;
    requestBytes = bytes.byteLength;
    const compression = requestCompression(headers?.get("content-encoding") ?? null, config);
    const type = requestFormat(headers?.get("content-type") ?? null, config);
    if (admitted === "json" && type !== "application/json") throw onlyJson(type);
    read = type;
    if (compression === undefined && bytes.byteLength <= SMALL_BYTES) {
      messageBytes = requestBytes;
      const message = formats.decode(bytes, type, grown);
      return message instanceof Promise
        ? message.then((it) => received(it, undefined), failed)
        : received(message, undefined);
    }
    return inTurn(bytes, compression, type);
  } catch (error) {
    return failed(error);
  }
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
    messageBytes: received.messageBytes,
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
  return decodeBody(request, facts, body, parts).then((received) => {
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

type Encoded = string | Uint8Array<ArrayBuffer>;

/** The whole answer. */
export function answer(
  finished: Finished,
  form: AnswerForm,
  parts: AnswerParts,
): Response | Promise<Response> {
  const done = written(finished, ({ response }) => parts.formats.encode(response, form.format));
  return done instanceof Promise ? done.then((late) => sent(late, form, parts)) : sent(done, form, parts);
}

function sent(
  { encoded, finished }: Written,
  form: AnswerForm,
  { formats, queues }: AnswerParts,
): Response | Promise<Response> {
  const { call, http } = finished;
  const headers = callHeaders(call);
  headers["content-type"] = form.format === "application/json" ? JSON_TYPE : form.format;
  return bytesAnswer(encoded, headers, http, { form, formats, queues, config: call.config, finished });
}

export interface Written {
  readonly encoded: Encoded;
  readonly finished: Finished;
}

type Write = (finished: Finished) => Encoded | Promise<Encoded>;

/** What a handler returned may have no bytes, such as a list that contains itself: then that is how the call ended. */
export function written(finished: Finished, write: Write): Written | Promise<Written> {
  try {
    const encoded = write(finished);
    if (!(encoded instanceof Promise)) return { encoded, finished };
    return encoded.then(
      (bytes) => ({ encoded: bytes, finished }),
      (error: unknown) => unwritable(finished, write, error),
    );
  } catch (error) {
    return unwritable(finished, write, error);
  }
}

async function unwritable(finished: Finished, write: Write, error: unknown): Promise<Written> {
  const { call, observer, server } = finished;
  observer.unexpected(call, error);
  const failed = { ...finished, ...respond(call, errorOutcome(error), server) };
  return { encoded: await write(failed), finished: failed };
}

export const JSON_TYPE = "application/json; charset=utf-8";

/** Of an answer to one call. */
export function callHeaders(call: Call): Record<string, string> {
  const headers = { ...call.httpHeaders };
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

/** Compressed as the form says. `headers` are the answer's from here on. */
export function bytesAnswer(
  encoded: Encoded,
  headers: Record<string, string>,
  status: number,
  parts: FormParts,
): Response | Promise<Response> {
  headers.vary ??= "Accept, Accept-Encoding";
  const { form, finished, queues } = parts;
  if (form.compression !== undefined)
    return compressed(encoded, headers, status, { ...parts, compression: form.compression });
  finished?.observer.answered(
    finished.call,
    typeof encoded === "string" ? Buffer.byteLength(encoded) : encoded.byteLength,
  );
  return new Response(paced(encoded, queues), { status, headers });
}

/** A large one waits, counted, for its reader. */
const paced = (bytes: Encoded, queues: MemoryPieces): Encoded | ReadableStream<Uint8Array> =>
  bytes.length <= PACED_BYTES
    ? bytes
    : pacedBody(typeof bytes === "string" ? Buffer.from(bytes) : bytes, queues);

async function compressed(
  encoded: Encoded,
  headers: Record<string, string>,
  status: number,
  { compression, formats, config, finished, queues }: FormParts & { readonly compression: Compression },
): Promise<Response> {
  const plain = typeof encoded === "string" ? Buffer.from(encoded) : encoded;
  const isSmall = plain.byteLength < config.compression.min_bytes;
  if (!isSmall) headers["content-encoding"] = compression;
  const bytes = isSmall ? plain : await formats.compress(plain, compression);
  finished?.observer.answered(finished.call, bytes.byteLength);
  return new Response(paced(bytes, queues), { status, headers });
}

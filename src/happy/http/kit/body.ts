// Request bodies as the contract reads them (HTTP contract 1.3): which content types, what an empty body means, how bad ones fail.
import {
  type BodyBound,
  type BodyRefusal,
  BodyRefused,
  bodyRefused,
  isChunked,
  isLarge,
  jsonOf,
  type LargeBody,
  largeJsonOf,
  type RawBody,
  readRaw,
  type SmallBody,
  textOf,
} from "../../../http/request-body.ts";
import { MAX_JSON_DEPTH } from "../../../limits/json-depth.ts";
import { endsEmpty, promisedBytes } from "../../../server/body.ts";

/** A body that is refused before validation; `error` and `message` are the contract's. */
export class BodyProblem extends Error {
  constructor(
    readonly status: number,
    readonly error: string,
    message: string,
    readonly code?: BodyRefusal,
  ) {
    super(message);
  }
}

export type BodyKind = "none" | "application/json" | "text/plain" | "application/octet-stream";

/** A body and what it is; undefined stands for none. */
export type TypedBody<Raw extends RawBody = RawBody> = Raw & { readonly kind: Exclude<BodyKind, "none"> };

/** Bodies in chunks that ended without a byte: none, whatever their headers say (HTTP contract, decisions). */
const empty = new WeakSet<Request>();

/** What the headers say about the body, after `checkBody` also what came of it. @throws BodyProblem 415. */
export function bodyKind(request: Request): BodyKind {
  const { method, headers } = request;
  if (method === "GET" || method === "HEAD" || empty.has(request)) return "none";
  const type = headers.get("content-type");
  const carriesBytes = isChunked(request) || !["0", null].includes(headers.get("content-length"));
  if (type === null || type === "") {
    if (carriesBytes) throw unsupported("undefined");
    return "none";
  }
  if (method === "DELETE" && !carriesBytes) return "none";
  const kind = type === "application/json" ? type : type.split(";")[0]?.trim().toLowerCase();
  if (kind !== "application/json" && kind !== "text/plain" && kind !== "application/octet-stream")
    throw unsupported(type);
  return kind;
}

/** For a handler that reads the body itself: what can be refused before. @throws BodyProblem 413 or 415. */
export async function checkBody(request: Request, limitBytes: number): Promise<void> {
  if (isChunked(request)) await chunkedKind(request);
  else bodyKind(request);
  if (promisedBytes(request) > limitBytes) throw problemOf(new BodyRefused("too-large"));
}

/** @throws BodyProblem 400, 413 or 415; BodyRefused busy. */
export async function readTyped(
  request: Request,
  { limitBytes, share, arrived }: BodyBound,
): Promise<TypedBody | undefined> {
  try {
    const chunked = isChunked(request);
    const kind = chunked ? await chunkedKind(request) : bodyKind(request);
    if (kind === "none") return undefined;
    const raw = await readRaw(request, limitBytes, share, arrived);
    const isUnpromised = chunked || Number.isNaN(promisedBytes(request));
    if (isUnpromised && kind !== "application/json" && !isLarge(raw) && raw.bytes.length === 0)
      return undefined;
    return { kind, ...raw };
  } catch (error) {
    throw bodyProblem(error);
  }
}

/** The same in one piece, whatever its size. @throws as `readTyped` */
export async function readWhole(
  request: Request,
  bound: BodyBound,
): Promise<TypedBody<SmallBody> | undefined> {
  const raw = await readTyped(request, bound);
  return raw === undefined || !isLarge(raw) ? raw : { kind: raw.kind, bytes: Buffer.concat(raw.chunks) };
}

const NO_BYTES = new Uint8Array();

/** `readTyped` of a request that has no body, without waiting. @throws BodyProblem 415. */
export function emptyBody(request: Request): TypedBody<SmallBody> | undefined {
  const kind = bodyKind(request);
  return kind === "none" ? undefined : { kind, bytes: NO_BYTES };
}

/** JSON value, text, bytes, or null when there is no body. @throws BodyProblem 400. */
export function parseSmall({ method }: Request, body: TypedBody<SmallBody> | undefined): unknown {
  if (body === undefined) return null;
  const { kind, bytes } = body;
  if (kind === "application/octet-stream") return bytes;
  if (kind === "text/plain") return new TextDecoder().decode(bytes);
  try {
    const text = textOf(body);
    if (text === "") return method === "DELETE" ? null : {};
    return jsonOf(text);
  } catch (error) {
    throw bodyProblem(error);
  }
}

/** `parseSmall` for a large body, which is used up. Long strings under `rawTexts` stay as they arrived. @throws BodyProblem 400, 413. */
export async function parseLarge(
  request: Request,
  body: TypedBody<LargeBody>,
  rawTexts: readonly string[] = [],
): Promise<unknown> {
  const { kind, chunks } = body;
  if (kind !== "application/json") return parseSmall(request, { kind, bytes: Buffer.concat(chunks) });
  try {
    return await largeJsonOf(body, rawTexts);
  } catch (error) {
    throw bodyProblem(error);
  }
}

/** Reading and parsing in one, of a body of any size. */
export async function parseBody(request: Request, bound: BodyBound): Promise<unknown> {
  const body = await readTyped(request, bound);
  return body !== undefined && isLarge(body) ? parseLarge(request, body) : parseSmall(request, body);
}

/** Where the headers alone would refuse it, a body in chunks that ends at once is none. @throws BodyProblem 415. */
async function chunkedKind(request: Request): Promise<BodyKind> {
  try {
    return bodyKind(request);
  } catch (error) {
    if (!(await endsEmpty(request))) throw error;
    empty.add(request);
    return "none";
  }
}

/** Errors of reading a body in the contract's words; those without any stay what they are, `busy` and `too-much-work` among them. */
export function bodyProblem(thrown: unknown): unknown {
  const error = bodyRefused(thrown);
  return error instanceof BodyRefused ? (problemOf(error) ?? error) : error;
}

const WORDS: Partial<Record<BodyRefusal, readonly [status: number, error: string, message: string]>> = {
  "too-large": [413, "FastifyError", "Request body is too large"],
  "cut-short": [400, "FastifyError", "Request body size did not match Content-Length"],
  late: [408, "FastifyError", "Request body did not arrive in time"],
  "not-utf8": [400, "SyntaxError", "The body is not UTF-8"],
  "not-json": [400, "SyntaxError", "invalid JSON"],
  "too-deep": [400, "SyntaxError", `JSON is nested deeper than ${MAX_JSON_DEPTH} levels`],
};

function problemOf({ code, cause }: BodyRefused): BodyProblem | undefined {
  const words = WORDS[code];
  if (words === undefined) return undefined;
  const [status, error, message] = words;
  // What is wrong with JSON the parser says best.
  const isParsers = code === "not-json" && cause instanceof Error;
  return new BodyProblem(status, error, isParsers ? cause.message : message, code);
}

function unsupported(type: string): BodyProblem {
  return new BodyProblem(415, "FastifyError", `Unsupported Media Type: ${type}`);
}

// Request bodies as the contract reads them (HTTP contract 1.3): which content types, what an empty body means, how bad ones fail.

import { NotUtf8, parseLargeJson, TooDeeplyNested, TooMuchStructure } from "../../../http/large-json.ts";
import type { BodyShare } from "../../../limits/body-budget.ts";
import { isTooDeep, MAX_JSON_DEPTH } from "../../../limits/json-depth.ts";
import { LARGE_BODY_BYTES } from "../../../limits/large-bodies.ts";
import { GivenUp } from "../../../limits/strangers.ts";
import {
  BodyCutShort,
  BodyTooLarge,
  endsEmpty,
  promisedBytes,
  readBody,
  readChunks,
} from "../../../server/body.ts";

/** A body that is refused before validation; `error` and `message` are the contract's. */
export class BodyProblem extends Error {
  constructor(
    readonly status: number,
    readonly error: string,
    message: string,
  ) {
    super(message);
  }
}

export type BodyKind = "none" | "application/json" | "text/plain" | "application/octet-stream";

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
  const kind = type.split(";")[0]?.trim().toLowerCase();
  if (kind !== "application/json" && kind !== "text/plain" && kind !== "application/octet-stream")
    throw unsupported(type);
  return kind;
}

/** For a handler that reads the body itself: what can be refused before. @throws BodyProblem 413 or 415. */
export async function checkBody(request: Request, limitBytes: number): Promise<void> {
  if (isChunked(request)) await chunkedKind(request);
  else bodyKind(request);
  if (promisedBytes(request) > limitBytes) throw tooLarge();
}

/** A body as it came; undefined stands for none. */
export type RawBody = SmallBody | LargeBody;

interface SmallBody {
  readonly kind: Exclude<BodyKind, "none">;
  readonly bytes: Uint8Array;
}

/** In the pieces in which it came: putting them together would need the memory twice. */
export interface LargeBody {
  readonly kind: SmallBody["kind"];
  readonly chunks: readonly Uint8Array[];
  readonly length: number;
}

export const isLarge = (raw: RawBody): raw is LargeBody => "chunks" in raw;

/** `arrived` hears of every piece of a body that is not small. @throws BodyProblem 400, 408, 413 or 415; OverBudget. */
export async function readRaw(
  request: Request,
  limitBytes: number,
  share: BodyShare,
  arrived?: () => void,
): Promise<RawBody | undefined> {
  try {
    const chunked = isChunked(request);
    const kind = chunked ? await chunkedKind(request) : bodyKind(request);
    if (kind === "none") return undefined;
    if (!chunked && promisedBytes(request) <= LARGE_BODY_BYTES)
      return { kind, bytes: await readBody(request, limitBytes, share, arrived) };
    const { chunks, length } = await readChunks(request, limitBytes, share, arrived);
    if (length > LARGE_BODY_BYTES) return { kind, chunks, length };
    return length === 0 && kind !== "application/json" ? undefined : { kind, bytes: Buffer.concat(chunks) };
  } catch (error) {
    throw bodyProblem(error);
  }
}

/** The same in one piece, whatever its size. @throws as `readRaw` */
export async function readWhole(
  request: Request,
  limitBytes: number,
  share: BodyShare,
): Promise<SmallBody | undefined> {
  const raw = await readRaw(request, limitBytes, share);
  return raw === undefined || !isLarge(raw) ? raw : { kind: raw.kind, bytes: Buffer.concat(raw.chunks) };
}

const NO_BYTES = new Uint8Array();

/** `readRaw` of a request that has no body, without waiting. @throws BodyProblem 415. */
export function emptyRaw(request: Request): SmallBody | undefined {
  const kind = bodyKind(request);
  return kind === "none" ? undefined : { kind, bytes: NO_BYTES };
}

/** JSON value, text, bytes, or null when there is no body. @throws BodyProblem 400. */
export function parseRaw({ method }: Request, raw: SmallBody | undefined): unknown {
  if (raw === undefined) return null;
  const { kind, bytes } = raw;
  if (kind === "application/octet-stream") return bytes;
  if (kind === "text/plain") return new TextDecoder().decode(bytes);
  const text = utf8(bytes);
  if (text === "") return method === "DELETE" ? null : {};
  if (isTooDeep(text)) throw new TooDeep();
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw notJson(error);
  }
}

/** `parseRaw` for a large body, which is used up. Long strings under `rawTexts` stay as they arrived. @throws BodyProblem 400, 413. */
export async function parseLarge(
  request: Request,
  { kind, chunks }: LargeBody,
  rawTexts: readonly string[] = [],
): Promise<unknown> {
  if (kind !== "application/json") return parseRaw(request, { kind, bytes: Buffer.concat(chunks) });
  try {
    return await parseLargeJson(chunks, new Set(rawTexts));
  } catch (error) {
    if (error instanceof TooDeeplyNested) throw new TooDeep();
    if (error instanceof TooMuchStructure) throw tooLarge();
    if (error instanceof NotUtf8) throw notUtf8();
    throw notJson(error);
  }
}

/** `readRaw` and the parsing in one. */
export async function parseBody(request: Request, limitBytes: number, share: BodyShare): Promise<unknown> {
  const raw = await readRaw(request, limitBytes, share);
  return raw !== undefined && isLarge(raw) ? parseLarge(request, raw) : parseRaw(request, raw);
}

/** Bytes that are no UTF-8 are no JSON (RFC 8259, 8.1): read as something else, two different identifiers would be the same one. */
function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw notUtf8();
  }
}

const notUtf8 = () => new BodyProblem(400, "SyntaxError", "The body is not UTF-8");

function notJson(error: unknown): BodyProblem {
  return new BodyProblem(400, "SyntaxError", error instanceof Error ? error.message : "invalid JSON");
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

const isChunked = ({ headers }: Request) => headers.has("transfer-encoding");

/** Errors of reading a body in the contract's words; others stay what they are. */
export function bodyProblem(error: unknown): unknown {
  if (error instanceof BodyTooLarge) return tooLarge();
  if (error instanceof BodyCutShort)
    return new BodyProblem(400, "FastifyError", "Request body size did not match Content-Length");
  if (error instanceof GivenUp)
    return new BodyProblem(408, "FastifyError", "Request body did not arrive in time");
  return error;
}

function tooLarge(): BodyProblem {
  return new BodyProblem(413, "FastifyError", "Request body is too large");
}

export class TooDeep extends BodyProblem {
  constructor() {
    super(400, "SyntaxError", `JSON is nested deeper than ${MAX_JSON_DEPTH} levels`);
  }
}

function unsupported(type: string): BodyProblem {
  return new BodyProblem(415, "FastifyError", `Unsupported Media Type: ${type}`);
}

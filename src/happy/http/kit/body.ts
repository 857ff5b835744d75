// Request bodies as the contract reads them (HTTP contract 1.3): which content types, what an empty body means, how bad ones fail.

import type { BodyShare } from "../../../limits/body-budget.ts";
import { BodyCutShort, BodyTooLarge, readBody, streamBody } from "../../../server/body.ts";

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

/** What the headers say about the body. @throws BodyProblem 415. */
export function bodyKind({ method, headers }: Request): BodyKind {
  if (method === "GET" || method === "HEAD") return "none";
  const type = headers.get("content-type");
  const carriesBytes =
    headers.has("transfer-encoding") || !["0", null].includes(headers.get("content-length"));
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
export function checkBody(request: Request, limitBytes: number): void {
  bodyKind(request);
  if (Number(request.headers.get("content-length")) > limitBytes) throw tooLarge();
}

/**
 * The parsed body: JSON value, text, bytes, or null when there is none.
 * @throws BodyProblem 400, 413 or 415; OverBudget.
 */
export async function parseBody(request: Request, limitBytes: number, share: BodyShare): Promise<unknown> {
  const { method } = request;
  const kind = bodyKind(request);
  if (kind === "none") return null;
  const bytes = await read(request, limitBytes, share);
  if (kind === "application/octet-stream") return bytes;
  const text = new TextDecoder().decode(bytes);
  if (kind === "text/plain") return text;
  if (text === "") return method === "DELETE" ? null : {};
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new BodyProblem(400, "SyntaxError", error instanceof Error ? error.message : "invalid JSON");
  }
}

/** Counted when they are promised: few enough to make no difference. */
const SMALL_BYTES = 64 * 1024;

async function read(request: Request, limitBytes: number, share: BodyShare): Promise<Uint8Array> {
  const promised = Number(request.headers.get("content-length") ?? Number.NaN);
  try {
    if (promised <= SMALL_BYTES) {
      share.take(promised);
      return await readBody(request, limitBytes);
    }
    if (promised > limitBytes) throw new BodyTooLarge();
    return await collect(request, limitBytes, share);
  } catch (error) {
    throw bodyProblem(error);
  }
}

/** Counts what arrives, as it arrives. */
async function collect(request: Request, limitBytes: number, share: BodyShare): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamBody(request, limitBytes)) {
    share.take(chunk.byteLength);
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}

/** Errors of reading a body in the contract's words; others stay what they are. */
export function bodyProblem(error: unknown): unknown {
  if (error instanceof BodyTooLarge) return tooLarge();
  if (error instanceof BodyCutShort)
    return new BodyProblem(400, "FastifyError", "Request body size did not match Content-Length");
  return error;
}

function tooLarge(): BodyProblem {
  return new BodyProblem(413, "FastifyError", "Request body is too large");
}

function unsupported(type: string): BodyProblem {
  return new BodyProblem(415, "FastifyError", `Unsupported Media Type: ${type}`);
}

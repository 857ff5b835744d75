// Reads the body of a long-polling POST as it arrives: never more than its limit, never a stalled one for long, and what has arrived
// counts as memory meanwhile.
import type { MemoryPieces } from "../limits/memory-pieces.ts";

/** Between two pieces of a body. */
const STALLED_MS = 10_000;
/** For a whole one. */
const WHOLE_MS = 60_000;
const SEPARATOR = 0x1e;

/** Why there is no body, as an HTTP status. */
export class PollingBodyRefused extends Error {
  constructor(readonly status: 400 | 408 | 413 | 503) {
    super(`a polling body was refused with ${status}`);
  }
}

export interface PollingBodyLimits {
  readonly maxBytes: number;
  /** Engine.IO packets in one body. */
  readonly maxPackets: number;
  /** Aborts when nobody wants the body any more. */
  readonly signal: AbortSignal;
}

/** @throws PollingBodyRefused */
export async function pollingBody(
  request: Request,
  { maxBytes, maxPackets, signal }: PollingBodyLimits,
  arriving: MemoryPieces,
): Promise<Uint8Array<ArrayBuffer>> {
  if (Number(request.headers.get("content-length")) > maxBytes) throw new PollingBodyRefused(413);
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  const owner = {};
  const { promise: refused, reject } = Promise.withResolvers<never>();
  const refuse = (status: PollingBodyRefused["status"]) => reject(new PollingBodyRefused(status));
  signal.addEventListener("abort", () => refuse(400));
  const whole = setTimeout(() => refuse(408), WHOLE_MS);
  const stalled = setTimeout(() => refuse(408), STALLED_MS);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read().catch(cutShort), refused]);
      if (done) break;
      stalled.refresh();
      bytes += value.byteLength;
      if (bytes > maxBytes) throw new PollingBodyRefused(413);
      chunks.push(value);
      arriving.set(owner, bytes, () => refuse(503));
    }
  } finally {
    clearTimeout(whole);
    clearTimeout(stalled);
    arriving.forget(owner);
    // Not awaited: it may stand behind a read that never ends.
    reader.cancel().catch(() => {});
  }
  const body = joined(chunks, bytes);
  if (packetsOf(body) > maxPackets) throw new PollingBodyRefused(413);
  return body;
}

function packetsOf(body: Uint8Array): number {
  let count = 1;
  for (let at = body.indexOf(SEPARATOR); at >= 0; at = body.indexOf(SEPARATOR, at + 1)) count++;
  return count;
}

function cutShort(): never {
  throw new PollingBodyRefused(400);
}

/** Not `Uint8Array.from`, which copies element by element. */
function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

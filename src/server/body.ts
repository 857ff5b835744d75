// Reads a request body, whole or piece by piece, never past its limit. What is left of it when an answer is ready stays readable:
// the door decides what becomes of the rest.
import type { BodyShare } from "../limits/body-budget.ts";
import { releaseMemory } from "../limits/release-memory.ts";

export class BodyTooLarge extends Error {}
/** The client went away, or promised more bytes than it sent. */
export class BodyCutShort extends Error {}

/** Read whole at once where there is room for promises; beyond, what arrives is counted piece by piece. */
export const SMALL_BYTES = 64 * 1024;

/**
 * A body may be silent for so long, seconds. Bun ends a request that brings less than 16 KiB a second unless its handler asks for more
 * time, and phones in a train do.
 */
export const SILENCE_SECONDS = 72;

/** What the headers promise, in bytes; NaN where they do not say. */
export function promisedBytes(request: Request): number {
  return Number(request.headers.get("content-length") ?? Number.NaN);
}

/** The same in the pieces in which it arrives. The caller owns them. */
export async function readChunks(
  request: Request,
  limitBytes: number,
  share: BodyShare,
  arrived?: () => void,
): Promise<{ chunks: Uint8Array[]; length: number }> {
  if (promisedBytes(request) > limitBytes) throw new BodyTooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of streamBody(request, limitBytes, arrived)) {
      share.take(chunk.byteLength);
      chunks.push(chunk);
      length += chunk.byteLength;
    }
    return { chunks, length };
  } catch (error) {
    for (const chunk of chunks) releaseMemory(chunk);
    throw error;
  }
}

/**
 * The body as one piece, counted in `share` as it arrives; `arrived` hears of every piece of one that is not small.
 * @throws BodyTooLarge as soon as the limit is passed, before reading on; BodyCutShort when it ends early; OverBudget.
 */
export async function readBody(
  request: Request,
  limitBytes: number,
  share?: BodyShare,
  arrived?: () => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const promised = promisedBytes(request);
  if (promised > limitBytes) throw new BodyTooLarge();
  // Before `body` is looked at: that makes a stream, which costs a third of a small request.
  if (promised <= SMALL_BYTES && (share === undefined || share.expect(promised))) {
    let whole: Uint8Array<ArrayBuffer>;
    try {
      whole = (await request.bytes()) as Uint8Array<ArrayBuffer>;
    } catch (error) {
      throw cutShort(error);
    } finally {
      share?.arrived(promised);
    }
    share?.take(whole.byteLength);
    return whole;
  }
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamBody(request, limitBytes, arrived)) {
    share?.take(chunk.byteLength);
    chunks.push(chunk);
  }
  const [only] = chunks;
  return chunks.length === 1 && only?.buffer instanceof ArrayBuffer
    ? new Uint8Array(only.buffer, only.byteOffset, only.byteLength)
    : new Uint8Array(Buffer.concat(chunks));
}

/** The body as it arrives; `arrived` hears of every piece. @throws BodyTooLarge as soon as the limit is passed, BodyCutShort when the body ends early. */
export async function* streamBody(
  request: Request,
  limitBytes: number,
  arrived: () => void = () => {},
): AsyncGenerator<Uint8Array> {
  if (request.body === null) return;
  let total = 0;
  const reader = request.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw cutShort(error);
      });
      if (done) return;
      total += value.byteLength;
      if (total > limitBytes) throw new BodyTooLarge();
      arrived();
      yield value;
    }
  } finally {
    reader.releaseLock();
  }
}

/**
 * Whether a body whose length nobody promised ends without a byte: tunnels send requests without a body in chunks. Of one with
 * bytes the first are gone.
 */
export async function endsEmpty(request: Request): Promise<boolean> {
  if (request.body === null) return true;
  for await (const chunk of streamBody(request, Number.POSITIVE_INFINITY))
    if (chunk.byteLength > 0) return false;
  return true;
}

/** Whoever sends nothing for so long waits for the answer, or is not in earnest. */
const SILENCE_MS = 1_000;

/** `whole`: nothing is left. `silent`: the other side does not send now. `more`: it goes on and on. */
export type Rest = "whole" | "silent" | "more";

/** Reads and forgets, so that the other side may finish sending. Never throws; gives up at either bound, and at a silence. */
export async function discardBody(
  request: Request,
  limitBytes: number,
  withinMs: number,
): Promise<{ rest: Rest; bytes: number }> {
  let bytes = 0;
  if (request.body === null || request.body.locked) return { rest: "whole", bytes };
  const reader = request.body.getReader();
  const until = performance.now() + withinMs;
  try {
    for (let left = withinMs; left > 0; left = until - performance.now()) {
      const { promise: silence, resolve } = Promise.withResolvers<undefined>();
      const timer = setTimeout(resolve, Math.min(SILENCE_MS, left));
      const next = await Promise.race([reader.read(), silence]).finally(() => clearTimeout(timer));
      if (next === undefined) return { rest: "silent", bytes };
      if (next.done) return { rest: "whole", bytes };
      bytes += next.value.byteLength;
      releaseMemory(next.value);
      if (bytes > limitBytes) return { rest: "more", bytes };
    }
    return { rest: "more", bytes };
  } catch {
    // Gone: nothing is owed to it.
    return { rest: "whole", bytes };
  } finally {
    // A read may still be waiting: it ends with the connection.
    try {
      reader.releaseLock();
    } catch {}
  }
}

function cutShort(cause: unknown): BodyCutShort {
  return new BodyCutShort("the request body ended early", { cause });
}

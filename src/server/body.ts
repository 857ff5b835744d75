// Reads a request body, whole or piece by piece, never past its limit.

export class BodyTooLarge extends Error {}
/** The client went away, or promised more bytes than it sent. */
export class BodyCutShort extends Error {}

/** @throws BodyTooLarge as soon as the limit is passed, before reading on; BodyCutShort when the body ends early. */
export async function readBody(request: Request, limitBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const promised = Number(request.headers.get("content-length") ?? Number.NaN);
  if (promised > limitBytes) throw new BodyTooLarge();
  if (request.body === null) return new Uint8Array();
  // With an honest length within the limit, Bun's own buffering is the fastest way.
  if (promised >= 0) {
    try {
      return new Uint8Array(await request.arrayBuffer());
    } catch (error) {
      throw cutShort(error);
    }
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamBody(request, limitBytes)) chunks.push(chunk);
  return Uint8Array.from(Buffer.concat(chunks));
}

/** The body as it arrives. @throws BodyTooLarge as soon as the limit is passed, BodyCutShort when the body ends early. */
export async function* streamBody(request: Request, limitBytes: number): AsyncGenerator<Uint8Array> {
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
      yield value;
    }
  } finally {
    // Whoever stops early does not want the rest.
    reader.cancel().catch(() => {});
  }
}

/** Whoever sends nothing for so long waits for the answer, or is not in earnest. */
const SILENCE_MS = 1_000;

/** Reads and forgets, so that the other side may finish sending. Never throws; gives up at either bound, and at a silence. */
export async function discardBody(request: Request, limitBytes: number, withinMs: number): Promise<void> {
  const body = streamBody(request, limitBytes);
  const until = Date.now() + withinMs;
  try {
    for (let left = withinMs; left > 0; left = until - Date.now()) {
      const { promise: silence, resolve } = Promise.withResolvers<undefined>();
      const timer = setTimeout(resolve, Math.min(SILENCE_MS, left));
      const next = await Promise.race([body.next(), silence]).finally(() => clearTimeout(timer));
      if (next === undefined || next.done) return;
    }
  } catch {
    // Too much, or gone: nothing is owed to it.
  } finally {
    // Not awaited: it may stand behind a read that never ends.
    body.return(undefined).catch(() => {});
  }
}

function cutShort(cause: unknown): BodyCutShort {
  return new BodyCutShort("the request body ended early", { cause });
}

// Reads a request body into memory, never past its limit.

export class BodyTooLarge extends Error {}
/** The client went away, or promised more bytes than it sent. */
export class BodyCutShort extends Error {}

/** @throws BodyTooLarge as soon as the limit is passed, before reading on; BodyCutShort when the body ends early. */
export async function readBody(request: Request, limitBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const promised = Number(request.headers.get("content-length") ?? Number.NaN);
  if (promised > limitBytes) throw new BodyTooLarge();
  if (request.body === null) return new Uint8Array();
  try {
    // With an honest length within the limit, Bun's own buffering is the fastest way.
    if (promised >= 0) return new Uint8Array(await request.arrayBuffer());
    const chunks: Uint8Array[] = [];
    let total = 0;
    for await (const chunk of request.body) {
      total += chunk.byteLength;
      if (total > limitBytes) throw new BodyTooLarge();
      chunks.push(chunk);
    }
    return Uint8Array.from(Buffer.concat(chunks, total));
  } catch (error) {
    if (error instanceof BodyTooLarge) throw error;
    throw new BodyCutShort("the request body ended early", { cause: error });
  }
}

// Answers of /api in gzip, where the client takes it (HTTP contract, E4): JSON of any length, and refusals, also those that are text. Streams
// of events are encoded where they are made, and lists that are written piece by piece stay streams.
import { promisify } from "node:util";
import { gzip as gzipInThread } from "node:zlib";
import type { MiddlewareHandler } from "hono";
import { acceptsGzip } from "../../../http/accept-encoding.ts";
import type { OpenEnv } from "./env.ts";

/** Up to here it takes less than a millisecond, and a thread would take longer. */
const SMALL_BYTES = 64 * 1024;
/** Time matters more than the last bytes. */
const LEVEL = 1;
const inThread = promisify(gzipInThread);

export const gzipAnswers: MiddlewareHandler<OpenEnv> = async (c, next) => {
  await next();
  const { res } = c;
  const type = res.headers.get("content-type") ?? "";
  const isPacked = type.startsWith("application/json") || (type.startsWith("text/plain") && !res.ok);
  if (!isPacked || res.body === null || res.headers.has("content-encoding")) return;
  if (c.req.method === "HEAD" || !acceptsGzip(c.req.raw.headers.get("accept-encoding"))) return;
  const body =
    c.var.isStream === true ? res.body.pipeThrough(new CompressionStream("gzip")) : await packed(res);
  c.res = undefined;
  c.res = new Response(body, res);
  c.res.headers.set("content-encoding", "gzip");
  c.res.headers.delete("content-length");
};

const packed = async (answer: Response): Promise<Uint8Array<ArrayBuffer>> =>
  gzipped(new Uint8Array(await answer.arrayBuffer()));

export async function gzipped(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  if (bytes.byteLength <= SMALL_BYTES) return Bun.gzipSync(bytes, { level: LEVEL });
  return new Uint8Array(await inThread(bytes, { level: LEVEL }));
}

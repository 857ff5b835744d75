// What an answer owes HTTP and Bun leaves out. Bun closes a connection when the request asks for it, but does not say so, and a client's
// agent sends its next request into the dead socket; it cuts off whoever is still writing when the connection is to end, so that the
// client sees a reset instead of the answer; and it leaves `Date` out of answers to HEAD.
import type { Strangers } from "../limits/strangers.ts";
import { discardBody } from "./body.ts";
import type { Caller } from "./caller.ts";
import type { RequestFacts } from "./request-facts.ts";

/** What is still taken, and thrown away, of a body that is not wanted: the largest attachment. */
const REST_BYTES = 10 * 1024 * 1024;
const REST_MS = 30_000;
/** Throwing bytes away costs little beside reading them. */
const CHEAPER = 16;
/** Who sends on and on gets the answer meanwhile, and so much more is taken. */
const LINGER_BYTES = 20 * 1024 * 1024;
const LINGER_MS = 10_000;

/**
 * Whether the connection ends after the answer by the request's own wish (RFC 9112, 9.3 and 9.6). HTTP/1.0 is recognized where it
 * has no Host header: Bun does not tell the version.
 */
export function asksToClose({ headers, url }: Request): boolean {
  const connection = headers.get("connection");
  if (connection === null) return url.startsWith("/");
  return connection !== "keep-alive" && hasClose(connection);
}

const hasClose = (list: string) => /(?:^|,)\s*close\s*(?:,|$)/i.test(list);

/** The answer as it may go out; what it costs to let a stranger finish sending is charged to its address. */
export function owed(
  request: Request,
  answer: Response,
  facts: RequestFacts,
  strangers: Strangers,
): Response | Promise<Response> {
  const isAsked = asksToClose(request);
  if (!sayWhatIsOwed(request, answer, isAsked) || request.body === null) return answer;
  return afterRest(request, answer, isAsked, facts.caller, strangers);
}

/** Sets the headers. @returns whether the connection ends after the answer. */
export function sayWhatIsOwed(
  request: Request,
  { headers }: Response,
  isAsked = asksToClose(request),
): boolean {
  if (request.method === "HEAD" && !headers.has("date")) headers.set("date", new Date().toUTCString());
  const said = headers.get("connection");
  if (said !== null && hasClose(said)) return true;
  if (isAsked) headers.set("connection", said === null ? "close" : `${said}, close`);
  return isAsked;
}

async function afterRest(
  request: Request,
  answer: Response,
  isAsked: boolean,
  caller: Caller,
  strangers: Strangers,
): Promise<Response> {
  const discard = async (limitBytes: number, withinMs: number) => {
    if (!caller.isKnown && strangers.exceeded(caller.address) !== undefined) return "silent";
    const { rest, bytes } = await discardBody(request, limitBytes, withinMs);
    if (!caller.isKnown) strangers.charge(caller.address, { bytes: bytes / CHEAPER });
    return rest;
  };
  if ((await discard(REST_BYTES, REST_MS)) !== "more") return answer;
  if (!isAsked) {
    // Bun skips the rest of the body before it reads the next request.
    answer.headers.delete("connection");
    return answer;
  }
  return lingering(answer, () => discard(LINGER_BYTES, LINGER_MS));
}

/** The answer at once; its end, and with it the connection's, comes after `until`. */
async function lingering(answer: Response, until: () => Promise<unknown>): Promise<Response> {
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const headers = new Headers(answer.headers);
  headers.delete("content-length");
  const body = new ReadableStream<Uint8Array>({
    start: async (controller) => {
      controller.enqueue(bytes);
      await until();
      try {
        controller.close();
      } catch {
        // The client has gone.
      }
    },
  });
  return new Response(body, { status: answer.status, headers });
}

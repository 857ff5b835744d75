// One JSON question to a service that has bad days. What passes, that is 429, 5xx, a lost connection and an answer of somebody else in
// between, is asked again while there is time; what the service refuses is not.
import { setTimeout as wait } from "node:timers/promises";
import type { Deadline } from "../deadline.ts";

export type Outcome =
  | { readonly kind: "answered"; readonly body: unknown }
  /** A 4xx: asking again says the same. `body` is undefined when it is no JSON. */
  | { readonly kind: "refused"; readonly status: number; readonly body: unknown }
  | { readonly kind: "failed"; readonly reason: string };

type Attempt = Outcome | { readonly kind: "passing"; readonly reason: string; readonly retryAfterMs: number };

/** Doubled after each attempt. */
const FIRST_WAIT_MS = 500;
/** An honest answer has some 200 bytes a message. */
const MAX_ANSWER_BYTES = 1024 * 1024;
const LOST = "Network error";

/** Never rejects. Waits as long as the service asks for, and gives up at once when that is past the deadline. */
export async function postPatiently(url: string, body: unknown, deadline: Deadline): Promise<Outcome> {
  const text = JSON.stringify(body);
  for (let waitMs = FIRST_WAIT_MS; ; waitMs *= 2) {
    const attempt = await post(url, text, deadline.signal);
    if (attempt.kind !== "passing") return attempt;
    const failed = { kind: "failed", reason: attempt.reason } as const;
    const nextMs = Math.max(waitMs, attempt.retryAfterMs);
    if (nextMs >= deadline.leftMs()) return failed;
    try {
      await wait(nextMs, undefined, { signal: deadline.signal });
    } catch {
      return failed;
    }
  }
}

async function post(url: string, body: string, signal: AbortSignal): Promise<Attempt> {
  const passing = (reason: string, retryAfterMs = 0): Attempt => ({ kind: "passing", reason, retryAfterMs });
  try {
    const headers = { "content-type": "application/json" };
    // A kept connection that died unseen while no push went out would cost the whole deadline.
    const response = await fetch(url, { method: "POST", headers, body, signal, keepalive: false });
    const { status } = response;
    const text = await boundedText(response);
    if (text === undefined) return { kind: "failed", reason: LOST };
    if (status === 429 || status >= 500) return passing(`HTTP ${status}`, retryAfterMs(response.headers));
    const answer = jsonOf(text);
    if (!response.ok) return { kind: "refused", status, body: answer };
    // Not the service: a proxy or a hotel's login page.
    return answer === undefined ? passing(LOST) : { kind: "answered", body: answer };
  } catch {
    return signal.aborted ? { kind: "failed", reason: LOST } : passing(LOST);
  }
}

/** Seconds, or a date, which is held against the service's own clock and not ours. */
function retryAfterMs(headers: Headers): number {
  const value = headers.get("retry-after")?.trim() ?? "";
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const waitMs = Date.parse(value) - Date.parse(headers.get("date") ?? "");
  return Number.isFinite(waitMs) ? Math.max(waitMs, 0) : 0;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Undefined when the answer is larger than any honest one. */
async function boundedText(response: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of response.body ?? []) {
    total += chunk.byteLength;
    if (total > MAX_ANSWER_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, total).toString("utf8");
}

// One JSON question to a service that has bad days. What passes, that is 429, 5xx, a lost connection and an answer of somebody else in
// between, is asked again while there is time; what the service refuses is not.
import type { Deadline } from "../deadline.ts";
import { boundedText, jsonOf, LOST, type Passing, passing, patiently, retryAfterMs } from "./patience.ts";

export type Outcome =
  | { readonly kind: "answered"; readonly body: unknown }
  /** A 4xx: asking again says the same. `body` is undefined when it is no JSON. */
  | { readonly kind: "refused"; readonly status: number; readonly body: unknown }
  | { readonly kind: "failed"; readonly reason: string };

/** Never rejects. Waits as long as the service asks for, and gives up at once when that is past the deadline. */
export async function postPatiently(url: string, body: unknown, deadline: Deadline): Promise<Outcome> {
  const text = JSON.stringify(body);
  return await patiently<Outcome>(() => post(url, text, deadline.signal), deadline);
}

async function post(url: string, body: string, signal: AbortSignal): Promise<Outcome | Passing> {
  try {
    const headers = { "content-type": "application/json" };
    // A kept connection that died unseen while no push went out would cost the whole deadline.
    const response = await fetch(url, { method: "POST", headers, body, signal, keepalive: false });
    const { status } = response;
    const text = await boundedText(response);
    if (text === undefined) return { kind: "failed", reason: LOST };
    if (status === 429 || status >= 500) {
      const { headers: said } = response;
      return passing(`HTTP ${status}`, retryAfterMs(said.get("retry-after"), said.get("date")));
    }
    const answer = jsonOf(text);
    if (!response.ok) return { kind: "refused", status, body: answer };
    // Not the service: a proxy or a hotel's login page.
    return answer === undefined ? passing(LOST) : { kind: "answered", body: answer };
  } catch {
    return signal.aborted ? { kind: "failed", reason: LOST } : passing(LOST);
  }
}

// Asks a service that has bad days again while there is time: what passes, that is 429, 5xx and a lost connection, is tried again, as late
// as the service asks for and no later than the deadline.
import { setTimeout as wait } from "node:timers/promises";
import type { Deadline } from "../deadline.ts";

/** It may go well the next time. */
export interface Passing {
  readonly kind: "passing";
  readonly reason: string;
  readonly retryAfterMs: number;
}

export interface Failed {
  readonly kind: "failed";
  readonly reason: string;
}

/** Doubled after each attempt. */
const FIRST_WAIT_MS = 500;
/** An honest answer has some 200 bytes a message. */
const MAX_ANSWER_BYTES = 1024 * 1024;
/** Whatever it was that the network did: its own words may hold an address that is a secret. */
export const LOST = "Network error";

export const passing = (reason: string, retryAfterMs = 0): Passing => ({
  kind: "passing",
  reason,
  retryAfterMs,
});

/** Never rejects when `attempt` does not. Gives up at once when the next attempt would be past the deadline. */
export async function patiently<T extends { readonly kind: string }>(
  attempt: () => Promise<T | Passing>,
  deadline: Deadline,
  maxAttempts = Number.POSITIVE_INFINITY,
): Promise<Exclude<T, Passing> | Failed> {
  for (let [waitMs, attempts] = [FIRST_WAIT_MS, 1]; ; waitMs *= 2, attempts++) {
    const outcome = await attempt();
    if (outcome.kind !== "passing") return outcome as Exclude<T, Passing>;
    const { reason, retryAfterMs } = outcome as Passing;
    const failed = { kind: "failed", reason } as const;
    const nextMs = Math.max(waitMs, retryAfterMs);
    if (attempts >= maxAttempts || nextMs >= deadline.leftMs()) return failed;
    try {
      await wait(nextMs, undefined, { signal: deadline.signal });
    } catch {
      return failed;
    }
  }
}

/** Of `Retry-After`: seconds, or a date, which is held against the service's own clock (`Date`) and not ours. */
export function retryAfterMs(retryAfter: string | null | undefined, date: string | null | undefined): number {
  const value = retryAfter?.trim() ?? "";
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const waitMs = Date.parse(value) - Date.parse(date ?? "");
  return Number.isFinite(waitMs) ? Math.max(waitMs, 0) : 0;
}

/** Undefined when the answer is larger than any honest one. */
export async function boundedText(response: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of response.body ?? []) {
    total += chunk.byteLength;
    if (total > MAX_ANSWER_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, total).toString("utf8");
}

export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

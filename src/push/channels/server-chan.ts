// Messages of ServerChan (sct.ftqq.com) to whoever has a SendKey, one request each. The key is part of the address, so no error of the
// network leaves this file. A key that ServerChan does not know is dead; a day's messages that are used up are not the key's fault.
import { z } from "zod";
import type { PushChannel, Verdict } from "../channel.ts";
import type { Deadline } from "../deadline.ts";
import { Lanes } from "./lanes.ts";
import { boundedText, jsonOf, LOST, type Passing, passing, patiently, retryAfterMs } from "./patience.ts";

export interface ServerChanMessage {
  readonly title: string;
  /** Markdown. */
  readonly text: string;
}

/** In characters. */
export const MAX_SERVER_CHAN_TITLE = 32;
const MAX_TEXT_BYTES = 32 * 1024;
const MAX_ATTEMPTS = 5;
const LANES = 8;
/** It says so in words only; its code is the same for much else. */
const UNKNOWN_KEY = /错误的Key|bad pushtoken/i;

const answerShape = z.object({ code: z.number(), message: z.string().catch("") });

type Outcome =
  | { readonly kind: "answered" }
  | { readonly kind: "refused"; readonly status: number; readonly code: number; readonly isUnknown: boolean };

export class ServerChan implements PushChannel<string, ServerChanMessage> {
  readonly name = "ServerChan";

  /** @param url instead of the one that a key belongs to */
  constructor(private readonly url?: string | undefined) {}

  async send(to: readonly string[], message: ServerChanMessage, deadline: Deadline): Promise<Verdict[]> {
    if (Buffer.byteLength(message.text) > MAX_TEXT_BYTES)
      return to.map(() => ({ ok: false, reason: "message too large", dead: false }));
    const body = new URLSearchParams({ title: message.title, desp: message.text }).toString();
    const lanes = new Lanes(LANES);
    return await Promise.all(to.map((key) => lanes.run(() => this.#deliver(key, body, deadline))));
  }

  async #deliver(key: string, body: string, deadline: Deadline): Promise<Verdict> {
    const url = addressOf(key, this.url);
    const outcome = await patiently<Outcome>(() => post(url, body, deadline.signal), deadline, MAX_ATTEMPTS);
    if (outcome.kind === "answered") return { ok: true, ticket: undefined };
    if (outcome.kind === "failed") return { ok: false, reason: outcome.reason, dead: false };
    const { status, code, isUnknown } = outcome;
    return { ok: false, reason: `HTTP ${status}, code ${code}`, dead: isUnknown };
  }
}

/** Keys of its third version name the host that they are for. */
export function addressOf(key: string, base: string | undefined): string {
  const name = `${encodeURIComponent(key)}.send`;
  if (base !== undefined) return `${base.replace(/\/+$/, "")}/${name}`;
  const host = /^sctp(\d{1,10})t/i.exec(key)?.[1];
  return host === undefined
    ? `https://sctapi.ftqq.com/${name}`
    : `https://${host}.push.ft07.com/send/${name}`;
}

async function post(url: string, body: string, signal: AbortSignal): Promise<Outcome | Passing> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body,
      redirect: "manual",
      signal,
      // A kept connection that died unseen while no push went out would cost the whole deadline.
      keepalive: false,
    });
    const { status, headers } = response;
    const text = await boundedText(response);
    if (status === 429 || status >= 500)
      return passing(`HTTP ${status}`, retryAfterMs(headers.get("retry-after"), headers.get("date")));
    const { data } = answerShape.safeParse(jsonOf(text ?? ""));
    // Not ServerChan: a proxy or a hotel's login page.
    if (data === undefined) return passing(LOST);
    if (response.ok && data.code === 0) return { kind: "answered" };
    return { kind: "refused", status, code: data.code, isUnknown: UNKNOWN_KEY.test(data.message) };
  } catch {
    return passing(LOST);
  }
}

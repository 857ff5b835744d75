// The bot interface of Telegram: one method a call, as JSON. The bot's token is part of every address, so no error of the network, which
// may hold one, leaves this file.
import { z } from "zod";
import type { Deadline } from "../deadline.ts";
import { boundedText, type Failed, jsonOf, LOST, type Passing, passing, patiently } from "./patience.ts";

export const TELEGRAM_URL = "https://api.telegram.org";

export type TelegramOutcome =
  | { readonly kind: "answered"; readonly result: unknown }
  /** Asking again says the same. `description` is Telegram's own. */
  | { readonly kind: "refused"; readonly status: number; readonly description: string };

const MAX_ATTEMPTS = 5;
const MAX_DESCRIPTION = 200;

const answerShape = z.object({
  ok: z.boolean(),
  // Absent in a refusal.
  result: z.unknown().optional(),
  description: z.string().optional().catch(undefined),
  parameters: z.object({ retry_after: z.number().optional() }).optional().catch(undefined),
});

export class TelegramApi {
  constructor(
    private readonly token: string,
    private readonly url = TELEGRAM_URL,
  ) {}

  /** Asks again in a bad moment, while there is time. Never rejects. */
  call(method: string, params: object, deadline: Deadline): Promise<TelegramOutcome | Failed> {
    return patiently<TelegramOutcome>(
      () => this.once(method, params, deadline.signal),
      deadline,
      MAX_ATTEMPTS,
    );
  }

  /** One attempt. Never rejects. */
  async once(method: string, params: object, signal: AbortSignal): Promise<TelegramOutcome | Passing> {
    try {
      const response = await fetch(`${this.url}/bot${this.token}/${method}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(params),
        redirect: "manual",
        signal,
        keepalive: false,
      });
      const { status } = response;
      const { data } = answerShape.safeParse(jsonOf((await boundedText(response)) ?? ""));
      if (status === 429 || status >= 500)
        return passing(`HTTP ${status}`, (data?.parameters?.retry_after ?? 0) * 1_000);
      // Not Telegram: a proxy or a hotel's login page.
      if (data === undefined) return passing(LOST);
      if (response.ok && data.ok) return { kind: "answered", result: data.result };
      return { kind: "refused", status, description: (data.description ?? "").slice(0, MAX_DESCRIPTION) };
    } catch {
      return passing(LOST);
    }
  }
}

// Talks to the Expo push service (realtime contract 11.3). Every message gets a verdict whatever Expo answers: a bad answer, a
// refusal or a lost connection is a verdict too, never an exception.
import { z } from "zod";

/** One element of `POST /--/api/v2/push/send`. */
export interface ExpoMessage {
  readonly to: string;
  readonly title: string;
  readonly body: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly sound: "default";
  readonly channelId: "messages";
}

/** What became of one message. `dead` means that the device is not registered any more: its token is worth nothing. */
export type Verdict =
  | { readonly ok: true; readonly ticket: string | undefined }
  | { readonly ok: false; readonly reason: string; readonly dead: boolean };

/** Expo takes at most this many messages in one request. */
export const MAX_MESSAGES = 100;
/** Expo takes 1,000 ids; fewer keep an answer small. */
export const MAX_RECEIPTS = 300;
/** An honest answer has some 200 bytes a message. */
const MAX_ANSWER_BYTES = 1024 * 1024;

const verdictSchema = z.object({
  status: z.string(),
  id: z.string().min(1).max(200).optional().catch(undefined),
  message: z.string().optional().catch(undefined),
  details: z
    .object({ error: z.string().optional().catch(undefined) })
    .optional()
    .catch(undefined),
});
const ticketsSchema = z.object({ data: z.array(z.unknown()) });
const receiptsSchema = z.object({ data: z.record(z.string(), z.unknown()) });

export class Expo {
  readonly #base: string;

  constructor(baseUrl: string) {
    this.#base = `${baseUrl.replace(/\/+$/, "")}/--/api/v2/push`;
  }

  /** Verdicts in the order of the messages; all requests together end with `signal`. */
  async send(messages: readonly ExpoMessage[], signal: AbortSignal): Promise<Verdict[]> {
    const verdicts: Verdict[] = [];
    for (let from = 0; from < messages.length; from += MAX_MESSAGES) {
      verdicts.push(...(await this.#sendBatch(messages.slice(from, from + MAX_MESSAGES), signal)));
    }
    return verdicts;
  }

  /**
   * The receipts that are ready, by ticket.
   * @throws Error when Expo does not give any; asking again later is right.
   */
  async receipts(tickets: readonly string[], signal: AbortSignal): Promise<Map<string, Verdict>> {
    const answer = await this.#post("getReceipts", { ids: tickets }, signal);
    if (!answer.ok) throw new Error(`Expo answered ${answer.status} when asked for receipts`);
    const { data } = receiptsSchema.parse(JSON.parse(answer.text));
    return new Map(
      tickets
        .filter((ticket) => Object.hasOwn(data, ticket))
        .map((ticket) => [ticket, verdictOf(data[ticket])]),
    );
  }

  async #sendBatch(batch: readonly ExpoMessage[], signal: AbortSignal): Promise<Verdict[]> {
    try {
      const answer = await this.#post("send", batch, signal);
      if (!answer.ok) return batch.map(() => failed(`HTTP ${answer.status}`));
      const { data } = ticketsSchema.parse(JSON.parse(answer.text));
      return batch.map((_, position) => verdictOf(data[position]));
    } catch {
      return batch.map(() => failed("Network error"));
    }
  }

  async #post(path: "send" | "getReceipts", body: unknown, signal: AbortSignal) {
    const response = await fetch(`${this.#base}/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
    return { ok: response.ok, status: response.status, text: await boundedText(response) };
  }
}

function verdictOf(value: unknown): Verdict {
  const parsed = verdictSchema.safeParse(value);
  if (!parsed.success) return failed("unknown");
  const { status, id, message, details } = parsed.data;
  if (status === "ok") return { ok: true, ticket: id };
  return failed(details?.error || message || "unknown", details?.error === "DeviceNotRegistered");
}

function failed(reason: string, dead = false): Verdict {
  return { ok: false, reason, dead };
}

/** @throws Error when the answer is larger than any honest one. */
async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of response.body ?? []) {
    total += chunk.byteLength;
    if (total > MAX_ANSWER_BYTES) throw new Error("the answer of Expo is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, total).toString("utf8");
}

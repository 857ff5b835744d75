// The Expo push service: messages in batches, tickets, and receipts. One bad element never decides about the others of its batch.
import { z } from "zod";
import type { PushChannel, ReceiptChannel, Receipts, Verdict } from "../channel.ts";
import type { Deadline } from "../deadline.ts";
import type { ReceiptTiming } from "../receipts.ts";
import { Lanes } from "./lanes.ts";
import { postPatiently } from "./patient-post.ts";
import { isAboutTheBatch, splitRefused } from "./refused-batch.ts";

/** What every device is sent; with `to` in front it is one element of `POST /--/api/v2/push/send`. */
export interface ExpoMessage {
  readonly title: string;
  readonly body: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly sound: "default";
  readonly channelId: string;
}

type Addressed = ExpoMessage & { readonly to: string };

/** Expo advises 15 minutes from a push to its receipt. */
export const EXPO_RECEIPT_TIMING: ReceiptTiming = {
  afterMs: 15 * 60_000,
  everyMs: 5 * 60_000,
  deadlineMs: 30_000,
};

/** Expo takes at most this many messages in one request. */
const MAX_MESSAGES = 100;
/** Expo takes 4 KiB. Data that is far above is not multiplied by the number of devices, only to be refused there. */
const MAX_DATA_BYTES = 16 * 1024;
/** Expo takes 1,000 ids; fewer keep an answer small. */
const MAX_RECEIPTS = 300;
/** Requests at one time for one push; as many as Expo's own library. */
const LANES = 6;
/** Enough to find several bad ids among the receipts of one look. */
const MAX_RECEIPT_REQUESTS = 64;

const verdictSchema = z.object({
  status: z.string(),
  id: z.string().min(1).max(200).optional().catch(undefined),
  message: z.string().optional().catch(undefined),
  details: z
    .object({
      error: z.string().optional().catch(undefined),
      expoPushToken: z.string().optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
});
const ticketsSchema = z.object({ data: z.array(z.unknown()) });
const receiptsSchema = z.object({ data: z.record(z.string(), z.unknown()) });
/** Some refusals come with status 200. */
const refusalSchema = z.object({ errors: z.array(z.unknown()).min(1), data: z.undefined().optional() });

type Answer =
  | { readonly kind: "answered"; readonly body: unknown }
  | { readonly kind: "batch-refused"; readonly reason: string; readonly body: unknown }
  | { readonly kind: "failed"; readonly reason: string };

export class Expo implements PushChannel<string, ExpoMessage>, ReceiptChannel {
  readonly name = "expo";
  readonly maxTickets = MAX_RECEIPTS;
  readonly #base: string;

  constructor(baseUrl: string) {
    this.#base = `${baseUrl.replace(/\/+$/, "")}/--/api/v2/push`;
  }

  async send(to: readonly string[], message: ExpoMessage, deadline: Deadline): Promise<Verdict[]> {
    if (Buffer.byteLength(JSON.stringify(message.data)) > MAX_DATA_BYTES)
      return to.map(() => failed("MessageTooBig"));
    const messages = to.map((device) => ({ to: device, ...message }));
    const lanes = new Lanes(LANES);
    const batches: Promise<Verdict[]>[] = [];
    for (let from = 0; from < messages.length; from += MAX_MESSAGES)
      batches.push(this.#sendBatch(messages.slice(from, from + MAX_MESSAGES), deadline, lanes));
    return (await Promise.all(batches)).flat();
  }

  async receipts(tickets: readonly string[], deadline: Deadline): Promise<Receipts> {
    const verdicts = new Map<string, Verdict>();
    const refused: string[] = [];
    let [problem, answered]: [string | undefined, number] = [undefined, 0];
    const waiting: (readonly string[])[] = [tickets];
    for (let requests = 0; waiting.length > 0 && problem === undefined; requests++) {
      const part = waiting.pop() ?? [];
      const answer =
        requests < MAX_RECEIPT_REQUESTS
          ? await this.#ask("getReceipts", { ids: part }, deadline)
          : ({ kind: "failed", reason: "too many bad tickets" } as const);
      if (answer.kind === "batch-refused") {
        if (part.length > 1) waiting.push(...splitRefused(part, (ticket) => ticket, answer.body));
        else refused.push(...part);
        continue;
      }
      const data = receiptsSchema.safeParse(answer.kind === "answered" && answer.body).data?.data;
      if (data === undefined) {
        problem = answer.kind === "failed" ? answer.reason : "an answer that is none";
        continue;
      }
      answered++;
      for (const ticket of part)
        if (Object.hasOwn(data, ticket)) verdicts.set(ticket, verdictOf(data[ticket], undefined));
    }
    // Who refuses everything says nothing about one ticket.
    if (answered === 0 && refused.length > 0) return { verdicts, refused: [], problem: problem ?? "refused" };
    return { verdicts, refused, problem };
  }

  async #sendBatch(batch: readonly Addressed[], deadline: Deadline, lanes: Lanes): Promise<Verdict[]> {
    const answer = await lanes.run(() => this.#ask("send", batch, deadline));
    if (answer.kind === "batch-refused" && batch.length > 1) {
      const parts = splitRefused(batch, ({ to }) => to, answer.body);
      const verdicts = await Promise.all(parts.map((part) => this.#sendBatch(part, deadline, lanes)));
      const byMessage = new Map(
        parts.flatMap((part, at) => part.map((message, place) => [message, verdicts[at]?.[place]] as const)),
      );
      return batch.map((message) => byMessage.get(message) ?? failed("unknown"));
    }
    if (answer.kind !== "answered") return batch.map(() => failed(answer.reason));
    const tickets = ticketsSchema.safeParse(answer.body).data?.data;
    if (tickets === undefined) return batch.map(() => failed("Network error"));
    const isWhole = tickets.length === batch.length;
    // Tickets are matched by place: when some are missing, which ones is not known, and no device is given up for it.
    return batch.map(({ to }, place) => verdictOf(tickets[place], to, isWhole));
  }

  async #ask(path: "send" | "getReceipts", body: unknown, deadline: Deadline): Promise<Answer> {
    const outcome = await postPatiently(`${this.#base}/${path}`, body, deadline);
    switch (outcome.kind) {
      case "failed":
        return outcome;
      case "refused": {
        const reason = `HTTP ${outcome.status}`;
        return isAboutTheBatch(outcome.status)
          ? { kind: "batch-refused", reason, body: outcome.body }
          : { kind: "failed", reason };
      }
      case "answered":
        return refusalSchema.safeParse(outcome.body).success
          ? { kind: "batch-refused", reason: "refused", body: outcome.body }
          : outcome;
    }
  }
}

/** `device`: whose ticket it should be; `isCertain`: whether its place says so. */
function verdictOf(value: unknown, device: string | undefined, isCertain = true): Verdict {
  const parsed = verdictSchema.safeParse(value);
  if (!parsed.success) return failed("unknown");
  const { status, id, message, details } = parsed.data;
  if (status === "ok") return { ok: true, ticket: id };
  const named = details?.expoPushToken;
  const isIts = named === undefined || device === undefined ? isCertain : named === device;
  return failed(details?.error || message || "unknown", details?.error === "DeviceNotRegistered" && isIts);
}

function failed(reason: string, dead = false): Verdict {
  return { ok: false, reason, dead };
}

// Messages of a Telegram bot to people's chats, one request each. A chat that is gone, or whose person blocked the bot, is dead; what
// Telegram says of the bot itself is nobody's fault.
import type { PushChannel, Verdict } from "../channel.ts";
import type { Deadline } from "../deadline.ts";
import { Lanes } from "./lanes.ts";
import type { TelegramApi } from "./telegram-api.ts";

export interface TelegramMessage {
  readonly text: string;
  readonly buttons?: readonly (readonly TelegramButton[])[] | undefined;
}

export type TelegramButton =
  | { readonly text: string; readonly callback_data: string }
  | { readonly text: string; readonly web_app: { readonly url: string } };

/** Of one message, in UTF-16 units. */
export const MAX_TELEGRAM_TEXT = 4_096;
const LANES = 8;
const GONE = /blocked by the user|user is deactivated|chat not found|can't initiate conversation/i;

export class Telegram implements PushChannel<string, TelegramMessage> {
  readonly name = "Telegram";

  constructor(private readonly api: Pick<TelegramApi, "call">) {}

  async send(to: readonly string[], message: TelegramMessage, deadline: Deadline): Promise<Verdict[]> {
    if (message.text.length > MAX_TELEGRAM_TEXT)
      return to.map(() => ({ ok: false, reason: "message too large", dead: false }));
    const lanes = new Lanes(LANES);
    return await Promise.all(to.map((chat) => lanes.run(() => this.#deliver(chat, message, deadline))));
  }

  async #deliver(chat: string, { text, buttons }: TelegramMessage, deadline: Deadline): Promise<Verdict> {
    const outcome = await this.api.call(
      "sendMessage",
      { chat_id: chat, text, ...(buttons !== undefined && { reply_markup: { inline_keyboard: buttons } }) },
      deadline,
    );
    if (outcome.kind === "answered") return { ok: true, ticket: undefined };
    if (outcome.kind === "failed") return { ok: false, reason: outcome.reason, dead: false };
    const { status, description } = outcome;
    return { ok: false, reason: `HTTP ${status}`, dead: GONE.test(description) };
  }
}

// Notifications as the hub has them: what is heard becomes words, an app that is looked at shows them, and what nobody looks at goes to
// browsers by Web Push, to Telegram, and to the owner's ServerChan. Each channel has its own pusher and ledger, so a channel on a bad day is waited for by no other.
import type { Logger } from "pino";
import type { Metrics } from "../../observability/metrics.ts";
import { ServerChan, type ServerChanMessage } from "../../push/channels/server-chan.ts";
import { Telegram, type TelegramMessage } from "../../push/channels/telegram.ts";
import { TelegramApi } from "../../push/channels/telegram-api.ts";
import { WebPush, type WebPushAddress, type WebPushMessage } from "../../push/channels/web-push.ts";
import { type Push, Pusher } from "../../push/pusher.ts";
import type { Events, HubEvent, Toast } from "../events/event.ts";
import type { Home } from "../home/home.ts";
import type { HubCore } from "../hub/core.ts";
import type { Permissions } from "../hub/permissions.ts";
import type { InEffect } from "../in-effect.ts";
import type { HapiConfig } from "../settings.ts";
import type { HapiStore } from "../store/contract.ts";
import type { PushSubscriptionRow } from "../store/rows.ts";
import { HapiPushLedger } from "./ledger.ts";
import { type Notice, toastOf, wordsOf } from "./notice.ts";
import { NotificationRules } from "./rules.ts";
import { serverChanMessage } from "./server-chan-words.ts";
import { TelegramBot } from "./telegram-bot.ts";
import { telegramMessage } from "./telegram-words.ts";

export interface NotificationsParts {
  readonly store: HapiStore;
  readonly hub: { readonly core: Pick<HubCore, "isActive">; readonly permissions: Permissions };
  readonly events: Pick<Events, "toast" | "isLookedAt">;
  readonly home: Pick<Home, "vapidKeys">;
  readonly inEffect: Pick<InEffect, "publicUrl" | "telegramBotToken" | "telegramNotification" | "serverChan">;
  readonly config: Pick<HapiConfig, "hapiVapidSubject" | "hapiWebPushInside" | "hapiServerchanUrl">;
  readonly metrics: Pick<Metrics, "counter">;
  readonly log: Logger;
  readonly debounceMs?: number;
  /** Instead of Telegram's own. */
  readonly telegramUrl?: string | undefined;
}

interface Browser {
  readonly address: WebPushAddress;
  readonly row: PushSubscriptionRow;
}
/** A user's private chat with the bot has the user's own id. */
interface Chat {
  readonly address: string;
}
type BrowserMessage = WebPushMessage & { readonly toast: Toast };

const DEADLINE_MS = 30_000;
/** Pushes of one namespace and channel that are under way. */
const AT_ONCE = 16;
const MAX_LOGGED = 200;

export class Notifications {
  readonly #rules: NotificationRules;
  readonly #browsers: Pusher<WebPushAddress, BrowserMessage, Browser>;
  /** Undefined without a bot. */
  readonly #bot: TelegramBot | undefined;
  /** Undefined when the owner is not to be told by ServerChan. */
  readonly #serverChan: Pusher<string, ServerChanMessage, Chat> | undefined;
  /** Undefined when nobody is to be told by Telegram. */
  readonly #chats: Pusher<string, TelegramMessage, Chat> | undefined;

  constructor(private readonly parts: NotificationsParts) {
    const { store, hub, events, home, inEffect, config, log, debounceMs, telegramUrl } = parts;
    this.#rules = new NotificationRules({
      store,
      isActive: (id) => hub.core.isActive(id),
      tell: (notice) => this.#tell(notice),
      failed: (error) => log.warn({ err: error }, "what a session wants to say could not be read"),
      ...(debounceMs !== undefined && { debounceMs }),
    });
    const counted = this.#counted();
    this.#browsers = new Pusher<WebPushAddress, BrowserMessage, Browser>({
      ledger: new HapiPushLedger<Browser>({
        store,
        channel: "web",
        devices: async (namespace) =>
          (await store.listSubscriptions(namespace)).map((row) => ({ address: row, row })),
        registration: ({ row }) => row,
      }),
      channel: new WebPush({
        vapid: home.vapidKeys,
        subject: config.hapiVapidSubject,
        inside: config.hapiWebPushInside,
      }),
      // An app that somebody looks at shows it, and then nothing else rings.
      holdBack: ({ owner, message }) =>
        events.toast(owner, message.toast) > 0 ? "shown in the app" : undefined,
      log,
      deadlineMs: DEADLINE_MS,
      atMost: () => AT_ONCE,
      decided: counted("web"),
    });
    const { telegramBotToken: token, telegramNotification, publicUrl } = inEffect;
    this.#serverChan = this.#owners(counted("serverchan"));
    if (token === undefined) return;
    const api = new TelegramApi(token, telegramUrl);
    this.#bot = new TelegramBot({ api, store, hub, publicUrl, log });
    if (!telegramNotification) return;
    this.#chats = new Pusher<string, TelegramMessage, Chat>({
      ledger: new HapiPushLedger<Chat>({
        store,
        channel: "telegram",
        devices: async (namespace) =>
          (await store.listBindings("telegram", namespace)).map(({ platformUserId: address }) => ({
            address,
          })),
        // A binding is how a person logs in, too: it stays when the bot is blocked.
        registration: () => undefined,
      }),
      channel: new Telegram(api),
      holdBack: () => undefined,
      log,
      deadlineMs: DEADLINE_MS,
      atMost: () => AT_ONCE,
      decided: counted("telegram"),
    });
  }

  /** After the commit, for everything that web clients are told. Never throws. */
  heard(event: HubEvent): void {
    try {
      this.#rules.heard(event);
    } catch (error) {
      this.parts.log.error({ err: error }, "an event could not be looked at for notifications");
    }
  }

  /** Sessions that something is known of. */
  get watched(): number {
    return this.#rules.size;
  }

  /** People are listened to. */
  start(): void {
    this.#bot?.start();
  }

  /** Nothing is sent after it. */
  async stop(): Promise<void> {
    this.#rules.stop();
    const channels = [this.#browsers, this.#chats, this.#serverChan, this.#bot];
    await Promise.all(channels.map((each) => each?.stop()));
  }

  #owners(decided: (outcome: string) => void): Pusher<string, ServerChanMessage, Chat> | undefined {
    const { store, events, inEffect, config, log } = this.parts;
    const { serverChan } = inEffect;
    if (serverChan === undefined) return undefined;
    return new Pusher<string, ServerChanMessage, Chat>({
      ledger: new HapiPushLedger<Chat>({
        store,
        channel: "serverchan",
        devices: async () => [{ address: serverChan.sendKey }],
        // A key that is none any more is the owner's to take away.
        registration: () => undefined,
      }),
      channel: new ServerChan(config.hapiServerchanUrl),
      holdBack: ({ owner }) =>
        serverChan.backgroundOnly && events.isLookedAt(owner) ? "the app is looked at" : undefined,
      log,
      deadlineMs: DEADLINE_MS,
      atMost: () => AT_ONCE,
      decided,
    });
  }

  #tell(notice: Notice): void {
    const { session, kind, event } = notice;
    const about = { owner: session.namespace, subject: session.id, kind };
    const ownersMessage = serverChanMessage(notice, this.parts.inEffect.publicUrl);
    if (this.#serverChan !== undefined && ownersMessage !== undefined)
      this.#push(this.#serverChan, "ServerChan", {
        ...about,
        message: ownersMessage,
        event: ["serverchan", session.id, ...event],
      });
    // Nobody but the owner hears that a session is complete.
    if (kind === "completion") return;
    const words = wordsOf(notice);
    this.#push(this.#browsers, "web push", {
      ...about,
      message: { payload: JSON.stringify(words), toast: toastOf(words) },
      event: ["web", session.id, ...event],
    });
    if (this.#chats === undefined) return;
    this.#push(this.#chats, "Telegram", {
      ...about,
      message: telegramMessage(notice, this.parts.inEffect.publicUrl),
      event: ["telegram", session.id, ...event],
    });
  }

  #push<Address, Message>(
    pusher: Pick<Pusher<Address, Message, never>, "push">,
    channel: string,
    push: Push<Message>,
  ): void {
    void pusher.push(push).then(({ outcome, reason, devices, delivered }) => {
      if (outcome !== "failed" && outcome !== "partial") return;
      const why = reason?.slice(0, MAX_LOGGED);
      this.parts.log.warn(
        { channel, kind: push.kind, devices, delivered, reason: why },
        "a notification did not reach every device",
      );
    });
  }

  #counted() {
    const counter = this.parts.metrics.counter(
      "roost_hapi_notifications_total",
      "Decisions about HAPI's notifications, by channel and outcome",
      true,
    );
    return (channel: string) => (outcome: string) => counter.of({ channel, outcome }).add();
  }
}

/** The same events, with somebody who hears each broadcast after it went out. */
export function overheard(events: Events, hear: (event: HubEvent) => void): Events {
  return {
    broadcast: (event) => {
      events.broadcast(event);
      hear(event);
    },
    toast: (namespace, toast) => events.toast(namespace, toast),
    isLookedAt: (namespace) => events.isLookedAt(namespace),
  };
}

// The bot's ear: what people write to it and which buttons they press, by long polling (data contract, 12). One question is under way at a
// time; what came is done beside it, so many at once, and a bad day of Telegram only makes the next question later.
import { setTimeout as wait } from "node:timers/promises";
import type { Logger } from "pino";
import { z } from "zod";
import { Lanes } from "../../push/channels/lanes.ts";
import { MAX_TELEGRAM_TEXT } from "../../push/channels/telegram.ts";
import type { TelegramApi } from "../../push/channels/telegram-api.ts";
import { deadlineIn } from "../../push/deadline.ts";
import type { HubCore } from "../hub/core.ts";
import type { Permissions } from "../hub/permissions.ts";
import type { HapiStore } from "../store/contract.ts";
import { agentStateView } from "../wire/agent-state.ts";
import { cut, noticeKind } from "./notice.ts";
import { appButton, pressOf, requestMeant } from "./telegram-words.ts";

export interface TelegramBotParts {
  readonly api: TelegramApi;
  readonly store: Pick<HapiStore, "findBinding" | "findSessionByPrefix">;
  readonly hub: {
    readonly core: Pick<HubCore, "isActive">;
    readonly permissions: Pick<Permissions, "approve" | "deny">;
  };
  readonly publicUrl: string | undefined;
  readonly log: Logger;
  readonly firstWaitMs?: number;
}

const PLATFORM = "telegram";
/** How long Telegram holds a question that has no answer yet, in seconds, and when it is given up as lost. */
const HOLD_SECONDS = 30;
const LOST_MS = (HOLD_SECONDS + 15) * 1_000;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
const AT_ONCE = 8;
/** With the CLI's own time for an answer. */
const ANSWER_MS = 60_000;

const personShape = z.object({ id: z.number() });
const chatShape = z.object({ id: z.number(), type: z.string().optional() });
const updateShape = z.object({
  update_id: z.number(),
  message: z.object({ text: z.string(), chat: chatShape, from: personShape }).optional().catch(undefined),
  callback_query: z
    .object({
      id: z.string(),
      data: z.string(),
      from: personShape,
      message: z
        .object({ message_id: z.number(), chat: chatShape, text: z.string().optional() })
        .optional()
        .catch(undefined),
    })
    .optional()
    .catch(undefined),
});
type Update = z.output<typeof updateShape>;
type Press = NonNullable<Update["callback_query"]>;
const updatesShape = z.array(z.unknown());
const idShape = z.object({ update_id: z.number() });

const NOT_FOUND = "Request not found";

export class TelegramBot {
  readonly #stopping = new AbortController();
  readonly #lanes = new Lanes(AT_ONCE);
  readonly #underWay = new Set<Promise<void>>();
  #listening: Promise<void> | undefined;

  constructor(private readonly parts: TelegramBotParts) {}

  start(): void {
    this.#listening ??= this.#listen();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#listening;
    await Promise.all(this.#underWay);
  }

  async #listen(): Promise<void> {
    const { api, log, firstWaitMs = FIRST_WAIT_MS } = this.parts;
    const { signal } = this.#stopping;
    let offset: number | undefined;
    let waitMs = firstWaitMs;
    let lastProblem: string | undefined;
    while (!signal.aborted) {
      const asked = { offset, timeout: HOLD_SECONDS, allowed_updates: ["message", "callback_query"] };
      const within = AbortSignal.any([signal, AbortSignal.timeout(LOST_MS)]);
      const outcome = await api.once("getUpdates", asked, within);
      if (signal.aborted) return;
      const updates = outcome.kind === "answered" ? updatesShape.safeParse(outcome.result).data : undefined;
      if (updates !== undefined) {
        [waitMs, lastProblem] = [firstWaitMs, undefined];
        for (const update of updates) {
          const id = idShape.safeParse(update).data?.update_id;
          if (id !== undefined) offset = Math.max(offset ?? 0, id + 1);
        }
        await this.#take(updates);
        continue;
      }
      const problem = outcome.kind === "passing" ? outcome.reason : problemOf(outcome);
      if (problem !== lastProblem) log.warn({ problem }, "Telegram does not answer the bot; it asks again");
      lastProblem = problem;
      const asksFor = outcome.kind === "passing" ? outcome.retryAfterMs : LONGEST_WAIT_MS;
      await wait(Math.max(waitMs, Math.min(asksFor, 10 * LONGEST_WAIT_MS)), undefined, { signal }).catch(
        () => {},
      );
      waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
    }
  }

  /** Goes on when all of them have begun: more are not asked for while as many as may be are under way. */
  async #take(updates: readonly unknown[]): Promise<void> {
    for (const each of updates) {
      const { data } = updateShape.safeParse(each);
      if (data === undefined) continue;
      const begun = Promise.withResolvers<void>();
      const work = this.#lanes
        .run(() => {
          begun.resolve();
          return this.#answer(data);
        })
        .catch((error: unknown) => {
          this.parts.log.error({ err: error }, "what a Telegram user asked for could not be done");
        })
        .finally(() => this.#underWay.delete(work));
      this.#underWay.add(work);
      await begun.promise;
    }
  }

  async #answer({ message, callback_query }: Update): Promise<void> {
    if (callback_query !== undefined) return await this.#pressed(callback_query);
    if (message === undefined || message.chat.type !== "private") return;
    const [command] = message.text.split(/[\s@]/);
    if (command !== "/start" && command !== "/app") return;
    const { publicUrl } = this.parts;
    const button = appButton("Open app", publicUrl);
    const binding = await this.parts.store.findBinding(PLATFORM, String(message.from.id));
    const state =
      binding === undefined
        ? "You are not linked yet: open the app and log in with your access token."
        : `You are linked to the namespace ${cut(binding.namespace, 100)}.`;
    const where =
      button === undefined
        ? "\n\nThe server has no public https address, so there is no button to open it."
        : "";
    await this.#say("sendMessage", {
      chat_id: message.chat.id,
      text: `${state}${where}`,
      ...(button !== undefined && { reply_markup: { inline_keyboard: [[button]] } }),
    });
  }

  async #pressed(query: Press): Promise<void> {
    const outcome = await this.#decide(query);
    await this.#say("answerCallbackQuery", { callback_query_id: query.id, text: cut(outcome.text, 200) });
    const { message } = query;
    if (!outcome.isDone || message === undefined) return;
    const text = cut(`${message.text ?? ""}\n\n${outcome.text}`.trim(), MAX_TELEGRAM_TEXT);
    await this.#say("editMessageText", { chat_id: message.chat.id, message_id: message.message_id, text });
  }

  async #decide({ data, from }: Press): Promise<{ readonly isDone: boolean; readonly text: string }> {
    const { store, hub } = this.parts;
    const not = (text: string) => ({ isDone: false, text });
    const press = pressOf(data);
    if (press === undefined) return not(NOT_FOUND);
    const binding = await store.findBinding(PLATFORM, String(from.id));
    if (binding === undefined) return not("You are not linked");
    const { namespace } = binding;
    const session = await store.findSessionByPrefix(namespace, press.sessionPrefix);
    if (session === undefined || !hub.core.isActive(session.id)) return not("Session not found");
    const state = agentStateView(session.agentState);
    const id = requestMeant(state, press);
    const tool = id === undefined ? undefined : state?.requests?.[id]?.tool;
    if (id === undefined || tool === undefined) return not(NOT_FOUND);
    if (noticeKind(tool) === "input") return not("This question is answered in the app");
    const key = { namespace, id: session.id };
    const result = press.approves
      ? await hub.permissions.approve(key, id, {})
      : await hub.permissions.deny(key, id);
    if (result.ok) return { isDone: true, text: press.approves ? "Allowed" : "Denied" };
    return not(result.code === "request-not-found" ? NOT_FOUND : "The session could not be reached");
  }

  async #say(method: string, params: object): Promise<void> {
    const outcome = await this.parts.api.call(method, params, deadlineIn(ANSWER_MS, this.#stopping.signal));
    if (outcome.kind === "answered" || this.#stopping.signal.aborted) return;
    const problem = outcome.kind === "failed" ? outcome.reason : problemOf(outcome);
    this.parts.log.warn({ method, problem }, "Telegram did not take the bot's answer");
  }
}

function problemOf(outcome: {
  readonly kind: string;
  readonly status?: number;
  readonly description?: string;
}): string {
  if (outcome.kind !== "refused") return "an answer that is none";
  return `HTTP ${outcome.status} ${outcome.description ?? ""}`.trim();
}

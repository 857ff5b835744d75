// The bot against a server that behaves like Telegram's: who is told, who may answer, which request a button means, and bad days.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { generateVAPIDKeys } from "web-push";
import { openTestHapiStore, type TestHapiStore } from "../../../test/support/hapi-store.ts";
import { TelegramService } from "../../../test/support/telegram-service.ts";
import { until } from "../../../test/support/until.ts";
import { createLog } from "../../observability/log.ts";
import { Metrics } from "../../observability/metrics.ts";
import type { Permissions } from "../hub/permissions.ts";
import { DONE, refusal } from "../hub/result.ts";
import type { Json } from "../store/rows.ts";
import { Notifications } from "./notifications.ts";
import { buttonData, pressOf, requestMeant } from "./telegram-words.ts";

const TOKEN = "123456:very-secret-token";
const [ANN, EVE] = [11, 22];
let service: TelegramService;
let all: TestHapiStore;
let notifications: Notifications;
let id: string;
let lines: string[];
let decided: [approved: boolean, session: string, request: string][];
let isReached: boolean;

function open(more: { telegramNotification?: boolean } = {}): void {
  const permissions = {
    approve: async (key: { id: string }, request: string) => {
      decided.push([true, key.id, request]);
      return isReached ? DONE : refusal("cli", "no");
    },
    deny: async (key: { id: string }, request: string) => {
      decided.push([false, key.id, request]);
      return DONE;
    },
  } as unknown as Permissions;
  notifications = new Notifications({
    store: all.store,
    hub: { core: { isActive: () => true }, permissions },
    events: { toast: () => 1, isLookedAt: () => true },
    home: { vapidKeys: generateVAPIDKeys() },
    inEffect: {
      publicUrl: "https://hapi.example",
      telegramBotToken: TOKEN,
      telegramNotification: true,
      serverChan: undefined,
      ...more,
    },
    config: {
      hapiVapidSubject: "mailto:a@b.example",
      hapiWebPushInside: false,
      hapiServerchanUrl: undefined,
    },
    metrics: new Metrics(),
    log: createLog("trace", { write: (line: string) => lines.push(line) } as never),
    debounceMs: 10,
    telegramUrl: service.url,
  });
  notifications.start();
}

beforeEach(async () => {
  service = new TelegramService(TOKEN);
  all = openTestHapiStore();
  [lines, decided, isReached] = [[], [], true];
  id = await all.session("t", "default", { path: "/home/u/demo", host: "h", flavor: "claude" });
  await all.store.bindUser({ platform: "telegram", platformUserId: `${ANN}`, namespace: "default" });
  open();
});
afterEach(async () => {
  await notifications.stop();
  await service.stop();
  await all.close();
  expect(lines.join("")).not.toContain("very-secret");
});

async function asks(requests: Record<string, Json>, version = 1): Promise<void> {
  const key = { namespace: "default", id };
  const changed = await all.store.changeAgentState({ key, expectedVersion: version, value: { requests } });
  if (typeof changed === "string" || changed.kind !== "success") throw new Error("not stored");
  const agentState = { version: changed.version, value: changed.value };
  notifications.heard({
    type: "session-updated",
    namespace: "default",
    sessionId: id,
    data: { agentState, updatedAt: 1 },
  });
}
const BASH = { tool: "Bash", arguments: { command: "rm -r x" } };
const sent = () => service.of("sendMessage");
const answers = () => service.of("answerCallbackQuery").map(({ text }) => text);

test("a bound user is told, with buttons whose press allows, and the message is edited", async () => {
  await asks({ toolu_01ABCDEFGHIJKLMNOP: BASH });
  await until("the message", () => sent().length === 1);
  expect(sent()[0]?.chat_id).toBe(`${ANN}`);
  expect(sent()[0]?.text).toContain("rm -r x");
  const markup = sent()[0]?.reply_markup as { inline_keyboard: Record<string, unknown>[][] } | undefined;
  const rows = markup?.inline_keyboard ?? [];
  const [allow, deny] = rows[0] ?? [];
  expect(rows[1]).toEqual([
    { text: "Details", web_app: { url: `https://hapi.example/?startapp=session_${id}` } },
  ]);
  service.presses(ANN, String(allow?.callback_data));
  await until("the edit", () => service.of("editMessageText").length === 1);
  expect(decided).toEqual([[true, id, "toolu_01ABCDEFGHIJKLMNOP"]]);
  expect(service.of("editMessageText")[0]).toEqual({
    chat_id: ANN,
    message_id: 7,
    text: "Permission Request\n\nAllowed",
  });
  service.presses(ANN, String(deny?.callback_data));
  await until("the second", () => decided.length === 2);
  expect(decided[1]?.[0]).toBe(false);
});

test("a press that means no request that waits does nothing, and says so", async () => {
  await asks({ toolu_01B: BASH });
  const other = await all.session("o", "other");
  for (const data of [
    buttonData(true, id, "toolu_01A"),
    buttonData(true, other, "toolu_01B"),
    `ap:${id.slice(0, 8)}:`,
    "nonsense",
    "ap",
  ])
    service.presses(ANN, data);
  service.presses(EVE, buttonData(true, id, "toolu_01B"));
  await until("all answers", () => answers().length === 6);
  expect(answers().toSorted()).toEqual([
    ...Array.from({ length: 4 }, () => "Request not found"),
    "Session not found",
    "You are not linked",
  ]);
  expect([decided, service.of("editMessageText")]).toEqual([[], []]);
});

test("a CLI that cannot be reached leaves the buttons where they are", async () => {
  await asks({ r: BASH });
  isReached = false;
  service.presses(ANN, buttonData(true, id, "r"));
  await until("the answer", () => answers().length === 1);
  expect(answers()).toEqual(["The session could not be reached"]);
  expect(service.of("editMessageText")).toEqual([]);
});

test("a question has no buttons to allow, and none allows it", async () => {
  await asks({ q: { tool: "AskUserQuestion", arguments: { questions: [{ question: "Which?" }] } } });
  await until("the message", () => sent().length === 1);
  expect(JSON.stringify(sent()[0])).not.toContain("callback_data");
  service.presses(ANN, buttonData(true, id, "q"));
  await until("the answer", () => answers().length === 1);
  expect(decided).toEqual([]);
});

test("/start and /app say who one is and open the app, in private only", async () => {
  service.writes(ANN, "/start");
  service.writes(EVE, "/app@the_bot");
  service.writes(EVE, "/start", "group");
  service.writes(EVE, "hello");
  await until("both", () => sent().length === 2);
  const text = (user: number) => sent().find(({ chat_id }) => chat_id === user)?.text;
  expect(text(ANN)).toContain("default");
  expect(text(EVE)).toContain("not linked");
  expect(JSON.stringify(sent())).toContain('"web_app":{"url":"https://hapi.example/"}');
});

test("it listens on through bad days, and each update is answered once", async () => {
  await notifications.stop();
  service.deafness.push({ status: 502 }, { raw: "<html>" });
  open();
  service.writes(ANN, "/start");
  await until("the answer", () => sent().length === 1);
  service.breaks.push({ status: 429, retryAfter: 1 });
  service.writes(ANN, "/start");
  await until("the answer after a wait", () => sent().length === 3);
  await Bun.sleep(200);
  expect(sent()).toHaveLength(3);
});

test("one who blocked the bot keeps nobody from it, and stays bound", async () => {
  await all.store.bindUser({ platform: "telegram", platformUserId: `${EVE}`, namespace: "default" });
  service.blocked.add(`${ANN}`);
  await asks({ r: BASH });
  await until("both", () => sent().length === 2);
  await until("the decision", () => lines.some((line) => line.includes('"reason":"HTTP 403"')));
  expect(await all.store.listBindings("telegram", "default")).toHaveLength(2);
});

test("nobody is told when the settings say so, and the bot listens all the same", async () => {
  await notifications.stop();
  open({ telegramNotification: false });
  await asks({ r: BASH });
  service.presses(ANN, buttonData(false, id, "r"));
  await until("the answer", () => answers().length === 1);
  expect([sent(), decided]).toEqual([[], [[false, id, "r"]]]);
});

test("a stop ends the question that is held", async () => {
  await until("a question", () => service.polls > 0);
  const startedAt = performance.now();
  await notifications.stop();
  expect(performance.now() - startedAt).toBeLessThan(2_000);
});

test("a button fits into 64 bytes, whatever the request is called", () => {
  for (const request of ["r", "toolu_01ABCDEFGHIJKLMNOPQRSTU", "é".repeat(100), "a:b:c"]) {
    const data = buttonData(false, id, request);
    expect(Buffer.byteLength(data)).toBeLessThanOrEqual(64);
    const press = pressOf(data);
    if (press === undefined) throw new Error("no press");
    const state = { requests: { other: { tool: "x" }, [request]: { tool: "x" } } };
    expect(requestMeant(state, press)).toBe(request);
  }
});

test("a button of the original hub, with eight characters, means a request only where no other begins so", () => {
  const press = { approves: true, sessionPrefix: "s", request: "toolu_01" };
  const [a, b] = ["toolu_01A", "toolu_01B"];
  expect(requestMeant({ requests: { [a]: { tool: "x" } } }, press)).toBe(a);
  expect(requestMeant({ requests: { [a]: { tool: "x" }, [b]: { tool: "x" } } }, press)).toBeUndefined();
  const completedRequests = { [a]: { tool: "x" } };
  expect(requestMeant({ requests: { [b]: { tool: "x" } }, completedRequests }, press)).toBeUndefined();
});

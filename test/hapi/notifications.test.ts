// What a person is told of a session, through the whole server: a CLI says something, an app that is looked at shows it, and what nobody
// looks at reaches browsers, encrypted for each.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../support/config.ts";
import { type TestServer, testServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { WebPushService } from "../support/web-push-service.ts";
import type { Json } from "./placeholders.ts";
import { Stage } from "./stage.ts";

let server: TestServer;
let stage: Stage;
let service: WebPushService;
let vapidPublicKey: string;
let sessionId: string;
let version: number;

async function openStage(settings: Partial<Config> & Record<string, unknown> = {}): Promise<void> {
  server = await testServer({ hapiEnabled: true, hapiWebPushInside: true, ...settings } as Partial<Config>);
  const kept = JSON.parse(readFileSync(join(server.dataDir, "hapi", "settings.json"), "utf8"));
  vapidPublicKey = kept.vapidKeys.publicKey;
  stage = await Stage.open({
    url: server.url,
    token: kept.cliApiToken,
    publicOrigin: server.url,
    vapidPublicKey,
    stop: () => server.stop(),
  });
}

beforeEach(async () => {
  service = new WebPushService(() => vapidPublicKey);
  await openStage();
});
afterEach(async () => {
  stage.close();
  await server.stop();
  await service.stop();
});

/** A session at work, with its CLI. */
async function work(): Promise<void> {
  const metadata = { path: "/home/u/demo", host: "devbox", flavor: "claude" };
  const opened = await stage.ask("POST", "/cli/sessions", { tag: "t", metadata, agentState: null });
  const { session } = opened as { session: { id: string; agentStateVersion: number } };
  [sessionId, version] = [session.id, session.agentStateVersion];
  await stage.cli("cli", { sessionId });
  emit("session-alive", { sid: sessionId, time: Date.now(), thinking: false });
  await until("the session to be at work", async () => {
    const answer = (await stage.ask("GET", `/api/sessions/${sessionId}`)) as { session: { active: boolean } };
    return answer.session.active;
  });
}

const emit = (event: string, payload: Json) => stage.client("cli").socket.emit(event, payload);

async function asks(requests: Json): Promise<void> {
  const agentState = { requests };
  const state = { sid: sessionId, expectedVersion: version, agentState };
  const ack = await stage.client("cli").socket.emitWithAck("update-state", state);
  expect(ack.result).toBe("success");
  version = ack.version;
}

async function subscribe(name: string): Promise<string> {
  const { endpoint, p256dh, auth } = service.subscribe(name);
  expect(await stage.ask("POST", "/api/push/subscribe", { endpoint, keys: { p256dh, auth } })).toEqual({
    ok: true,
  });
  return endpoint;
}

const BASH = { tool: "Bash", arguments: { command: "ls" } };
const READY = { role: "agent", content: { type: "event", data: { type: "ready" } } };
const arrivedAt = (browser: string) => service.arrived.filter((pushed) => pushed.browser === browser);

test("the key is the one of the home", async () => {
  expect(await stage.ask("GET", "/api/push/vapid-public-key")).toEqual({ publicKey: vapidPublicKey });
});

test("a request reaches every browser of the namespace, encrypted, and none of another's", async () => {
  await work();
  await subscribe("a");
  await subscribe("b");
  const other = await Stage.open({ ...stage.hub, token: `${stage.hub.token}:other` });
  const { endpoint, p256dh, auth } = service.subscribe("c");
  await other.ask("POST", "/api/push/subscribe", { endpoint, keys: { p256dh, auth } });
  await asks({ r1: BASH });
  await until("both browsers", () => service.arrived.length === 2);
  const [pushed] = arrivedAt("a");
  expect(JSON.parse(pushed?.payload ?? "")).toEqual({
    title: "Permission Request",
    body: "demo (Bash)",
    tag: `permission-${sessionId}`,
    data: { type: "permission-request", sessionId, url: `/sessions/${sessionId}`, requestId: "r1" },
  });
  expect(pushed?.vapid.sub).toBe("mailto:admin@hapi.run");
  expect(arrivedAt("b")).toHaveLength(1);
  expect(arrivedAt("c")).toEqual([]);
  other.close();
});

test("an app that is looked at shows it, and no browser rings; one in the background does not count", async () => {
  await work();
  await subscribe("a");
  await stage.listen("hidden", "all=true&visibility=hidden");
  emit("message", { sid: sessionId, message: READY });
  await until("the push", () => service.arrived.length === 1);
  await stage.listen("seen", "visibility=visible");
  await asks({ r1: BASH });
  await until(
    "the toast",
    () =>
      stage
        .told()
        .get("seen")
        ?.some(({ event }) => event === "toast") === true,
  );
  const told = stage
    .told()
    .get("seen")
    ?.find(({ event }) => event === "toast");
  expect(told?.payload).toEqual({
    type: "toast",
    data: {
      title: "Permission Request",
      body: "demo (Bash)",
      sessionId,
      url: `/sessions/${sessionId}`,
    },
  });
  expect(
    stage
      .told()
      .get("hidden")
      ?.some(({ event }) => event === "toast"),
  ).toBe(false);
  expect(service.arrived).toHaveLength(1);
});

test("a browser that is gone is asked once, and one that unsubscribed never", async () => {
  await work();
  for (const [name, status] of [
    ["gone", 410],
    ["lost", 404],
  ] as const) {
    await subscribe(name);
    service.gone.set(name, status);
  }
  const left = await subscribe("left");
  expect(await stage.ask("DELETE", "/api/push/subscribe", { endpoint: left })).toEqual({ ok: true });
  expect(await stage.ask("DELETE", "/api/push/subscribe", { endpoint: left })).toEqual({ ok: true });
  await subscribe("here");
  await asks({ r1: BASH });
  await until("the push", () => arrivedAt("here").length === 1);
  await until("all to be asked", () => service.requests === 3);
  await asks({ r1: BASH, r2: BASH });
  await until("the second push", () => arrivedAt("here").length === 2);
  expect(service.requests).toBe(4);
});

test.each<[string, Json, number, string]>([
  ["nothing", null, 400, "Invalid body"],
  ["no keys", { endpoint: "https://push.example/1" }, 400, "Invalid body"],
  ["no address", { endpoint: "push", keys: { p256dh: "a", auth: "b" } }, 400, "Push endpoint not allowed"],
  [
    "another scheme",
    { endpoint: "file:///etc/passwd", keys: { p256dh: "a", auth: "b" } },
    400,
    "Push endpoint not allowed",
  ],
  [
    "keys that are none",
    { endpoint: "https://push.example/1", keys: { p256dh: "a", auth: "b" } },
    400,
    "Invalid push keys",
  ],
])("a subscription of %s is refused", async (_, body, status, error) => {
  const answer = await stage.fetch("POST", "/api/push/subscribe", body);
  expect([answer.status, await answer.json()]).toEqual([status, { error }]);
});

test("an address inside the own network is refused unless the settings say otherwise", async () => {
  stage.close();
  await server.stop();
  await openStage({ hapiWebPushInside: false });
  const { p256dh, auth } = service.subscribe("a");
  for (const endpoint of [
    `${service.url}/push/a`,
    "https://127.0.0.1/push",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/push",
  ]) {
    const answer = await stage.fetch("POST", "/api/push/subscribe", { endpoint, keys: { p256dh, auth } });
    expect([answer.status, await answer.json()]).toEqual([400, { error: "Push endpoint not allowed" }]);
  }
  await work();
  // A name is looked up when it is asked.
  const endpoint = `https://localhost:${new URL(service.url).port}/push/a`;
  await stage.ask("POST", "/api/push/subscribe", { endpoint, keys: { p256dh, auth } });
  await asks({ r1: BASH });
  await Bun.sleep(1_000);
  expect(service.requests).toBe(0);
});

// Push tokens and push events as clients see them: every outcome, who hears what first, and what the ledger keeps.

import { Database as Sqlite } from "bun:sqlite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type ExpoService, expoService } from "../../../test/support/expo.ts";
import { type Account, newAccount } from "../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";

let expo: ExpoService;
let server: TestServer;
beforeAll(async () => {
  expo = expoService();
  server = await testServer({ happyExpoUrl: expo.url });
});
afterAll(async () => {
  await server.stop();
  await expo.stop();
});

let account: Account;
let sid: string;
beforeEach(async () => {
  account = await newAccount(server.url);
  const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "bQ==" });
  sid = opened.body.session.id;
});
afterEach(() => {
  expo.requests.length = 0;
  expo.broken = undefined;
});

const phone = (name: string) => `ExponentPushToken[${account.id}-${name}]`;
const event = { kind: "done", title: "Ready", body: "It is your turn" };
/** Each another event, unless it is given. */
let events = 0;
const push = (body: unknown = { ...event, data: { event: events++ } }) =>
  account.call("POST", `/v1/sessions/${sid}/push-event`, body);

async function register(...names: string[]) {
  for (const name of names) {
    expo.devices.add(phone(name));
    const answer = await account.call("POST", "/v1/push-tokens", { token: phone(name) });
    expect(answer).toMatchObject({ status: 200, body: { success: true } });
  }
}

async function tokens(): Promise<string[]> {
  const { status, body } = await account.call("GET", "/v1/push-tokens");
  expect(status).toBe(200);
  return body.tokens.map(({ token }: { token: string }) => token);
}

function entry(outcome: string, more: { reason?: string; tokens?: number; delivered?: number } = {}) {
  const { reason = null, tokens = 0, delivered = 0 } = more;
  const duration_ms = expect.any(Number);
  return { session_id: sid, kind: "done", outcome, reason, tokens, delivered, duration_ms };
}

function ledger() {
  const database = new Sqlite(join(server.dataDir, "happy.db"), { readonly: true });
  try {
    return database
      .query(`SELECT session_id, kind, outcome, reason, tokens, delivered, duration_ms FROM push_ledger
        JOIN accounts ON accounts.pk = push_ledger.account_pk WHERE accounts.id = ? ORDER BY push_ledger.pk`)
      .all(account.id);
  } finally {
    database.close();
  }
}

describe("tokens", () => {
  test("are registered once, listed newest first, and deleted by any of their ways", async () => {
    await register("a", "b");
    const before = (await account.call("GET", "/v1/push-tokens")).body.tokens;
    expect(before).toEqual([
      {
        id: expect.any(String),
        token: phone("b"),
        createdAt: expect.any(Number),
        updatedAt: expect.any(Number),
      },
      {
        id: expect.any(String),
        token: phone("a"),
        createdAt: expect.any(Number),
        updatedAt: expect.any(Number),
      },
    ]);
    while (Date.now() <= before[1].updatedAt) await Bun.sleep(1);
    await register("a");
    const after = (await account.call("GET", "/v1/push-tokens")).body.tokens;
    expect(after.map(({ id }: { id: string }) => id)).toEqual(before.map(({ id }: { id: string }) => id));
    expect(after[1].createdAt).toBe(before[1].createdAt);
    expect(after[1].updatedAt).toBeGreaterThan(before[1].updatedAt);

    // As the app deletes: percent-encoded brackets, a JSON content type, no body.
    const deleted = await fetch(`${server.url}/v1/push-tokens/${encodeURIComponent(phone("a"))}`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${account.token}`, "content-type": "application/json" },
    });
    expect([deleted.status, await deleted.json()]).toEqual([200, { success: true }]);
    expect(await tokens()).toEqual([phone("b")]);
  });

  test("move to the account that registers them, and come back the same way", async () => {
    const other = await newAccount(server.url);
    const session = (await other.call("POST", "/v1/sessions", { tag: "t", metadata: "m" })).body.session.id;
    await register("a", "mine");
    const witnesses = [await account.connect(), await other.connect()];
    await other.call("POST", "/v1/push-tokens", { token: phone("a") });
    expect(await tokens()).toEqual([phone("mine")]);
    expect((await push()).body).toMatchObject({ result: "sent", tokens: 1 });
    expect(expo.requests.flatMap(({ body }) => body).map(({ to }: { to: string }) => to)).toEqual([
      phone("mine"),
    ]);
    expect((await other.call("POST", `/v1/sessions/${session}/push-event`, event)).body).toMatchObject({
      tokens: 1,
    });
    expect(expo.requests.at(-1)?.body[0].to).toBe(phone("a"));
    // Who lost it cannot take it away any more.
    await account.call("DELETE", `/v1/push-tokens/${encodeURIComponent(phone("a"))}`);
    expect((await other.call("GET", "/v1/push-tokens")).body.tokens).toHaveLength(1);
    await account.call("POST", "/v1/push/register", { token: phone("a") });
    expect(await tokens()).toEqual([phone("a"), phone("mine")]);
    expect((await other.call("GET", "/v1/push-tokens")).body).toEqual({ tokens: [] });
    for (const listener of witnesses) {
      await listener.settled();
      expect(listener.heard.filter(({ body }) => body.type !== "session-event")).toEqual([]);
      listener.close();
    }
  });

  test("of two accounts at once belong to one of them", async () => {
    const other = await newAccount(server.url);
    for (let round = 0; round < 10; round++) {
      await Promise.all([account, other].map((each) => each.call("POST", "/v1/push-tokens", { token: "t" })));
      const lists = await Promise.all([account, other].map((each) => each.call("GET", "/v1/push-tokens")));
      expect(lists.flatMap(({ body }) => body.tokens)).toHaveLength(1);
    }
  });

  test("of up to 200 characters are taken, and all that are taken can be deleted by their path", async () => {
    const names = ["x", "x".repeat(101), "[".repeat(200), "\u{1f600}".repeat(100), "a/b?c#d%20e+f", "."];
    for (const token of names) {
      expect(await account.call("POST", "/v1/push-tokens", { token })).toMatchObject({ status: 200 });
      expect(await tokens()).toEqual([token]);
      const path = token === "." ? "" : encodeURIComponent(token);
      expect((await account.call("DELETE", `/v1/push-tokens/${path}`)).status).toBe(200);
      // A dot is no path: the body names it.
      if (token === ".") await account.call("DELETE", "/v1/push/unregister", { token });
      expect(await tokens()).toEqual([]);
    }
    const longer = `/v1/push-tokens/${"x".repeat(201)}`;
    expect((await account.call("DELETE", longer)).body).toEqual({
      error: "Not found",
      path: longer,
      method: "DELETE",
    });
  });

  const table: [string, string, unknown, number, unknown, number][] = [
    ["POST", "/v1/push-tokens", { token: "" }, 400, { error: "Error" }, 0],
    ["POST", "/v1/push/register", { token: "" }, 400, { error: "Error" }, 0],
    ["POST", "/v1/push-tokens", { token: "x".repeat(201) }, 400, { error: "Error" }, 0],
    ["POST", "/v1/push-tokens", { token: "\u{1f600}".repeat(101) }, 400, { error: "Error" }, 0],
    ["POST", "/v1/push-tokens", '{"token":"\\ud83d"}', 400, { error: "Error" }, 0],
    ["POST", "/v1/push/register", { token: "x" }, 200, { success: true }, 1],
    [
      "POST",
      "/v1/push-tokens",
      {},
      400,
      {
        error: "Error",
        message: "body/token Invalid input: expected string, received undefined",
        statusCode: 400,
      },
      0,
    ],
    ["DELETE", "/v1/push-tokens/", undefined, 200, { success: true }, 0],
    ["DELETE", "/v1/push-tokens/absent", undefined, 200, { success: true }, 0],
    ["DELETE", "/v1/push/unregister", { token: "absent" }, 200, { success: true }, 0],
    ["DELETE", "/v1/push/unregister?token=absent", undefined, 200, { success: true }, 0],
    [
      "DELETE",
      "/v1/push/unregister",
      {},
      400,
      {
        error: "Error",
        message: "body/token Invalid input: expected string, received undefined",
        statusCode: 400,
      },
      0,
    ],
  ];
  test.each(table)("%s %s %j answers %i", async (method, path, body, status, expected, left) => {
    const listener = await account.connect();
    expect(await account.call(method, path, body)).toMatchObject({ status, body: expected });
    expect(await tokens()).toHaveLength(left);
    await listener.settled();
    expect(listener.heard).toEqual([]);
    listener.close();
  });

  test("are unregistered by body or query", async () => {
    await register("a", "b");
    await account.call("DELETE", "/v1/push/unregister", { token: phone("a") });
    expect(await tokens()).toEqual([phone("b")]);
    await account.call("DELETE", `/v1/push/unregister?token=${encodeURIComponent(phone("b"))}`);
    expect(await tokens()).toEqual([]);
  });
});

describe("a push event", () => {
  test("is heard by phones and the session before Expo answers, and goes to every device", async () => {
    await register("a", "b");
    const user = await account.connect();
    const session = await account.connect({ clientType: "session-scoped", sessionId: sid });
    const machine = await account.connect({ clientType: "machine-scoped", machineId: "m" });
    const gate = Promise.withResolvers<void>();
    expo.broken = { after: gate.promise };
    const pushing = push({ ...event, data: { kind: "mine", sessionId: "theirs", deep: [1] } });
    const heard = { type: "session-event", sessionId: sid, ...event, timestamp: expect.any(Number) };
    expect(await user.untilEphemeral("session-event")).toEqual(heard);
    expect(await session.untilEphemeral("session-event")).toEqual(heard);
    gate.resolve();
    const { status, body } = await pushing;
    expect([status, body]).toEqual([200, { success: true, result: "sent", tokens: 2 }]);
    await machine.settled();
    expect(machine.heard).toEqual([]);
    expect(expo.requests).toHaveLength(1);
    expect(expo.requests[0]?.body).toEqual(
      ["b", "a"].map((name) => ({
        to: phone(name),
        title: event.title,
        body: event.body,
        // The client's data may name another session, never another kind.
        data: { sessionId: "theirs", deep: [1], kind: "done" },
        sound: "default",
        channelId: "messages",
      })),
    );
    expect(ledger()).toEqual([entry("sent", { tokens: 2, delivered: 2 })]);
    for (const listener of [user, session, machine]) listener.close();
  });

  test("of a session that is not the caller's is refused and heard by nobody", async () => {
    const stranger = await newAccount(server.url);
    const listener = await account.connect();
    const answer = await stranger.call("POST", `/v1/sessions/${sid}/push-event`, event);
    expect([answer.status, answer.body]).toEqual([404, { error: "Session not found" }]);
    await listener.settled();
    expect(listener.heard).toEqual([]);
    listener.close();
  });

  const long = (length: number) => "\u{1f600}".repeat(length / 2);
  const refused: [string, unknown, string][] = [
    [
      "another kind",
      { ...event, kind: "other" },
      'body/kind Invalid option: expected one of "done"|"permission"|"question"',
    ],
    ["no title", { ...event, title: "" }, "body/title Too small: expected string to have >=1 characters"],
    [
      "a title of 202 code units",
      { ...event, title: long(202) },
      "body/title Too big: expected string to have <=200 characters",
    ],
    [
      "a body of 502 code units",
      { ...event, body: long(502) },
      "body/body Too big: expected string to have <=500 characters",
    ],
    ["null data", { ...event, data: null }, "body/data Invalid input: expected record, received null"],
    ["a list as data", { ...event, data: [] }, "body/data Invalid input: expected record, received array"],
  ];
  test.each(refused)("with %s is refused", async (_, body, message) => {
    const answer = await push(body);
    expect([answer.status, answer.body]).toEqual([400, { error: "Error", message, statusCode: 400 }]);
    expect(ledger()).toEqual([]);
  });

  test("may be as long as the contract says", async () => {
    expect(await push({ ...event, title: long(200), body: long(500) })).toMatchObject({ status: 200 });
  });
});

describe("the outcome", () => {
  test("without devices is no_tokens", async () => {
    expect((await push()).body).toEqual({ success: true, result: "no_tokens" });
    expect(ledger()).toEqual([entry("no_tokens")]);
    expect(expo.requests).toEqual([]);
  });

  test("with a device that is gone is partial, and its token is deleted", async () => {
    await register("a", "b");
    expo.devices.delete(phone("a"));
    const reason = "DeviceNotRegistered";
    expect((await push()).body).toEqual({
      success: true,
      result: "partial",
      tokens: 2,
      delivered: 1,
      reason,
    });
    expect(await tokens()).toEqual([phone("b")]);
    expect((await push()).body).toEqual({ success: true, result: "sent", tokens: 1 });
    expect(ledger()).toEqual([
      entry("partial", { tokens: 2, delivered: 1, reason }),
      entry("sent", { tokens: 1, delivered: 1 }),
    ]);
  });

  test("with a phone of another project among them is a failure of that one only", async () => {
    await register("a", "b", "c");
    expo.projects.set(phone("b"), "@other/app");
    expo.refused.add(phone("b"));
    const reason = "HTTP 400";
    expect((await push()).body).toEqual({
      success: true,
      result: "partial",
      tokens: 3,
      delivered: 2,
      reason,
    });
    // Expo says no more than that they do not go together: then each project gets its own request.
    expo.refused.clear();
    expect((await push()).body).toEqual({ success: true, result: "sent", tokens: 3 });
    expo.projects.clear();
    expect(await tokens()).toHaveLength(3);
  });

  test("on a bad moment of Expo is sent all the same", async () => {
    await register("a");
    expo.breaks.push({ status: 503 }, { status: 429, headers: { "retry-after": "1" } });
    expect((await push()).body).toEqual({ success: true, result: "sent", tokens: 1 });
    expect(expo.requests).toHaveLength(3);
  });

  test("when Expo refuses is failed, and no token is deleted", async () => {
    await register("a", "b");
    expo.broken = { status: 403 };
    const reason = "HTTP 403, HTTP 403";
    expect((await push()).body).toEqual({ success: true, result: "failed", reason });
    expect(await tokens()).toHaveLength(2);
    expect(ledger()).toEqual([entry("failed", { tokens: 2, delivered: 0, reason })]);
  });
});

describe("the same event twice", () => {
  test("at once is one push, heard once and kept once, and both callers hear what came of it", async () => {
    await register("a");
    const user = await account.connect();
    const gate = Promise.withResolvers<void>();
    expo.breaks.push({ after: gate.promise });
    const pushing = Array.from({ length: 5 }, () => push({ ...event, data: { a: 1 } }));
    await user.untilEphemeral("session-event");
    gate.resolve();
    for (const { body } of await Promise.all(pushing))
      expect(body).toEqual({ success: true, result: "sent", tokens: 1 });
    expect((await push({ ...event, data: { a: 1 } })).body).toEqual({
      success: true,
      result: "sent",
      tokens: 1,
    });
    expect(expo.requests).toHaveLength(1);
    await user.settled();
    expect(user.ephemerals).toHaveLength(1);
    expect(ledger()).toHaveLength(1);
    user.close();
  });

  test("means the same session, kind, texts and data", async () => {
    await register("a");
    const other = (await account.call("POST", "/v1/sessions", { tag: "u", metadata: "m" })).body.session.id;
    await Promise.all([
      push(event),
      push({ ...event, kind: "question" }),
      push({ ...event, title: "Other" }),
      push({ ...event, body: "Other" }),
      push({ ...event, data: { a: 1 } }),
      push({ ...event, data: { a: 2 } }),
      account.call("POST", `/v1/sessions/${other}/push-event`, event),
    ]);
    expect(expo.requests).toHaveLength(7);
  });

  test("also across a restart, where it was delivered", async () => {
    await register("a");
    const again = { ...event, title: "before the restart" };
    expect((await push(again)).body).toMatchObject({ result: "sent" });
    await server.restart();
    expect((await push(again)).body).toEqual({ success: true, result: "sent", tokens: 1 });
    expect(expo.requests).toHaveLength(1);
    expect((await push()).body).toMatchObject({ result: "sent" });
    expect(expo.requests).toHaveLength(2);
  });

  test("is tried again where nothing got through", async () => {
    expect((await push(event)).body).toEqual({ success: true, result: "no_tokens" });
    await register("a");
    const looking = await account.connect({ clientType: "user-scoped", appState: "active" });
    expect((await push(event)).body.result).toBe("suppressed");
    looking.socket.emit("app-state", { state: "background" });
    await looking.settled();
    expo.breaks.push({ status: 403 });
    expect((await push(event)).body.result).toBe("failed");
    expect((await push(event)).body.result).toBe("sent");
    looking.close();
  });
});

describe("while somebody looks", () => {
  const looks: [string, Record<string, unknown>, string | undefined, string][] = [
    [
      "an app in front since its handshake",
      { clientType: "user-scoped", appState: "active" },
      undefined,
      "suppressed",
    ],
    [
      "an app that came to the front",
      { clientType: "user-scoped", appState: "background" },
      "active",
      "suppressed",
    ],
    ["an app that went to the back", { clientType: "user-scoped", appState: "active" }, "background", "sent"],
    ["an app that never told", { clientType: "user-scoped" }, undefined, "sent"],
    ["a client without a type", { appState: "active" }, "active", "sent"],
    ["a client of an unknown type", { clientType: "watch", appState: "active" }, "active", "sent"],
    ["a machine", { clientType: "machine-scoped", machineId: "m", appState: "active" }, "active", "sent"],
    ["a session", { clientType: "session-scoped", sessionId: "s", appState: "active" }, "active", "sent"],
  ];
  test.each(looks)("%s: %j, then %s, is %s", async (_, auth, state, result) => {
    await register("a");
    const listener = await account.connect(auth);
    if (state !== undefined) listener.socket.emit("app-state", { state });
    await listener.settled();
    const { body } = await push();
    const reason = "active-ui-client";
    if (result === "suppressed") {
      expect(body).toEqual({ success: true, result, reason });
      expect(expo.requests).toEqual([]);
      expect(ledger()).toEqual([entry("suppressed", { reason })]);
      await listener.untilEphemeral("session-event");
    } else {
      expect(body).toEqual({ success: true, result, tokens: 1 });
    }
    listener.close();
  });

  test("somebody else's app, and an app that has left, hold nothing back", async () => {
    await register("a");
    const stranger = await newAccount(server.url);
    const other = await stranger.connect({ clientType: "user-scoped", appState: "active" });
    const left = await account.connect({ clientType: "user-scoped", appState: "active" });
    expect((await push()).body.result).toBe("suppressed");
    const witness = await account.connect({ clientType: "machine-scoped", machineId: "m" });
    left.close();
    for (let tries = 0; tries < 500 && (await push()).body.result !== "sent"; tries++)
      await witness.settled();
    expect((await push()).body).toEqual({ success: true, result: "sent", tokens: 1 });
    other.close();
    witness.close();
  });
});

test("so many pushes of one account are under way; a further one is refused with a sentence, and counted", async () => {
  const token = "figures";
  const small = await testServer({ happyExpoUrl: expo.url, maxAccountPushes: 2, metricsToken: token });
  const gate = Promise.withResolvers<void>();
  try {
    const me = await newAccount(small.url);
    await me.call("POST", "/v1/push-tokens", { token: "phone" });
    expo.devices.add("phone");
    const session = (await me.call("POST", "/v1/sessions", { tag: "t", metadata: "m" })).body.session.id;
    const pushing = (title: string) =>
      me.call("POST", `/v1/sessions/${session}/push-event`, { ...event, title });
    expo.broken = { after: gate.promise };
    const underWay = ["a", "b"].map(pushing);
    for (let tries = 0; tries < 1_000 && expo.requests.length < 2; tries++) await Bun.sleep(5);
    expect((await pushing("c")).body).toEqual({
      success: true,
      result: "failed",
      reason: "Too many pushes at once",
    });
    gate.resolve();
    for (const answer of await Promise.all(underWay)) expect(answer.body.result).toBe("sent");
    expect((await pushing("c")).body.result).toBe("sent");
    const headers = { authorization: `Bearer ${token}` };
    const page = await (await fetch(`${small.url}/metrics`, { headers })).text();
    expect(page).toMatch(/roost_bound_refusals_total\{bound="account-pushes"\} 1\n/);
  } finally {
    gate.resolve();
    await small.stop();
  }
});

// The eight rules of the handshake, and the bytes on the wire (topics contract, section 6, vectors W05 and W06).
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type OpenTopics, openTopics } from "../../../test/support/open-topics.ts";
import {
  bodyOf,
  connected,
  listener,
  login,
  signedToken,
  type TopicsUser,
} from "../../../test/support/topics-client.ts";
import { hashPassword } from "../passwords.ts";
import { addUser, changeUser } from "../store/users.ts";

let opened: OpenTopics;
let admin: TopicsUser;
beforeAll(async () => {
  opened = await openTopics({ topicsAllowedOrigins: ["https://front.example"] });
  admin = await login(opened.url);
});
afterAll(() => opened.close());

const POLLING = "EIO=4&transport=polling";
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
const polling = (query = POLLING, init?: RequestInit) => fetch(`${opened.url}/socket.io/?${query}`, init);

async function session(): Promise<string> {
  const text = await (await polling()).text();
  return JSON.parse(text.slice(1)).sid;
}

test("W05: the handshake by polling, byte for byte", async () => {
  const answer = await polling();
  const text = await answer.text();
  expect(text).toStartWith('0{"sid":');
  expect(text).toContain(
    '"upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000',
  );
  const sid = JSON.parse(text.slice(1)).sid;
  const body = `40${JSON.stringify({ token: admin.token })}`;
  expect(await (await polling(`${POLLING}&sid=${sid}`, { method: "POST", body })).text()).toBe("ok");
  const next = await (await polling(`${POLLING}&sid=${sid}`)).text();
  const [connect, event, ...more] = next.split(String.fromCharCode(0x1e));
  expect(connect).toMatch(/^40\{"sid":"[^"]+"\}$/);
  expect([event, more]).toEqual(['42["connected",{"ok":true}]', []]);
});

test("W05: a poll that waits while the CONNECT arrives gets both packets too", async () => {
  const sid = await session();
  const waiting = polling(`${POLLING}&sid=${sid}`);
  const body = `40${JSON.stringify({ token: admin.token })}`;
  await (await polling(`${POLLING}&sid=${sid}`, { method: "POST", body })).text();
  expect((await (await waiting).text()).split(String.fromCharCode(0x1e))[1]).toBe(
    '42["connected",{"ok":true}]',
  );
});

test("W06 and rules 2, 5, 8: a session opens without a token, a CONNECT without one is refused and soon closed", async () => {
  const sid = await session();
  await (await polling(`${POLLING}&sid=${sid}`, { method: "POST", body: "40" })).text();
  const refused = await (await polling(`${POLLING}&sid=${sid}`)).text();
  expect(refused).toMatch(/^44\{"message":"unauthorized","data":\{"code":1001,"message":"[^"]+"\}\}$/);
  const began = Date.now();
  // The next poll is answered by the end of the session.
  await (await polling(`${POLLING}&sid=${sid}`)).text();
  expect(Date.now() - began).toBeLessThan(1_000);
  expect((await polling(`${POLLING}&sid=${sid}`)).status).toBe(400);
});

test("rule 1: a bad token in the HTTP request is 401, and opens no session", async () => {
  const expired = await signedToken({ exp: inSeconds(-1) });
  for (const [query, headers, code] of [
    [`${POLLING}&token=garbage`, {}, 1002],
    [`${POLLING}&token=${expired}`, {}, 1003],
    [POLLING, { authorization: "Bearer garbage" }, 1002],
    [`${POLLING}&token=garbage`, { authorization: `Bearer ${admin.token}` }, 1002],
  ] as const) {
    const answer = await polling(query, { headers: { ...headers, origin: "https://front.example" } });
    const body = await bodyOf(answer);
    expect([answer.status, body.code, body.data]).toEqual([401, code, null]);
    expect(answer.headers.get("access-control-allow-origin")).toBe("https://front.example");
  }
});

test("rules 3 and 4: auth.token decides; without one, the token of the HTTP request counts", async () => {
  const carried = await connected(listener(opened.url, { query: { token: admin.token } }));
  carried.close();
  const inHeader = { extraHeaders: { authorization: `Bearer ${admin.token}` } };
  (await connected(listener(opened.url, inHeader))).close();
  const both = listener(opened.url, { query: { token: admin.token }, auth: { token: "garbage" } });
  expect((await both.until("connect_error"))[0].data.code).toBe(1002);
  both.close();
});

test.each<[string, () => unknown | Promise<unknown>, number]>([
  ["an empty token", () => "", 1001],
  ["a token that is no text", () => 7, 1002],
  ["garbage", () => "garbage", 1002],
  ["an expired token", () => signedToken({ exp: inSeconds(-1) }), 1003],
  ["a user who was deleted", () => signedToken({ exp: inSeconds(60), uid: 77 }), 1004],
])("rule 6: %s is refused", async (_name, token, code) => {
  const heard = listener(opened.url, { auth: { token: await token() } });
  const [error] = await heard.until("connect_error");
  expect([error.message, error.data.code]).toEqual(["unauthorized", code]);
  heard.close();
});

test("rule 6: a user who was disabled is refused, though the token is valid", async () => {
  await addUser(opened.database, {
    username: "eve",
    passwordHash: await hashPassword("secret"),
    role: "admin",
  });
  const eve = await login(opened.url, "eve", "secret");
  (await eve.connect()).close();
  await changeUser(opened.database, "eve", { status: "inactive" });
  const heard = listener(opened.url, { auth: { token: eve.token } });
  expect((await heard.until("connect_error"))[0].data.code).toBe(1004);
  heard.close();
});

test("rule 7: a session that never connects is closed", async () => {
  const impatient = await openTopics({ topicsConnectTimeoutMs: 200 });
  const ask = (query: string) => fetch(`${impatient.url}/socket.io/?${POLLING}${query}`);
  const sid = JSON.parse((await (await ask("")).text()).slice(1)).sid;
  // This poll is answered by the end of the session.
  await (await ask(`&sid=${sid}`)).text();
  expect((await ask(`&sid=${sid}`)).status).toBe(400);
  await impatient.close();
});

test("rule 8: a refused WebSocket is closed within a second", async () => {
  const heard = listener(opened.url, { auth: { token: "garbage" } });
  await heard.until("connect_error");
  const { promise, resolve } = Promise.withResolvers<void>();
  heard.socket.io.engine?.once("close", () => resolve());
  const began = Date.now();
  if (heard.socket.io.engine?.readyState === "open") await promise;
  expect(Date.now() - began).toBeLessThan(1_000);
  heard.close();
});

test("older protocols are refused, and there is no cookie", async () => {
  const old = await polling("EIO=3&transport=polling");
  expect([old.status, (await bodyOf(old)).code]).toEqual([400, 5]);
  const answer = await polling();
  await answer.text();
  expect(answer.headers.get("set-cookie")).toBeNull();
});

test("pages of other origins are not told that they may read", async () => {
  const answer = await polling(POLLING, { headers: { origin: "https://other.example" } });
  await answer.text();
  expect(answer.headers.get("access-control-allow-origin")).not.toBe("https://other.example");
  const allowed = await polling(POLLING, { headers: { origin: "https://front.example" } });
  await allowed.text();
  expect(allowed.headers.get("access-control-allow-origin")).toBe("https://front.example");
  expect(allowed.headers.get("access-control-allow-credentials")).toBeNull();
});

test("a user holds as many sockets as the limit says, and a further one is told so", async () => {
  const few = await openTopics({ maxAccountSockets: 2 });
  const { token } = await login(few.url);
  const sockets = await Promise.all([1, 2].map(() => connected(listener(few.url, { auth: { token } }))));
  const third = listener(few.url, { auth: { token } });
  const error = await third.until("connect_error");
  expect(JSON.stringify(error)).toContain("this user has 2 connections open already");
  for (const socket of [...sockets, third]) socket.close();
  await few.close();
});

// What a browser gets is what was sent, from who it believes, and one bad endpoint is nobody else's trouble.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { generateVAPIDKeys } from "web-push";
import { tcpProxy } from "../../../test/support/tcp-proxy.ts";
import { WebPushService } from "../../../test/support/web-push-service.ts";
import { deadlineIn } from "../deadline.ts";
import { areKeys, isAllowed, WebPush, type WebPushAddress } from "./web-push.ts";

const vapid = generateVAPIDKeys();
let service: WebPushService;
let channel: WebPush;
const open = (parts: { inside?: boolean; attemptMs?: number } = {}) =>
  new WebPush({ vapid, subject: "mailto:admin@hapi.run", inside: true, ...parts });
beforeEach(() => {
  service = new WebPushService(() => vapid.publicKey);
  channel = open();
});
afterEach(() => service.stop());

const MESSAGE = { payload: '{"title":"Grüße 🎉"}' };
const reasons = async (to: readonly WebPushAddress[], deadline = deadlineIn(5_000)) =>
  (await channel.send(to, MESSAGE, deadline)).map((verdict) => (verdict.ok ? "ok" : verdict.reason));

test("a browser gets the message, with the headers and the token that services ask for", async () => {
  expect(await reasons([service.subscribe("a")])).toEqual(["ok"]);
  const [pushed] = service.arrived;
  expect(pushed?.payload).toBe(MESSAGE.payload);
  expect(pushed?.headers).toMatchObject({
    "content-encoding": "aes128gcm",
    ttl: "2419200",
    urgency: "normal",
  });
  expect(pushed?.vapid).toMatchObject({ aud: service.url, sub: "mailto:admin@hapi.run" });
  const hours = ((pushed?.vapid.exp ?? 0) - Date.now() / 1_000) / 3_600;
  expect(hours).toBeWithin(11.9, 12.1);
});

test.each([404, 410])("an endpoint that answers %i is dead, and no other", async (status) => {
  const to = [service.subscribe("a"), service.subscribe("b"), service.subscribe("c")];
  service.gone.set("b", status);
  expect(await channel.send(to, MESSAGE, deadlineIn(5_000))).toEqual([
    { ok: true, ticket: undefined },
    { ok: false, reason: `HTTP ${status}`, dead: true },
    { ok: true, ticket: undefined },
  ]);
});

test("endpoints that hang, refuse, or have keys that are none keep the others from nothing", async () => {
  channel = open({ attemptMs: 300 });
  const bad = Array.from({ length: 40 }, (_, n) => service.subscribe(`bad ${n}`));
  for (const [n] of bad.entries()) service.broken.set(`bad ${n}`, { silent: true });
  const off = { ...service.subscribe("off"), p256dh: Buffer.alloc(65, 4).toString("base64url") };
  const odd = { ...service.subscribe("odd"), endpoint: "no address" };
  const startedAt = performance.now();
  const sending = channel.send([...bad, off, odd, service.subscribe("good")], MESSAGE, deadlineIn(3_000));
  while (service.arrived.length === 0) await Bun.sleep(5);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  const verdicts = await sending;
  expect(verdicts.slice(40).map((verdict) => (verdict.ok ? "ok" : verdict.reason))).toEqual([
    "keys that are none",
    "address inside the own network",
    "ok",
  ]);
  expect(verdicts.every((verdict) => verdict.ok || !verdict.dead)).toBe(true);
});

describe("what passes is asked again", () => {
  test.each([429, 500, 503])("%i", async (status) => {
    service.breaks.push({ status });
    expect(await reasons([service.subscribe("a")])).toEqual(["ok"]);
    expect(service.requests).toBe(2);
  });

  test("a connection that is lost before the answer", async () => {
    const address = service.subscribe("a");
    const proxy = await tcpProxy(Number(new URL(service.url).port));
    const through = address.endpoint.replace(/:\d+/, `:${proxy.port}`);
    service.breaks.push({ silent: true });
    const sending = channel.send([{ ...address, endpoint: through }], MESSAGE, deadlineIn(5_000));
    while (service.requests === 0) await Bun.sleep(5);
    proxy.cut();
    proxy.restore();
    // The token names the proxy: the service does not believe it, but it was asked.
    expect(await sending).toEqual([{ ok: false, reason: "HTTP 403", dead: false }]);
    expect(service.requests).toBe(2);
    proxy.stop();
  });

  test("no sooner than the service asks for, and not at all when that is past the deadline", async () => {
    const address = service.subscribe("a");
    const startedAt = performance.now();
    service.breaks.push({ status: 429, headers: { "retry-after": "1" } });
    expect(await reasons([address])).toEqual(["ok"]);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(990);
    service.breaks.push({ status: 429, headers: { "retry-after": "3600" } });
    expect(await reasons([address])).toEqual(["HTTP 429"]);
    expect(service.requests).toBe(3);
  });

  test("at most five times", async () => {
    service.brokenForAll = { status: 503 };
    expect(await reasons([service.subscribe("a")], deadlineIn(60_000))).toEqual(["HTTP 503"]);
    expect(service.requests).toBe(5);
  });
});

test("a redirect is not followed", async () => {
  service.breaks.push({ status: 307, headers: { location: `${service.url}/push/b` } });
  expect(await reasons([service.subscribe("a")])).toEqual(["HTTP 307"]);
  expect(service.requests).toBe(1);
});

test("nothing inside is reached unless it is said, whatever name it has", async () => {
  channel = open({ inside: false });
  const address = service.subscribe("a");
  const port = new URL(service.url).port;
  const endpoints = [
    address.endpoint,
    address.endpoint.replace("http:", "https:"),
    `https://localhost:${port}/push/a`,
    `https://[::ffff:127.0.0.1]:${port}/push/a`,
    `https://2130706433:${port}/push/a`,
    `https://user:word@push.example/push/a`,
  ];
  for (const endpoint of endpoints)
    expect(await reasons([{ ...address, endpoint }])).toEqual(["address inside the own network"]);
  expect(service.requests).toBe(0);
  expect(isAllowed(new URL("https://fcm.googleapis.com/fcm/send/x"), false)).toBe(true);
});

test("keys of another length are none", () => {
  const { p256dh, auth } = service.subscribe("a");
  expect(areKeys({ p256dh, auth })).toBe(true);
  expect(areKeys({ p256dh: "abc", auth })).toBe(false);
  expect(areKeys({ p256dh, auth: "abc" })).toBe(false);
});

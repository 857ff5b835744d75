// Who is let in: access tokens with their namespaces, logins, and what Telegram says of its users.
import { expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import { SignJWT } from "jose";
import { AccessToken, splitAccessToken } from "./access-token.ts";
import { checkInitData } from "./telegram.ts";
import { WebTokens, webClaims } from "./web-tokens.ts";
import { WrongTokens } from "./wrong-tokens.ts";

const TOKEN = "kX9_long_and_of_chance";

test.each<[string, string | undefined]>([
  [TOKEN, "default"],
  [`  ${TOKEN}\n`, "default"],
  [`${TOKEN}:team`, "team"],
  [`${TOKEN}:a b`, "a b"],
  [`${TOKEN}:default`, "default"],
  [`${TOKEN}:`, undefined],
  [`:${TOKEN}`, undefined],
  [`${TOKEN}:a:b`, undefined],
  [`${TOKEN} :a`, undefined],
  [`${TOKEN}: a`, undefined],
  ["", undefined],
  ["   ", undefined],
  [":", undefined],
  [TOKEN.slice(1), undefined],
  [`${TOKEN}x`, undefined],
  [TOKEN.toUpperCase(), undefined],
])("%j lets into %j", (text, ns) => {
  expect(new AccessToken(TOKEN).namespaceOf(text)).toBe(ns as never);
});

test("what is behind the last colon is the namespace", () => {
  expect(splitAccessToken("a:b:c")).toEqual({ token: "a:b", ns: "c" });
});

const NOW = 1_800_000_000_000;
const KEY = new Uint8Array(32).fill(7);
const tokens = new WebTokens(KEY, () => NOW);
const part = (token: string, index: number) =>
  JSON.parse(Buffer.from(token.split(".")[index] ?? "", "base64url").toString());
const sign = (claims: Record<string, unknown>, { key = KEY, alg = "HS256" } = {}) =>
  new SignJWT(claims).setProtectedHeader({ alg }).sign(key);

test("a login has the recorded header and counts for four hours", async () => {
  const token = await tokens.issue({ uid: 7, ns: "team" });
  expect(token.split(".")[0]).toBe("eyJhbGciOiJIUzI1NiJ9");
  expect(part(token, 1)).toEqual({ uid: 7, ns: "team", iat: NOW / 1_000, exp: NOW / 1_000 + 14_400 });
  expect(tokens.verify(token)).toMatchObject({ uid: 7, ns: "team" });
  const at = (ms: number) => new WebTokens(KEY, () => NOW + ms).verify(token);
  expect([at(14_399_999) === undefined, at(14_400_000) === undefined]).toEqual([false, true]);
});

test("one without an end counts, of any number as its user; one of another key or algorithm does not", async () => {
  const claims = { uid: -3.5, ns: "x" };
  expect(webClaims(tokens.verify(await sign(claims)) ?? {})).toEqual(claims);
  expect(tokens.verify(await sign(claims, { key: new Uint8Array(32) }))).toBeUndefined();
  expect(
    tokens.verify(await sign(claims, { key: new Uint8Array(64).fill(7), alg: "HS512" })),
  ).toBeUndefined();
  expect(tokens.verify(await sign({ ...claims, exp: "soon" }))).toBeUndefined();
  const none = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.`;
  for (const text of [none, "", "a.b.c", "x".repeat(5_000)]) expect(tokens.verify(text)).toBeUndefined();
});

test.each<[Record<string, unknown>]>([
  [{ uid: "1", ns: "x" }],
  [{ uid: 1 }],
  [{ ns: "x" }],
  [{ uid: 1, ns: 2 }],
])("%j is signed, and is no login", async (claims) => {
  const payload = tokens.verify(await sign(claims));
  expect(payload).toMatchObject(claims);
  expect(webClaims(payload ?? {})).toBeUndefined();
});

const BOT = "123:invented";
const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest();
const USER = { id: 42, first_name: "Ada", username: "ada" };

function initData(
  fields: Record<string, string>,
  key: Buffer = hmac("WebAppData", BOT),
  more: Record<string, string> = {},
): string {
  const text = Object.keys(fields)
    .sort()
    .map((name) => `${name}=${fields[name]}`)
    .join("\n");
  return new URLSearchParams({ ...fields, hash: hmac(key, text).toString("hex"), ...more }).toString();
}
const GOOD = { user: JSON.stringify(USER), auth_date: String(NOW / 1_000), query_id: "q", signature: "s" };

test.each([
  ["WebAppData as the key", hmac("WebAppData", BOT)],
  ["the bot's token as the key", hmac(BOT, "WebAppData")],
  ["the hash of the bot's token", createHash("sha256").update(BOT).digest()],
])("init data counts with %s", (_, key) => {
  expect(checkInitData(initData(GOOD, key), BOT, NOW)).toEqual({ user: USER });
});

test.each<[string, string]>([
  ["Missing hash", new URLSearchParams(GOOD).toString()],
  ["Missing hash", initData(GOOD, undefined, { hash: "" })],
  ["Missing or invalid auth_date", initData({ user: GOOD.user })],
  ["Missing or invalid auth_date", initData({ ...GOOD, auth_date: "today" })],
  ["initData is too old", initData({ ...GOOD, auth_date: String(NOW / 1_000 - 86_401) })],
  ["Invalid initData signature", initData(GOOD, hmac("WebAppData", "other"))],
  ["Invalid initData signature", initData(GOOD, undefined, { query_id: "changed" })],
  ["Missing user", initData({ auth_date: GOOD.auth_date })],
  ["Invalid user JSON", initData({ ...GOOD, user: "{" })],
  ["Invalid user schema", initData({ ...GOOD, user: '{"id":"42"}' })],
  ["Invalid user schema", initData({ ...GOOD, user: "[]" })],
  ["Invalid user schema", initData({ ...GOOD, user: '{"id":42,"is_bot":1}' })],
])("%s", (reason, text) => {
  expect(checkInitData(text, BOT, NOW)).toEqual({ reason });
});

test("init data of exactly a day, and of tomorrow, counts", () => {
  for (const off of [-86_400, 86_400])
    expect(checkInitData(initData({ ...GOOD, auth_date: String(NOW / 1_000 + off) }), BOT, NOW)).toEqual({
      user: USER,
    });
});

test("of one network twenty different wrong tokens are looked at in a minute; the same one again counts once", () => {
  let now = 0;
  const refused: string[] = [];
  const parts = {
    addresses: { standing: () => "known" as const },
    bounds: { refused: (name: string) => void refused.push(name) },
    isOn: () => true,
    now: () => now,
  };
  const wrong = new WrongTokens(parts);
  for (let i = 0; i < 100; i++) wrong.note("10.0.0.1", "the same old token");
  expect(wrong.waitMs("10.0.0.1")).toBeUndefined();
  for (let i = 1; i < 20; i++) wrong.note("10.0.0.1", `guess ${i}`);
  now = 1_000;
  expect([wrong.waitMs("10.0.0.1"), wrong.waitMs("10.0.0.2")]).toEqual([59_000, undefined]);
  expect(refused).toEqual(["hapi-wrong-tokens"]);
  expect(new WrongTokens({ ...parts, isOn: () => false }).waitMs("10.0.0.1")).toBeUndefined();
  now = 60_000;
  expect(wrong.waitMs("10.0.0.1")).toBeUndefined();
});

test("networks are remembered up to a number, and no longer than their minute", () => {
  let now = 0;
  const wrong = new WrongTokens({
    addresses: { standing: () => "unknown" },
    bounds: { refused: () => {} },
    isOn: () => true,
    now: () => now,
  });
  for (let i = 0; i < 6_000; i++) wrong.note(`10.${i >> 8}.${i & 255}.1`, "x");
  expect(wrong.size).toBe(5_000);
  now = 60_001;
  wrong.note("192.168.0.1", "x");
  expect(wrong.size).toBe(1);
});

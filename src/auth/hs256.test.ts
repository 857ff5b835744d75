// Which tokens count, at which moment, and that a wrong signature is refused before anything else is looked at.
import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { SignJWT } from "jose";
import { hs256Key, issueHs256, verifyHs256 } from "./hs256.ts";

const SECRET = "test-secret";
const NOW = 1_800_000_000_000;
const at = NOW / 1_000;

const rules = { key: hs256Key(SECRET), issuer: "house", maxLength: 1_000, now: () => NOW };
const verify = (token: string, more = {}) => verifyHs256(token, { ...rules, early: "invalid", ...more });

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** As any program may put a token together: nothing is looked at, and the signature is right. */
function signed(header: unknown, payload: unknown, { secret = SECRET, hash = "sha256" } = {}): string {
  const text = `${typeof header === "string" ? header : base64(header)}.${typeof payload === "string" ? payload : base64(payload)}`;
  return `${text}.${createHmac(hash, secret).update(text).digest("base64url")}`;
}

/** The same bytes to a decoder: the last character of 43 carries four bits of the signature and two of nothing. */
function loosened(token: string): string {
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return token.slice(0, -1) + digits[digits.indexOf(token.at(-1) ?? "") + 1];
}

const HS256 = { alg: "HS256", typ: "JWT" };
const GOOD = { iss: "house", exp: at + 1, uid: 1 };

test.each<[string, Record<string, unknown>, unknown]>([
  ["in time", {}, GOOD],
  ["with one second left", { exp: at + 1 }, GOOD],
  ["at its very end", { exp: at }, "expired"],
  ["a second after its end", { exp: at - 1 }, "expired"],
  ["without an end", { exp: undefined }, "invalid"],
  ["whose end is text", { exp: `${at + 60}` }, "invalid"],
  ["of another issuer", { iss: "other" }, "invalid"],
  ["of no issuer", { iss: undefined }, "invalid"],
  ["whose time has come", { nbf: at }, { ...GOOD, nbf: at }],
  ["whose time has not come", { nbf: at + 1 }, "invalid"],
  ["whose beginning is text", { nbf: "now" }, "invalid"],
  ["whose beginning is null", { nbf: null }, "invalid"],
  ["whose end is null", { exp: null }, "invalid"],
  ["that says when it was issued", { iat: at + 60 }, { ...GOOD, iat: at + 60 }],
  ["that says it as text", { iat: "now" }, "invalid"],
  ["whose time has neither come nor is left", { nbf: at + 1, exp: at }, "invalid"],
])("a token %s", async (_name, claims, expected) => {
  expect(await verify(signed(HS256, { ...GOOD, ...claims }))).toEqual(expected as never);
});

test("a token whose time has not come is what the protocol says; one without a good beginning is invalid", async () => {
  const early = signed(HS256, { ...GOOD, nbf: at + 1 });
  expect([await verify(early), await verify(early, { early: "expired" })]).toEqual(["invalid", "expired"]);
  const wrong = signed(HS256, { ...GOOD, nbf: "now" });
  expect(await verify(wrong, { early: "expired" })).toBe("invalid");
});

test.each<[string, string]>([
  ["no text", ""],
  ["no dots", "garbage"],
  ["only dots", ".."],
  ["the signature of another secret", signed(HS256, GOOD, { secret: "other" })],
  ["no signature", `${base64({ alg: "none" })}.${base64(GOOD)}.`],
  ["the right signature under the name of no algorithm", signed({ alg: "none" }, GOOD)],
  ["the right signature under the name of another algorithm", signed({ alg: "HS512" }, GOOD)],
  ["another algorithm", signed({ alg: "HS512" }, GOOD, { hash: "sha512" })],
  ["a signature that is cut", signed(HS256, GOOD).slice(0, -4)],
  ["a signature with more behind it", `${signed(HS256, GOOD)}AAAA`],
  ["a signature with padding", `${signed(HS256, GOOD)}=`],
  ["a signature with a character that decoders overlook", `${signed(HS256, GOOD)}!`],
  ["a signature whose last character has loose bits", loosened(signed(HS256, GOOD))],
  ["a changed payload", signed(HS256, GOOD).replace(base64(GOOD), base64({ ...GOOD, uid: 2 }))],
  ["a signed header that is not JSON", signed("e30x", GOOD)],
  ["a signed payload that is not JSON", signed(HS256, "e30x")],
  ["a signed payload that is a list", signed(HS256, [1])],
  ["a signed payload that is not base64", signed(HS256, "%%%")],
  ["a signed text with too few parts", signed("a", "b").replace(".", "")],
  [
    "a token without end in time",
    signed(HS256, `${Buffer.from('{"iss":"house","exp":1e999}').toString("base64url")}`),
  ],
  ["a signed text with more parts", signed(HS256, `${base64(GOOD)}.${base64(GOOD)}`)],
  ["a demand that nobody here knows", signed({ ...HS256, crit: ["unknown"], unknown: 1 }, GOOD)],
])("%s is no token", async (_name, token) => {
  expect(await verify(token)).toBe("invalid");
});

test("clocks may differ by the leeway that is given, in both directions, and not by a second more", async () => {
  const day = 86_400;
  const late = signed(HS256, { ...GOOD, exp: at - day + 1 });
  const early = signed(HS256, { ...GOOD, nbf: at + day });
  expect([await verify(late), await verify(early)]).toEqual(["expired", "invalid"]);
  for (const token of [late, early])
    expect(await verify(token, { leewaySeconds: day })).toMatchObject({ uid: 1 });
  expect(await verify(late, { leewaySeconds: day - 1 })).toBe("expired");
  expect(await verify(early, { leewaySeconds: day - 1 })).toBe("invalid");
});

test("a token above the length is refused, one of exactly the length counts", async () => {
  const token = signed(HS256, GOOD);
  expect(await verify(token, { maxLength: token.length })).toEqual(GOOD as never);
  expect(await verify(token, { maxLength: token.length - 1 })).toBe("invalid");
});

test("nothing of a token is looked at before its signature is right", async () => {
  let asked = 0;
  const now = () => {
    asked++;
    return NOW;
  };
  expect(await verify(signed(HS256, GOOD, { secret: "other" }), { now })).toBe("invalid");
  expect(asked).toBe(0);
  expect(await verify(signed(HS256, GOOD), { now })).toEqual(GOOD as never);
  expect(asked).toBe(1);
});

test("an expired token of a stranger is invalid, not expired: the signature comes first", async () => {
  expect(await verify(signed(HS256, { ...GOOD, exp: 1 }, { secret: "other" }))).toBe("invalid");
});

describe("what is issued", () => {
  const issue = (lifetime: number, more = {}) => issueHs256({ uid: 1 }, lifetime, { ...rules, ...more });

  test("counts until its end and not a moment longer", async () => {
    const { token, expiresAt } = await issue(60);
    expect(expiresAt.getTime()).toBe(NOW + 60_000);
    expect(await verify(token)).toEqual({ uid: 1, iss: "house", exp: at + 60, iat: at });
    expect(await verify(token, { now: () => NOW + 59_999 })).toMatchObject({ uid: 1 });
    expect(await verify(token, { now: () => NOW + 60_000 })).toBe("expired");
  });

  test("is what another program would have signed, and is understood by one", async () => {
    const { token } = await issue(60);
    const other = await new SignJWT({ uid: 1, iss: "house", exp: at + 60, iat: at })
      .setProtectedHeader(HS256)
      .sign(rules.key);
    expect(token).toBe(other);
  });

  test("says the wall clock's time where no other clock is given", async () => {
    const { expiresAt } = await issueHs256({}, 60, { key: rules.key, issuer: "house" });
    expect(Math.abs(expiresAt.getTime() - Date.now() - 60_000)).toBeLessThan(2_000);
  });
});

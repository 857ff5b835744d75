// Login, tokens and the shape of every answer, vectors W01 to W04 first (topics contract, sections 2 and 3).
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type OpenTopics, openTopics } from "../../../test/support/open-topics.ts";
import { call, login, signedToken, userWith } from "../../../test/support/topics-client.ts";
import { hashPassword } from "../passwords.ts";
import { addUser, changeUser } from "../store/users.ts";

const VALID =
  "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1aWQiOjEsInN1YiI6ImFkbWluIiwicm9sZSI6ImFkbWluIiwiaXNzIjoiZ29fY21kYiIsImV4cCI6MTg5MzQ1NjAwMCwiaWF0IjoxNzAwMDAwMDAwfQ.hEMeIgBlIKvNxIokkSrOJDL3zEdwGON3IDpegYm7N-w";
const EXPIRED =
  "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1aWQiOjEsInN1YiI6ImFkbWluIiwicm9sZSI6ImFkbWluIiwiaXNzIjoiZ29fY21kYiIsImV4cCI6MTcwMDAwMzYwMCwiaWF0IjoxNzAwMDAwMDAwfQ.Rb5rsC5WsZeVkIitddNZ6UWCPr8jtwcyH3wIfB7KSok";

// A check of a password is work, and other tests may have the machine.
setDefaultTimeout(30_000);

let opened: OpenTopics;
beforeAll(async () => {
  opened = await openTopics({ topicsAllowedOrigins: ["https://front.example"] });
});
afterAll(() => opened.close());

const post = (body?: unknown) => call(opened.url, "POST", "/auth/login", body);
const me = (authorization?: string) =>
  call(opened.url, "GET", "/me", undefined, authorization === undefined ? {} : { authorization });

test("W01: a login gives a token for 1440 minutes, and who it is for", async () => {
  const { status, body } = await post({ username: "admin", password: "admin123" });
  expect(status).toBe(200);
  expect(body).toEqual({
    code: 0,
    message: "success",
    data: {
      token: expect.any(String),
      expireAt: expect.any(String),
      user: { id: 1, username: "admin", role: "admin" },
    },
  });
  const ahead = Date.parse(body.data.expireAt) - Date.now();
  expect(Math.abs(ahead - 1440 * 60_000)).toBeLessThan(5_000);
  const { token } = body.data;
  const [, payload = ""] = token.split(".");
  expect(JSON.parse(atob(payload))).toMatchObject({ uid: 1, sub: "admin", role: "admin", iss: "go_cmdb" });
});

test("W02: a wrong password and an unknown user are told the same", async () => {
  const wrong = await post({ username: "admin", password: "wrong" });
  expect([wrong.status, wrong.body]).toEqual([
    401,
    { code: 1002, message: "invalid credentials", data: null },
  ]);
  const unknown = await post({ username: "nobody", password: "admin123" });
  expect([unknown.status, unknown.body]).toEqual([wrong.status, wrong.body]);
});

test.each<[string, unknown]>([
  ["no body", undefined],
  ["what is not JSON", "{"],
  ["a list", []],
  ["no password", { username: "admin" }],
  ["an empty name", { username: "", password: "x" }],
  ["a number", { username: "admin", password: 1 }],
])("a login with %s is 400 / 2002", async (_name, body) => {
  const answer = await post(body);
  expect([answer.status, answer.body.code, answer.body.data]).toEqual([400, 2002, null]);
});

test("an inactive user is only told so with the right password", async () => {
  const { database } = opened;
  await addUser(database, { username: "gone", passwordHash: await hashPassword("secret"), role: "viewer" });
  await changeUser(database, "gone", { status: "inactive" });
  const right = await post({ username: "gone", password: "secret" });
  expect([right.status, right.body.code]).toEqual([403, 1004]);
  expect((await post({ username: "gone", password: "wrong" })).body.code).toBe(1002);
});

test("who fails to log in twenty times in a minute waits, also with the right password", async () => {
  const guarded = await openTopics();
  const attempt = (password: string) =>
    call(guarded.url, "POST", "/auth/login", { username: "admin", password });
  for (let round = 0; round < 19; round++) expect((await attempt("guess")).status).toBe(401);
  expect((await attempt("admin123")).status).toBe(200);
  expect((await attempt("guess")).status).toBe(401);
  const { status, body } = await attempt("admin123");
  expect([status, body.code, body.data]).toEqual([429, 2003, null]);
  await guarded.close();
  const open = await openTopics({ rateLimits: false });
  for (let round = 0; round < 21; round++) {
    await call(open.url, "POST", "/auth/login", { username: "admin", password: "guess" });
  }
  expect((await login(open.url)).token).toBeString();
  await open.close();
});

test("guesses sent all at once count as guesses sent one by one", async () => {
  const guarded = await openTopics();
  const guesses = await Promise.all(
    Array.from({ length: 30 }, () =>
      call(guarded.url, "POST", "/auth/login", { username: "admin", password: "guess" }),
    ),
  );
  expect(guesses.filter(({ status }) => status === 401)).toHaveLength(20);
  expect(guesses.filter(({ status }) => status === 429)).toHaveLength(10);
  await guarded.close();
});

test("a whole IPv6 /64 is one address to the limit, and another network is not", async () => {
  const guarded = await openTopics({ trustedProxies: ["127.0.0.0/8"] });
  const from = async (address: string, password: string) => {
    const answer = await fetch(`${guarded.url}/api/v1/auth/login`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-forwarded-for": address },
      body: JSON.stringify({ username: "admin", password }),
    });
    await answer.body?.cancel();
    return answer.status;
  };
  const guesses = await Promise.all(
    Array.from({ length: 40 }, (_, n) => from(`2001:db8:1:2:${n.toString(16)}::${n}`, "guess")),
  );
  expect(guesses.filter((status) => status === 401)).toHaveLength(20);
  expect(await from("2001:db8:1:2:ffff::1", "admin123")).toBe(429);
  expect(await from("2001:db8:1:3::1", "admin123")).toBe(200);
  expect(guarded.context.bounds.count("anonymous-work")).toBe(21);
  await guarded.close();
});

test("an address that many share has more room for the mistakes of all of them", async () => {
  const guarded = await openTopics();
  const attempt = (password: string) =>
    call(guarded.url, "POST", "/auth/login", { username: "admin", password });
  for (const account of ["a", "b"]) guarded.context.addresses.authenticated("127.0.0.1", account);
  const guesses = await Promise.all(Array.from({ length: 60 }, () => attempt("guess")));
  expect(new Set(guesses.map(({ status }) => status))).toEqual(new Set([401]));
  expect((await attempt("admin123")).status).toBe(200);
  await guarded.close();
});

test.each(["\ud800", "a\udfff"])("a name or password that is not well-formed is 400 (%j)", async (text) => {
  for (const body of [
    { username: text, password: "x" },
    { username: "admin", password: text },
  ])
    expect((await post(body)).body.code).toBe(2002);
});

test("a hash with the prefix of older programs is understood", async () => {
  const passwordHash = (await hashPassword("old-secret")).replace("$2b$", "$2a$");
  await addUser(opened.database, { username: "old", passwordHash, role: "admin" });
  expect((await post({ username: "old", password: "old-secret" })).body.code).toBe(0);
});

test.each<[string, string | undefined, number]>([
  ["no header", undefined, 1001],
  ["another scheme", "Basic YTpi", 1001],
  ["bearer in lower case", `bearer ${VALID}`, 1001],
  ["no token", "Bearer ", 1001],
  ["garbage", "Bearer garbage", 1002],
  ["a token that is too long", `Bearer ${VALID}${"A".repeat(5_000)}`, 1002],
  ["W04 an expired token", `Bearer ${EXPIRED}`, 1003],
])("W03: %s is 401", async (_name, authorization, code) => {
  const { status, body } = await me(authorization);
  expect([status, body.code, body.data]).toEqual([401, code, null]);
});

test("W03 and W04: a valid token is enough, also one of another program with the same secret", async () => {
  const { status, body } = await me(`Bearer ${VALID}`);
  expect([status, body.data]).toEqual([200, { uid: 1, username: "admin", role: "admin" }]);
});

test.each<[string, Record<string, unknown>, string | undefined]>([
  ["no expiry", {}, undefined],
  ["another issuer", { exp: 4_000_000_000 }, "somebody"],
  ["a user id that is text", { exp: 4_000_000_000, uid: "1" }, undefined],
  ["no role", { exp: 4_000_000_000, role: undefined }, undefined],
])("a signed token with %s is 1002", async (_name, claims, issuer) => {
  const { body } = await me(`Bearer ${await signedToken(claims, issuer)}`);
  expect(body.code).toBe(1002);
});

test("ping answers everybody; unknown routes and methods are 404 / 3001 in the envelope", async () => {
  expect((await call(opened.url, "GET", "/ping")).body.data).toEqual({ pong: true });
  for (const [method, path] of [
    ["GET", "/nothing"],
    ["GET", ""],
    ["PUT", "/websites/1"],
    ["POST", "/ping"],
    ["GET", "/../v1/websites/"],
  ] as const) {
    const { status, body } = await call(opened.url, method, path);
    expect([status, body.code, body.data]).toEqual([404, 3001, null]);
  }
});

test("a body above 1 MiB is 400 / 2002, and nobody's body is read before the token", async () => {
  const admin = await login(opened.url);
  const large = JSON.stringify({ ids: [1], padding: "x".repeat(1024 * 1024) });
  const answer = await admin.post("/websites/delete", large);
  expect([answer.status, answer.body.code, answer.body.message]).toEqual([
    400,
    2002,
    "body: more than 1 MiB",
  ]);
  expect((await userWith(opened.url, "garbage").post("/websites/delete", large)).body.code).toBe(1002);
});

test("a body nested deeper than 256 levels is 400 / 2002, with and without a token", async () => {
  const admin = await login(opened.url);
  const deep = `{"ids":[1],"more":${"[".repeat(256)}${"]".repeat(256)}}`;
  const message = "body: nested deeper than 256 levels";
  const answer = await admin.post("/websites/delete", deep);
  expect([answer.status, answer.body]).toEqual([400, { code: 2002, message, data: null }]);
  const anonymous = await post(deep as never);
  expect([anonymous.status, anonymous.body.message]).toEqual([400, message]);
});

test("pages of the allowed origins may read answers and send the token, others may not", async () => {
  const ask = (origin: string, method = "GET") =>
    fetch(`${opened.url}/api/v1/ping`, {
      method,
      headers: {
        origin,
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization",
      },
    });
  const allowed = await ask("https://front.example", "OPTIONS");
  expect([allowed.status, allowed.headers.get("access-control-allow-origin")]).toEqual([
    204,
    "https://front.example",
  ]);
  expect(allowed.headers.get("access-control-allow-headers")).toContain("authorization");
  expect(allowed.headers.get("access-control-allow-credentials")).toBeNull();
  expect((await ask("https://front.example")).headers.get("access-control-allow-origin")).toBe(
    "https://front.example",
  );
  expect((await ask("https://other.example")).headers.get("access-control-allow-origin")).toBeNull();
});

test("a database that refuses is 500 / 5002, without a word about why", async () => {
  const broken = await openTopics();
  const admin = await login(broken.url);
  await broken.database.writer.run((db) => db.run("ALTER TABLE websites RENAME TO elsewhere"));
  const { status, body } = await admin.get("/websites");
  expect([status, body]).toEqual([500, { code: 5002, message: "database error", data: null }]);
  const heard = await admin.connect();
  expect(await heard.ask("request:websites")).toEqual({ ok: false, code: 5002, message: "database error" });
  expect(await heard.until("error")).toEqual([{ topic: "websites", code: 5002, message: "database error" }]);
  expect(heard.socket.connected).toBe(true);
  heard.close();
  await broken.close();
});

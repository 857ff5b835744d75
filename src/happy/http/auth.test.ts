// Sign-in and pairing as HTTP contract 4 has them, its vectors (21), and what this project decided on top: replays, and the life of
// a pairing request. Time passes by moving timestamps in the database.
import { Database as Sqlite } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import nacl from "tweetnacl";
import { type Account, accountWith, call, newAccount } from "../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";
import { newKeys, signed } from "../../../test/support/sign-in.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer({ rateLimits: false });
});
afterAll(() => server.stop());

const post = (path: string, body: unknown, token?: string) => call(server.url, token, "POST", path, body);
const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const MINUTE = 60_000;

/** Moves time on for rows that the condition names. */
function sql<T = unknown>(text: string, ...values: (string | number)[]): T[] {
  const sqlite = new Sqlite(join(server.dataDir, "happy.db"), { readwrite: true });
  try {
    sqlite.run("PRAGMA busy_timeout = 5000");
    return sqlite.query<T, (string | number)[]>(text).all(...values);
  } finally {
    sqlite.close();
  }
}

describe("POST /v1/auth", () => {
  const VECTOR = {
    publicKey: "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=",
    challenge: "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
    signature: "DhvQbGq5jvNUcBoAxVcV0bZakV2Ji59o6OSLA3w0XFZ1okP+6uPnxN7KLabTQIVO3FuGZVRh502dZeAjM1IfDg==",
  };

  test("the contract's vector signs in, with and without padding, as the same account", async () => {
    const first = await post("/v1/auth", VECTOR);
    expect(first.status).toBe(200);
    expect(Object.keys(first.body)).toEqual(["success", "token"]);
    const bare = Object.fromEntries(
      Object.entries(VECTOR).map(([name, text]) => [name, text.replace(/=+$/, "")]),
    );
    const second = await post("/v1/auth", bare);
    expect(accountWith(server.url, second.body.token).id).toBe(accountWith(server.url, first.body.token).id);
    const rows = sql(
      "SELECT public_key FROM accounts WHERE id = ?",
      accountWith(server.url, first.body.token).id,
    );
    expect(rows).toEqual([
      { public_key: Buffer.from(VECTOR.publicKey, "base64").toString("hex").toUpperCase() },
    ]);
  });

  const firstByteChanged = Buffer.from(VECTOR.signature, "base64");
  firstByteChanged[0] = (firstByteChanged[0] ?? 0) ^ 1;
  const short = b64(new Uint8Array(31));
  const cases: [string, object, number, object][] = [
    [
      "a changed signature",
      { ...VECTOR, signature: b64(firstByteChanged) },
      401,
      { error: "Invalid signature" },
    ],
    ["another challenge", { ...VECTOR, challenge: "AAAA" }, 401, { error: "Invalid signature" }],
    ["a short key", { ...VECTOR, publicKey: short }, 400, { error: "Invalid public key" }],
    ["a short signature", { ...VECTOR, signature: short }, 400, { error: "Invalid signature encoding" }],
    ["base64url", { ...VECTOR, challenge: "-_-_" }, 400, { error: "Invalid challenge" }],
    [
      "a key that is no base64",
      { ...VECTOR, publicKey: "not base64!!" },
      400,
      { error: "Invalid public key" },
    ],
  ];
  test.each(cases)("%s is refused", async (_, body, status, answer) => {
    expect(await post("/v1/auth", body)).toMatchObject({ status, body: answer });
  });

  test("a missing field is named, a number is not text", async () => {
    const missing = await post("/v1/auth", { publicKey: VECTOR.publicKey, challenge: 1 });
    expect(missing.status).toBe(400);
    expect(missing.body.error).toBe("Error");
    expect(missing.body.message).toContain("body/challenge Invalid input: expected string, received number");
    expect(missing.body.message).toContain(
      "body/signature Invalid input: expected string, received undefined",
    );
  });

  test("an empty challenge is accepted", async () => {
    expect((await post("/v1/auth", signed(newKeys(), new Uint8Array()))).status).toBe(200);
  });

  test("a lost reply is retried within five minutes; later the same pair is a replay, a new challenge is not", async () => {
    const keys = newKeys();
    const once = signed(keys);
    expect((await post("/v1/auth", once)).status).toBe(200);
    expect((await post("/v1/auth", once)).status).toBe(200);
    sql("UPDATE used_challenges SET first_used_at = first_used_at - ?", 5 * MINUTE + 1_000);
    expect(await post("/v1/auth", once)).toMatchObject({ status: 401, body: { error: "Invalid signature" } });
    expect((await post("/v1/auth", signed(keys))).status).toBe(200);
  });

  test("a challenge is remembered as a hash, of this key alone", async () => {
    const challenge = nacl.randomBytes(32);
    expect((await post("/v1/auth", signed(newKeys(), challenge))).status).toBe(200);
    sql("UPDATE used_challenges SET first_used_at = first_used_at - ?", 5 * MINUTE + 1_000);
    expect((await post("/v1/auth", signed(newKeys(), challenge))).status).toBe(200);
    const hashes = sql<{ n: number }>("SELECT max(length(hash)) AS n FROM used_challenges");
    expect(hashes).toEqual([{ n: 32 }]);
  });
});

const FLOWS = [
  {
    kind: "terminal",
    request: "/v1/auth/request",
    response: "/v1/auth/response",
    table: "terminal_auth_requests",
  },
  {
    kind: "account",
    request: "/v1/auth/account/request",
    response: "/v1/auth/account/response",
    table: "account_auth_requests",
  },
] as const;

const newBoxKey = () => b64(nacl.box.keyPair().publicKey);
const hexOf = (key: string) => Buffer.from(key, "base64").toString("hex").toUpperCase();
const claimsOf = (token: string) => JSON.parse(atob(token.split(".")[1] ?? ""));

describe.each(FLOWS)("pairing by $request", ({ kind, request, response, table }) => {
  let account: Account;
  beforeAll(async () => {
    account = await newAccount(server.url);
  });
  const approve = (publicKey: string, text = "c2VhbGVk", who = account) =>
    who.call("POST", response, { publicKey, response: text });

  test("waits, is approved, and is delivered with a token of the approving account", async () => {
    const publicKey = newBoxKey();
    expect(await post(request, { publicKey })).toMatchObject({ status: 200, body: { state: "requested" } });
    expect(await approve(publicKey)).toMatchObject({ status: 200, body: { success: true } });
    const delivered = await post(request, { publicKey });
    expect(Object.keys(delivered.body)).toEqual(["state", "token", "response"]);
    expect(delivered.body).toMatchObject({ state: "authorized", response: "c2VhbGVk" });
    const claims = claimsOf(delivered.body.token);
    expect(claims.sub).toBe(account.id);
    expect("session" in claims).toBe(kind === "terminal");
    const paired = accountWith(server.url, delivered.body.token);
    expect((await paired.call("GET", "/v1/account/profile")).body.id).toBe(account.id);
  });

  test("the first approval wins, also against another account's; a later one still answers success", async () => {
    const publicKey = newBoxKey();
    const other = await newAccount(server.url);
    await post(request, { publicKey });
    expect((await approve(publicKey, "Zmlyc3Q=")).status).toBe(200);
    expect(await approve(publicKey, "c2Vjb25k", other)).toMatchObject({
      status: 200,
      body: { success: true },
    });
    const { body } = await post(request, { publicKey });
    expect(body.response).toBe("Zmlyc3Q=");
    expect(claimsOf(body.token).sub).toBe(account.id);
  });

  test("an approval with an empty text counts as none", async () => {
    const publicKey = newBoxKey();
    await post(request, { publicKey });
    expect((await approve(publicKey, "")).status).toBe(200);
    expect((await post(request, { publicKey })).body).toEqual({ state: "requested" });
    await approve(publicKey, "cmVhbA==");
    expect((await post(request, { publicKey })).body.response).toBe("cmVhbA==");
  });

  test("every poll of the grace gets the same token; then the request is consumed", async () => {
    const publicKey = newBoxKey();
    await post(request, { publicKey });
    await approve(publicKey);
    const first = await post(request, { publicKey });
    const again = await Promise.all(Array.from({ length: 5 }, () => post(request, { publicKey })));
    for (const { body } of again) expect(body.token).toBe(first.body.token);
    sql(
      `UPDATE ${table} SET first_delivered_at = first_delivered_at - ? WHERE public_key = ?`,
      4 * MINUTE,
      hexOf(publicKey),
    );
    expect((await post(request, { publicKey })).body.token).toBe(first.body.token);
    sql(
      `UPDATE ${table} SET first_delivered_at = first_delivered_at - ? WHERE public_key = ?`,
      MINUTE + 1_000,
      hexOf(publicKey),
    );
    expect((await post(request, { publicKey })).body).toEqual({ state: "requested" });
  });

  test("an approval that is fetched late is still there", async () => {
    const publicKey = newBoxKey();
    await post(request, { publicKey });
    await approve(publicKey);
    sql(
      `UPDATE ${table} SET created_at = created_at - ? WHERE public_key = ?`,
      60 * MINUTE,
      hexOf(publicKey),
    );
    expect((await post(request, { publicKey })).body.state).toBe("authorized");
  });

  test("an approval that nobody fetched within a day is gone", async () => {
    const publicKey = newBoxKey();
    await post(request, { publicKey });
    await approve(publicKey);
    sql(
      `UPDATE ${table} SET updated_at = updated_at - ? WHERE public_key = ?`,
      24 * 60 * MINUTE + 1_000,
      hexOf(publicKey),
    );
    expect((await post(request, { publicKey })).body).toEqual({ state: "requested" });
  });

  test("an unapproved request dies after 15 minutes, and a poll makes a new one", async () => {
    const publicKey = newBoxKey();
    await post(request, { publicKey });
    sql(
      `UPDATE ${table} SET created_at = created_at - ? WHERE public_key = ?`,
      14 * MINUTE,
      hexOf(publicKey),
    );
    // An empty approval is none, and keeps nothing alive.
    expect((await approve(publicKey, "")).status).toBe(200);
    sql(
      `UPDATE ${table} SET created_at = created_at - ? WHERE public_key = ?`,
      MINUTE + 1_000,
      hexOf(publicKey),
    );
    expect((await approve(publicKey)).status).toBe(404);
    const abandoned = newBoxKey();
    await post(request, { publicKey: abandoned });
    sql(
      `UPDATE ${table} SET created_at = created_at - ? WHERE public_key = ?`,
      15 * MINUTE + 1_000,
      hexOf(abandoned),
    );
    expect(await approve(abandoned)).toMatchObject({ status: 404, body: { error: "Request not found" } });
    expect((await post(request, { publicKey: abandoned })).body).toEqual({ state: "requested" });
    expect((await approve(abandoned)).status).toBe(200);
  });

  test("keys of another length or alphabet are refused as the contract says", async () => {
    const bad = { error: "Invalid public key" };
    const short = b64(new Uint8Array(31));
    expect(await post(request, { publicKey: short })).toMatchObject({ status: 401, body: bad });
    expect(await approve(short)).toMatchObject({ status: 401, body: bad });
    expect(await post(request, { publicKey: "-_-_" })).toMatchObject({ status: 400, body: bad });
    expect(await approve("-_-_")).toMatchObject({ status: 400, body: bad });
  });

  test("approving needs a token, and the body is looked at first", async () => {
    const body = { publicKey: newBoxKey(), response: "x" };
    expect(await post(response, body)).toMatchObject({
      status: 401,
      body: { error: "Missing authorization header" },
    });
    expect((await post(response, {})).status).toBe(400);
    expect(await approve(newBoxKey())).toMatchObject({ status: 404, body: { error: "Request not found" } });
  });
});

describe("GET /v1/auth/request/status", () => {
  const status = (publicKey: string) =>
    call(server.url, undefined, "GET", `/v1/auth/request/status?publicKey=${encodeURIComponent(publicKey)}`);

  test("tells supportsV2 of the first request, and only while pending", async () => {
    const account = await newAccount(server.url);
    const publicKey = newBoxKey();
    expect((await status(publicKey)).body).toEqual({ status: "not_found", supportsV2: false });
    await post("/v1/auth/request", { publicKey, supportsV2: true });
    await post("/v1/auth/request", { publicKey, supportsV2: false });
    expect((await status(publicKey)).body).toEqual({ status: "pending", supportsV2: true });
    await account.call("POST", "/v1/auth/response", { publicKey, response: "x" });
    expect((await status(publicKey)).body).toEqual({ status: "authorized", supportsV2: false });
  });

  test("a request that died is not found, though nobody polled since", async () => {
    const publicKey = newBoxKey();
    await post("/v1/auth/request", { publicKey, supportsV2: null });
    sql(
      "UPDATE terminal_auth_requests SET created_at = created_at - ? WHERE public_key = ?",
      15 * MINUTE + 1_000,
      hexOf(publicKey),
    );
    expect((await status(publicKey)).body).toEqual({ status: "not_found", supportsV2: false });
  });

  test("a key of another length is not found, one that is no base64 is refused, none is a validation error", async () => {
    expect(await status("AAEC")).toMatchObject({
      status: 200,
      body: { status: "not_found", supportsV2: false },
    });
    expect((await status("-_-_")).status).toBe(400);
    const missing = await call(server.url, undefined, "GET", "/v1/auth/request/status");
    expect(missing).toMatchObject({ status: 400, body: { error: "Error" } });
  });
});

// Vendor tokens: kept sealed, one a vendor, read back by their owner only, and in the original's own format.
import { Database as Sqlite } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { accountWith, newAccount } from "../../../test/support/happy-client.ts";
import { TEST_SECRET, type TestServer, testServer } from "../../../test/support/server.ts";
import { keyAt, open } from "../auth/key-tree.ts";
import { serverKeys } from "../auth/server-keys.ts";

let server: TestServer;
let database: Sqlite;
beforeAll(async () => {
  server = await testServer({ logLevel: "silent" });
  database = new Sqlite(join(server.dataDir, "happy.db"), { readwrite: true, strict: true });
  database.run("PRAGMA busy_timeout = 5000");
});
afterAll(async () => {
  database.close();
  await server.stop();
});

const SECRET = '{"oauth":{"access":"sk-very-secret-ü"}}';

test("a token is registered, replaced, read, listed and deleted, and nobody is told", async () => {
  const [owner, other] = [await newAccount(server.url), await newAccount(server.url)];
  const phone = await owner.connect();
  const token = async (vendor: string) => (await owner.call("GET", `/v1/connect/${vendor}/token`)).body;
  expect(await token("openai")).toEqual({ token: null });
  for (const text of ["first", SECRET]) {
    const answer = await owner.call("POST", "/v1/connect/openai/register", { token: text });
    expect([answer.status, answer.body]).toEqual([200, { success: true }]);
    expect(await token("openai")).toEqual({ token: text });
  }
  await owner.call("POST", "/v1/connect/gemini/register", { token: "" });
  expect(await token("gemini")).toEqual({ token: "" });
  expect((await owner.call("GET", "/v1/connect/tokens")).body.tokens).toEqual([
    { vendor: "gemini", token: "" },
    { vendor: "openai", token: SECRET },
  ]);
  expect((await owner.call("GET", "/v1/connect")).body).toEqual({
    github: { connected: false, login: null },
    vendors: ["gemini", "openai"],
  });
  expect((await owner.call("GET", "/v1/account/profile")).body.connectedServices).toEqual([
    "openai",
    "gemini",
  ]);
  expect((await other.call("GET", "/v1/connect/tokens")).body).toEqual({ tokens: [] });
  for (let time = 0; time < 2; time++) {
    const answer = await owner.call("DELETE", "/v1/connect/openai");
    expect([answer.status, answer.body]).toEqual([200, { success: true }]);
  }
  expect(await token("openai")).toEqual({ token: null });
  await phone.settled();
  expect(phone.heard).toEqual([]);
  phone.close();
});

test("at rest there is only what the original could open, and no plain text", async () => {
  const owner = await newAccount(server.url);
  await owner.call("POST", "/v1/connect/anthropic/register", { token: SECRET });
  const { token } = database
    .query(
      "SELECT t.token FROM service_account_tokens t JOIN accounts a ON a.pk = t.account_pk WHERE a.id = $id",
    )
    .get({ id: owner.id }) as { token: Uint8Array };
  const path = ["user", owner.id, "vendors", "anthropic", "token"];
  expect(open(keyAt(await serverKeys(TEST_SECRET).treeMaster(), path), token)).toBe(SECRET);
  for (const name of ["happy.db", "happy.db-wal"]) {
    expect(readFileSync(join(server.dataDir, name)).includes("sk-very-secret")).toBe(false);
  }
});

test("a token that was sealed with another master secret counts as none", async () => {
  const owner = await newAccount(server.url);
  await owner.call("POST", "/v1/connect/openai/register", { token: "lost" });
  await owner.call("POST", "/v1/connect/gemini/register", { token: "kept" });
  database
    .query(
      `UPDATE service_account_tokens SET token = zeroblob(60) WHERE vendor = 'openai'
       AND account_pk = (SELECT pk FROM accounts WHERE id = $id)`,
    )
    .run({ id: owner.id });
  expect((await owner.call("GET", "/v1/connect/openai/token")).body).toEqual({ token: null });
  expect((await owner.call("GET", "/v1/connect/tokens")).body).toEqual({
    tokens: [{ vendor: "gemini", token: "kept" }],
  });
});

test("other vendors and other bodies are refused, and a token is needed", async () => {
  const owner = await newAccount(server.url);
  const message = 'params/vendor Invalid option: expected one of "openai"|"anthropic"|"gemini"';
  for (const [method, path] of [
    ["POST", "/v1/connect/mistral/register"],
    ["GET", "/v1/connect/github/token"],
    ["DELETE", "/v1/connect/mistral"],
  ] as const) {
    const answer = await owner.call(method, path, method === "POST" ? { token: "t" } : undefined);
    expect([path, answer.status, answer.body]).toEqual([
      path,
      400,
      { error: "Error", message, statusCode: 400 },
    ]);
  }
  const answer = await owner.call("POST", "/v1/connect/openai/register", { token: null });
  expect([answer.status, answer.body.message]).toEqual([
    400,
    "body/token Invalid input: expected string, received null",
  ]);
  for (const path of ["/v1/connect", "/v1/connect/tokens", "/v1/connect/openai/token"]) {
    expect([path, (await fetch(`${server.url}${path}`)).status]).toEqual([path, 401]);
  }
  const nobody = accountWith(server.url, await serverKeys(TEST_SECRET).bearer.issue({ account: "cnobody" }));
  expect((await nobody.call("GET", "/v1/connect/openai/token")).body).toEqual({ token: null });
  expect((await nobody.call("DELETE", "/v1/connect/openai")).body).toEqual({ success: true });
  expect((await nobody.call("POST", "/v1/connect/openai/register", { token: "t" })).status).toBe(500);
});

// A body in chunks that ends without a byte is none, on every route of every protocol: tunnels send DELETE and POST without a body so,
// with whatever type their client named or none.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Account, newAccount } from "../../../../test/support/happy-client.ts";
import { exchange } from "../../../../test/support/raw-http.ts";
import { type TestServer, testServer } from "../../../../test/support/server.ts";
import { happyEndpoints } from "../index.ts";

setDefaultTimeout(30_000);
let server: TestServer;
let account: Account;
let topicsToken: string;
beforeAll(async () => {
  server = await testServer({
    rateLimits: false,
    topicsAdminUsername: "admin",
    topicsAdminPassword: "admin123",
    topicsEnabled: true,
    happyGithubAppId: "1",
    happyGithubClientId: "c",
    happyGithubClientSecret: "s",
    happyGithubPrivateKey: "k",
    happyGithubRedirectUri: "https://roost.example/back",
    happyGithubWebhookSecret: "w",
  });
  account = await newAccount(server.url);
  const login = await account.call("POST", "/api/v1/auth/login", { username: "admin", password: "admin123" });
  topicsToken = login.body.data.token;
});
afterAll(() => server.stop());

const send = async (line: string, headers: string, body = "") => {
  const { status, text } = await exchange(server.url, `${line} HTTP/1.1\r\nHost: x\r\n${headers}`, body);
  return { status, text };
};
const NO_BYTES = "0\r\n\r\n";
const inChunks = (line: string, headers: string) =>
  send(line, `${headers}Transfer-Encoding: chunked\r\n`, NO_BYTES);
const TYPES = [
  "",
  "Content-Type: image/png\r\n",
  "Content-Type: text/plain\r\n",
  "Content-Type: application/octet-stream\r\n",
];
const JSON_TYPE = "Content-Type: application/json\r\n";

/** Every answer but those that name a moment or a random thing. */
const lines = happyEndpoints
  .filter(({ method }) => method !== "GET")
  .map(({ method, path }) => `${method} ${path.replace(/:vendor\b/, "openai").replace(/:\w+/g, "x")}`);

describe.each(lines)("%s", (line) => {
  test("answers as to no body", async () => {
    const bearer = `Authorization: Bearer ${account.token}\r\n`;
    for (const token of [bearer, ""]) {
      const expected = await send(line, `${token}Content-Length: 0\r\n`);
      for (const type of TYPES)
        expect([type, await inChunks(line, `${token}${type}`)]).toEqual([type, expected]);
      const json = await send(line, `${token}${JSON_TYPE}Content-Length: 0\r\n`);
      expect(await inChunks(line, `${token}${JSON_TYPE}`)).toEqual(json);
      expect(json.status).not.toBe(415);
    }
  });
});

test("the requests of the app: archive, and deletions", async () => {
  const bearer = `Authorization: Bearer ${account.token}\r\n`;
  const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "bWV0YQ==" });
  const path = `/v1/sessions/${opened.body.session.id}`;
  await account.call("POST", "/v1/push-tokens", { token: "ExponentPushToken[a]" });
  for (const line of [
    `POST ${path}/archive`,
    `DELETE /v1/push-tokens/ExponentPushToken%5Ba%5D`,
    `DELETE ${path}`,
  ])
    expect([line, (await inChunks(line, bearer)).status]).toEqual([line, 200]);
});

test("a byte more, and the type counts", async () => {
  const bearer = `Authorization: Bearer ${account.token}\r\nTransfer-Encoding: chunked\r\n`;
  for (const type of TYPES.slice(0, 2)) {
    const { status } = await send("POST /v1/sessions", `${bearer}${type}`, `1\r\nx\r\n${NO_BYTES}`);
    expect(status).toBe(415);
  }
});

test.each([
  ["POST /api/v1/auth/login", false],
  ["POST /api/v1/websites/delete", true],
  ["POST /api/v1/websites/delete", false],
  ["POST /api/v1/nope", true],
  ["POST /v1/updates/?EIO=4&transport=polling", false],
  ["DELETE /v1/updates/?EIO=4&transport=polling&sid=x", false],
  ["POST /socket.io/?EIO=4&transport=polling&sid=x", false],
  ["DELETE /v1/nope", false],
  ["POST /ready", false],
])("%s answers as to no body (with a token: %p)", async (line, isKnown) => {
  const token = isKnown ? `Authorization: Bearer ${topicsToken}\r\n` : "";
  const expected = await send(line, `${token}Content-Length: 0\r\n`);
  for (const type of [...TYPES, JSON_TYPE])
    expect([type, await inChunks(line, `${token}${type}`)]).toEqual([type, expected]);
});

test("a polling body without a byte is the same in both forms", async () => {
  const open = await fetch(`${server.url}/v1/updates/?EIO=4&transport=polling`);
  const { sid } = JSON.parse((await open.text()).slice(1));
  const line = `POST /v1/updates/?EIO=4&transport=polling&sid=${sid}`;
  const { status } = await send(line, "Content-Length: 0\r\n");
  const again = await fetch(`${server.url}/v1/updates/?EIO=4&transport=polling`);
  const other = JSON.parse((await again.text()).slice(1)).sid;
  expect((await inChunks(line.replace(sid, other), "")).status).toBe(status);
});

// What every endpoint has in common (HTTP contract 1), seen from outside: paths, the order of checks, tokens, CORS,
// HEAD, and the answers that no endpoint gives itself.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type TestApp, testApp } from "../../../../test/support/happy-app.ts";
import { ask as askAt } from "../../../../test/support/raw-http.ts";
import { testServer } from "../../../../test/support/server.ts";

const LONGEST = "k".repeat(100);
const KEYS = ["", "a/b", "a b", "a+b", "%", "%2F", "ü", "search", LONGEST];

const JSON_TYPE = "Content-Type: application/json\r\n";

let app: TestApp;
let token: string;
beforeAll(async () => {
  app = await testApp();
  token = await app.signIn();
  const mutations = KEYS.map((key) => ({ key, value: "AA==", version: -1 }));
  const body = JSON.stringify({ mutations });
  expect((await app.ask("POST", "/v1/kv", bearer() + JSON_TYPE, body)).status).toBe(200);
});
afterAll(() => app[Symbol.asyncDispose]());

const bearer = () => `Authorization: Bearer ${token}\r\n`;
const ask = (method: string, target: string, headers = bearer(), body = "") =>
  app.ask(method, target, headers, body);

const unknownPath = (method: string, path: string) => ({ error: "Not found", path, method });

describe("paths", () => {
  test.each([
    ["/v1/kv/a%2Fb", "a/b"],
    ["/v1/kv/a%20b", "a b"],
    ["/v1/kv/a+b", "a+b"],
    ["/v1/kv/%25", "%"],
    ["/v1/kv/%252F", "%2F"],
    ["/v1/kv/%C3%BC", "ü"],
    ["/v1/kv/", ""],
    ["/v1/%6Bv/%61%2fb", "a/b"],
    [`/v1/kv/${LONGEST}`, LONGEST],
    [`/v1/kv/${"%6B".repeat(100)}`, LONGEST],
    ["/v1/kv//a%20b", "a b"],
    ["//v1///kv/a+b", "a+b"],
  ])("%s reads the key %j", async (target, key) => {
    const { status, json } = await ask("GET", target);
    expect([status, json]).toEqual([200, { key, value: "AA==", version: 0 }]);
  });

  test.each([
    ["GET", "/V1/kv"],
    ["GET", "/v1/Sessions"],
    ["GET", "/v1/sessions/"],
    ["POST", "/v1/sessions/"],
    ["GET", "/v1/kv/a/b"],
    ["GET", `/v1/kv/${LONGEST}k`],
    ["GET", `/v1/kv/${"%6B".repeat(101)}`],
    ["POST", `/v1/sessions/${LONGEST}k/archive`],
    ["GET", "/v1/updates"],
    ["GET", "/metrics"],
    ["GET", "/v1"],
    ["GET", "/v1/nope?x=1&y=%zz&x=%20"],
    ["GET", "//v1//nope?a=//b"],
    ["DELETE", "/v1/sessions"],
    ["PUT", "/v1/sessions"],
    ["PATCH", "/v1/sessions"],
    ["POST", "/v1/sessions/s"],
    ["GET", "/v1/auth"],
    ["POST", "/health"],
    ["POST", "/"],
    ["POST", "/v1/kv/bulk/"],
    ["POST", "/v1/voice/token"],
    ["POST", "/logs-combined-from-cli-and-mobile-for-simple-ai-debugging"],
  ])("%s %s is nobody's, and the answer repeats the target as it came", async (method, target) => {
    const { status, json, headers } = await ask(method, target);
    expect([status, json]).toEqual([404, unknownPath(method, target)]);
    expect(headers.get("access-control-allow-origin")).toBe("*");
  });

  test.each([
    ["GET", "/v1/user/search?query=", { users: [] }],
    ["GET", "/v1/user/nobody", { error: "User not found" }],
    ["GET", "/v1/connect/tokens", { tokens: [] }],
    ["DELETE", "/v1/connect/github", { success: true }],
    ["DELETE", "/v1/push-tokens/", { success: true }],
    ["DELETE", "/v1/push/unregister?token=t", { success: true }],
  ])("%s %s: a word of the path wins over a parameter", async (method, target, body) => {
    expect((await ask(method, target)).json).toEqual(body);
  });

  test.each(["/v1/kv/%zz", "/v1/kv/%E0%A4", "/%"])("%s cannot be decoded", async (target) => {
    const { status, json, headers } = await ask("GET", target);
    const message = `'${target}' is not a valid url component`;
    expect([status, json]).toEqual([
      400,
      { error: "Bad Request", code: "FST_ERR_BAD_URL", message, statusCode: 400 },
    ]);
    expect(headers.has("access-control-allow-origin")).toBe(false);
  });

  test.each(["prefix=a+b", "prefix=a%20b"])("in a query, %s means a space", async (query) => {
    const { json } = await ask("GET", `/v1/kv?${query}`);
    expect(json.items.map(({ key }: { key: string }) => key)).toEqual(["a b"]);
  });
});

describe("the order of checks", () => {
  const INVALID = { error: "Error", statusCode: 400 };

  test.each([
    ["the path comes before the body", "POST", "/v1/nope", "image/png", "x", 404],
    ["the body comes before its schema", "POST", "/v1/sessions", "application/json", "{", 400],
    ["an unsupported type comes before the token", "POST", "/v1/sessions", "image/png", "x", 415],
    ["the schema comes before the token", "POST", "/v1/sessions", "application/json", "{}", 400],
    [
      "the token comes before the handler",
      "POST",
      "/v1/push-tokens",
      "application/json",
      '{"token":"t"}',
      401,
    ],
    ["params come before the token", "DELETE", "/v1/connect/nobody", undefined, "", 400],
    ["a query comes before the token", "GET", "/v2/sessions?limit=0", undefined, "", 400],
  ])("%s", async (_name, method, target, type, body, status) => {
    const header = type === undefined ? "" : `Content-Type: ${type}\r\n`;
    expect((await ask(method, target, header, body)).status).toBe(status);
  });

  test("params, then body, then query; the first part that fails is told alone", async () => {
    const header = bearer() + JSON_TYPE;
    const params = await ask("POST", "/v1/connect/nobody/register", header, "{}");
    expect(params.json).toMatchObject(INVALID);
    expect(params.json.message).toMatch(/^params\/vendor Invalid option: /);
    expect(params.json.message).not.toContain("body");
    const body = await ask("DELETE", "/v1/push/unregister?token=a&token=b", header, '{"token":1}');
    expect(body.json.message).toBe("body/token Invalid input: expected string, received number");
    const query = await ask("DELETE", "/v1/push/unregister?token=a&token=b", header, "{}");
    expect(query.json.message).toBe("querystring/token Invalid input: expected string, received array");
  });
});

describe("tokens", () => {
  const MISSING = "Missing authorization header";
  const INVALID = "Invalid token";
  const parts = () => token.split(".");

  test.each([
    ["none", "", MISSING],
    ["Basic", "Authorization: Basic eDp5\r\n", MISSING],
    ["a small letter", "Authorization: bearer TOKEN\r\n", MISSING],
    ["an empty one", "Authorization: Bearer \r\n", MISSING],
    ["no space", "Authorization: BearerTOKEN\r\n", MISSING],
    ["two spaces", "Authorization: Bearer  TOKEN\r\n", INVALID],
    ["words", "Authorization: Bearer no.such.token\r\n", INVALID],
    ["letters outside ASCII", "Authorization: Bearer üüü\r\n", INVALID],
    ["a very long one", `Authorization: Bearer ${"x".repeat(8_000)}\r\n`, INVALID],
    ["without its signature", "Authorization: Bearer HALF\r\n", INVALID],
    ["of algorithm none", `Authorization: Bearer ${btoa('{"alg":"none"}')}.PAYLOAD.\r\n`, INVALID],
  ])("%s", async (_name, header, error) => {
    const filled = header
      .replace("TOKEN", token)
      .replace("HALF", parts().slice(0, 2).join("."))
      .replace("PAYLOAD", parts()[1] ?? "");
    const { status, json, headers } = await ask("GET", "/v1/sessions", filled);
    expect([status, json]).toEqual([401, { error }]);
    expect(headers.get("access-control-allow-origin")).toBe("*");
  });

  test("of another server's secret", async () => {
    await using other = await testApp({ masterSecret: "another secret" });
    const stranger = await other.signIn();
    const { json } = await ask("GET", "/v1/sessions", `Authorization: Bearer ${stranger}\r\n`);
    expect(json).toEqual({ error: INVALID });
  });
});

describe("CORS", () => {
  const ASKS = "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n";

  test.each(["/v1/sessions", "/v1/nope", "/", "/%zz"])("a preflight of %s is answered", async (target) => {
    const { status, headers, text } = await ask("OPTIONS", target, ASKS);
    expect([status, text]).toEqual([204, ""]);
    expect(headers.get("access-control-allow-origin")).toBe("*");
    expect(headers.get("access-control-allow-methods")).toBe("GET, POST, PUT, DELETE");
    expect(headers.get("access-control-allow-headers")).toBe(
      "*, authorization, content-type, x-happy-client",
    );
    expect(headers.has("access-control-allow-credentials")).toBe(false);
  });

  test.each(["", "Origin: https://a.example\r\n", "Access-Control-Request-Method: PUT\r\n"])(
    "OPTIONS with only %j is no preflight",
    async (given) => {
      const { status, headers, text } = await ask("OPTIONS", "/v1/sessions", given);
      expect([status, text]).toEqual([400, "Invalid Preflight Request"]);
      expect(headers.get("content-type")).toStartWith("text/plain");
    },
  );

  test("an answer without a page's origin carries the header too, whatever its status", async () => {
    for (const [method, target, status] of [
      ["GET", "/", 200],
      ["GET", "/v1/account/profile", 401],
      ["POST", "/v1/auth", 400],
      ["GET", "/files/public/none", 404],
    ] as const) {
      const { status: given, headers } = await ask(method, target, "");
      expect([target, given, headers.get("access-control-allow-origin")]).toEqual([target, status, "*"]);
    }
  });
});

describe("HEAD", () => {
  test.each([
    "/",
    "/health",
    "/v1/sessions",
    "/v1/kv/a%2Fb",
    "/v1/kv/missing",
    "/v1/user/search",
    "/v1/nope",
  ])("HEAD %s says what GET says, without a body", async (target) => {
    const get = await ask("GET", target);
    const head = await ask("HEAD", target);
    expect([head.status, head.text]).toEqual([get.status, ""]);
    expect(head.headers.get("content-type")).toBe(get.headers.get("content-type"));
    // The answer to an unknown path names the method.
    if (get.status !== 404 || target !== "/v1/nope")
      expect(head.headers.get("content-length")).toBe(get.headers.get("content-length"));
  });

  test("a path that only takes POST has no HEAD", async () => {
    expect((await ask("HEAD", "/v1/auth")).status).toBe(404);
  });
});

describe("what every answer is", () => {
  test("JSON with its charset; no cookie, no ETag, no compression", async () => {
    const { headers } = await ask("GET", "/v1/sessions", `${bearer()}Accept-Encoding: gzip, br\r\n`);
    expect(headers.get("content-type")).toBe("application/json; charset=utf-8");
    for (const name of ["set-cookie", "etag", "content-encoding", "cache-control"])
      expect([name, headers.has(name)]).toEqual([name, false]);
  });

  test("the banner, in plain text, also behind doubled slashes", async () => {
    for (const target of ["/", "//", "/?x=1"]) {
      const { status, headers, text } = await ask("GET", target, "Accept: text/plain\r\n");
      expect([status, text]).toEqual([200, "Welcome to Happy Server!"]);
      expect(headers.get("content-type")).toBe("text/plain; charset=utf-8");
    }
  });

  test("health", async () => {
    const { status, json } = await ask("GET", "/health", "");
    expect([status, json]).toEqual([
      200,
      { status: "ok", timestamp: expect.any(String), service: "happy-server" },
    ]);
    expect(new Date(json.timestamp).toISOString()).toBe(json.timestamp);
  });

  test("a header above the limit is 431 and harms nobody else", async () => {
    const server = await testServer();
    const { status } = await askAt(server.url, "GET", "/", `X-Long: ${"x".repeat(20_000)}\r\n`);
    expect(status).toBe(431);
    expect((await askAt(server.url, "GET", "/health")).status).toBe(200);
    await server.stop();
  });

  test("free text in X-Happy-Client is never a reason to refuse", async () => {
    // A header's bytes arrive as Latin-1.
    const bytes = Buffer.from("ü💡").toString("latin1");
    for (const client of ["ios/1.7.0", "", "x".repeat(5_000), bytes])
      expect((await ask("GET", "/v1/sessions", `${bearer()}X-Happy-Client: ${client}\r\n`)).status).toBe(200);
  });
});

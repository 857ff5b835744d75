// Request bodies as every endpoint reads them (HTTP contract 1.3): which types, what an empty one means, and the limit to the byte.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { RawConnection } from "../../../../test/faults/raw-connection.ts";
import { type Account, newAccount } from "../../../../test/support/happy-client.ts";
import { ask as askAt, exchange } from "../../../../test/support/raw-http.ts";
import { type TestServer, testServer } from "../../../../test/support/server.ts";

const BOUND_MS = 10_000;
const BODY_LIMIT = 104_857_600;

let server: TestServer;
let account: Account;
beforeAll(async () => {
  server = await testServer();
  account = await newAccount(server.url);
  const mutations = [{ key: "k", value: "AA==", version: -1 }];
  expect((await account.call("POST", "/v1/kv", { mutations })).status).toBe(200);
});
afterAll(() => server.stop());

const bearer = () => `Authorization: Bearer ${account.token}\r\n`;
const ask = (method: string, target: string, headers = bearer(), body = "") =>
  askAt(server.url, method, target, headers, body);

const JSON_TYPE = "Content-Type: application/json\r\n";
const archive = async () => {
  const opened = await account.call("POST", "/v1/sessions", { tag: "archive", metadata: "" });
  return `/v1/sessions/${opened.body.session.id}/archive`;
};

test("JSON is read with and without a charset, in any case, and unknown keys are dropped", async () => {
  for (const type of [
    "application/json",
    "application/json; charset=utf-8",
    "Application/JSON;charset=UTF-8",
  ]) {
    const body = '{"keys":["k"],"more":1,"__proto__":{"keys":2}}';
    const { status, json } = await ask("POST", "/v1/kv/bulk", `${bearer()}Content-Type: ${type}\r\n`, body);
    expect([status, json.values.length]).toEqual([200, 1]);
  }
});

test("an empty JSON body is none for DELETE and GET, and an empty object elsewhere", async () => {
  const deleted = await ask("DELETE", "/v1/push-tokens/none", `${bearer()}${JSON_TYPE}`);
  expect([deleted.status, deleted.json]).toEqual([200, { success: true }]);
  expect((await ask("GET", "/v1/kv/k", `${bearer()}${JSON_TYPE}`)).status).toBe(200);
  const posted = await ask("POST", "/v1/push-tokens", `${bearer()}${JSON_TYPE}Content-Length: 0\r\n`);
  expect(posted.json.message).toBe("body/token Invalid input: expected string, received undefined");
});

test("without type and body a route without a schema works, one with a schema misses its object", async () => {
  const path = await archive();
  expect((await ask("POST", path)).json).toEqual({ success: true });
  expect((await ask("POST", path, `${bearer()}Content-Length: 0\r\n`)).json).toEqual({ success: true });
  const { status, json } = await ask("POST", "/v1/sessions");
  const message = "body/ Invalid input: expected object, received null";
  expect([status, json]).toEqual([400, { error: "Error", message, statusCode: 400 }]);
});

test("a body on GET is not looked at", async () => {
  const { status } = await ask("GET", "/v1/kv/k", `${bearer()}${JSON_TYPE}`, "{broken");
  expect(status).toBe(200);
});

test("text on a JSON route is a string", async () => {
  const { json } = await ask(
    "POST",
    "/v1/push-tokens",
    `${bearer()}Content-Type: text/plain\r\n`,
    '{"token":"t"}',
  );
  expect(json.message).toBe("body/ Invalid input: expected object, received string");
});

test.each(["{broken", '{"token":"t"', '{"token":"t"}}', "[".repeat(200_000)])(
  "malformed JSON number %# is a SyntaxError, and the connection ends",
  async (body) => {
    const { status, json, headers } = await ask("POST", "/v1/push-tokens", `${bearer()}${JSON_TYPE}`, body);
    expect([status, json.error, json.statusCode]).toEqual([400, "SyntaxError", 400]);
    expect(json.message).toBeString();
    expect(headers.get("connection")).toBe("close");
  },
);

test("JSON of 256 levels is read, of one more it is refused, with and without a token", async () => {
  // One level is the object's own.
  const body = (levels: number) =>
    `{"token":"deep","more":${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}}`;
  const post = (levels: number, token: string) =>
    ask("POST", "/v1/push-tokens", `${token}${JSON_TYPE}`, body(levels));
  expect((await post(256, bearer())).status).toBe(200);
  expect((await post(256, "")).status).toBe(401);
  for (const levels of [257, 2_000])
    for (const token of [bearer(), ""]) {
      const { status, json } = await post(levels, token);
      const message = "JSON is nested deeper than 256 levels";
      expect([status, json]).toEqual([400, { error: "SyntaxError", message, statusCode: 400 }]);
    }
  await account.call("DELETE", "/v1/push-tokens/deep");
});

test.each([
  ["application/x-www-form-urlencoded"],
  ["image/png"],
  ["multipart/form-data; boundary=x"],
  ["application/vnd.api+json"],
  [undefined],
])("type %s is not supported", async (type) => {
  const header = type === undefined ? "" : `Content-Type: ${type}\r\n`;
  const { status, json } = await ask("POST", "/v1/push-tokens", `${bearer()}${header}`, "token=t");
  const message = `Unsupported Media Type: ${type}`;
  expect([status, json]).toEqual([415, { error: "FastifyError", message, statusCode: 415 }]);
});

const TOO_LARGE = { error: "FastifyError", message: "Request body is too large", statusCode: 413 };

test("100 MiB are read to their last byte", async () => {
  const body = Buffer.alloc(BODY_LIMIT, 0x78);
  const type = "Content-Type: text/plain\r\n";
  const head = `POST /v1/push-tokens HTTP/1.1\r\nHost: x\r\n${bearer()}${type}Content-Length: ${BODY_LIMIT}\r\n`;
  const { status, json } = await exchange(server.url, head, body);
  expect([status, json.message]).toEqual([400, "body/ Invalid input: expected object, received string"]);
}, 60_000);

test("one byte more is refused before it is sent, with an answer in JSON, and the connection ends", async () => {
  const type = "Content-Type: text/plain\r\n";
  const head = `POST /v1/push-tokens HTTP/1.1\r\nHost: x\r\n${bearer()}${type}Content-Length: ${BODY_LIMIT + 1}\r\n`;
  const { status, json, headers } = await exchange(server.url, head);
  expect([status, json]).toEqual([413, TOO_LARGE]);
  expect(headers.get("connection")).toBe("close");
  expect(headers.get("access-control-allow-origin")).toBe("*");
});

test("in chunks, without a length, the limit holds to the byte", async () => {
  const small = await testServer({ maxBodyBytes: 1_000 });
  const inChunks = (bytes: number) =>
    fetch(`${small.url}/v1/push-tokens`, {
      method: "POST",
      headers: { authorization: `Bearer ${account.token}`, "content-type": "text/plain" },
      body: new ReadableStream({
        start: (controller) => {
          for (let sent = 0; sent < bytes; sent += 100)
            controller.enqueue(new Uint8Array(Math.min(100, bytes - sent)));
          controller.close();
        },
      }),
    });
  expect((await inChunks(1_000)).status).toBe(400);
  const over = await inChunks(1_001);
  expect([over.status, await over.json()]).toEqual([413, TOO_LARGE]);
  await small.stop();
});

test("a body that ends early stores nothing", async () => {
  const body = '{"token":"cut-short"}';
  const connection = await RawConnection.open(Number(new URL(server.url).port));
  const head = `POST /v1/push-tokens HTTP/1.1\r\nHost: x\r\n${bearer()}${JSON_TYPE}`;
  connection.write(`${head}Content-Length: ${body.length + 1}\r\n\r\n${body}`);
  expect(await connection.finish(BOUND_MS)).toBe(true);
  expect((await account.call("GET", "/v1/push-tokens")).body.tokens).toEqual([]);
});

test.each([
  ["an unknown path", "POST /v1/nope", "image/png", 404],
  ["an unsupported type", "POST /v1/push-tokens", "image/png", 415],
  ["no token", "POST /v1/push-tokens", "application/json", 401],
  ["a GET", "GET /health", "application/json", 200],
  ["no preflight", "OPTIONS /v1/nope", "application/json", 400],
])("after %s, what is left of the body is never read as a request", async (_name, line, type, status) => {
  const text = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n".repeat(60_000);
  const token = status === 415 ? bearer() : "";
  for (const inChunks of [false, true]) {
    const connection = await RawConnection.open(Number(new URL(server.url).port));
    const size = inChunks ? "Transfer-Encoding: chunked" : `Content-Length: ${text.length}`;
    connection.write(`${line} HTTP/1.1\r\nHost: x\r\n${token}Content-Type: ${type}\r\n${size}\r\n\r\n`);
    connection.write(inChunks ? `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n` : text);
    connection.write("GET /v1/last HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await connection.until((received) => received.includes("/v1/last"), BOUND_MS)).toBe(true);
    const statuses = connection.received.match(/HTTP\/1\.1 \d+/g);
    expect(statuses).toEqual([`HTTP/1.1 ${status}`, "HTTP/1.1 404"]);
    expect(connection.received).not.toContain("smuggled");
    connection.destroy();
  }
});

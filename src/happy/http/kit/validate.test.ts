// What a body or query that does not fit its schema is told (HTTP contract 1.5), word by word.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type TestApp, testApp } from "../../../../test/support/happy-app.ts";

const BODY_LIMIT = 104_857_600;

let app: TestApp;
let bearer: string;
beforeAll(async () => {
  app = await testApp();
  bearer = `Authorization: Bearer ${await app.signIn()}\r\n`;
});
afterAll(() => app[Symbol.asyncDispose]());

const call = (method: string, path: string, body: unknown) =>
  body === undefined
    ? app.ask(method, path, bearer)
    : app.ask(
        method,
        path,
        `${bearer}Content-Type: application/json\r\n`,
        typeof body === "string" ? body : JSON.stringify(body),
      );

test.each([
  [
    "POST",
    "/v1/sessions",
    {},
    "body/tag Invalid input: expected string, received undefined, body/metadata Invalid input: expected string, received undefined",
  ],
  ["POST", "/v1/sessions", [], "body/ Invalid input: expected object, received array"],
  ["POST", "/v1/sessions", "null", "body/ Invalid input: expected object, received null"],
  [
    "POST",
    "/v1/sessions",
    { tag: 1, metadata: null },
    "body/tag Invalid input: expected string, received number, body/metadata Invalid input: expected string, received null",
  ],
  [
    "POST",
    "/v1/machines",
    { id: "m", metadata: "", daemonState: null },
    "body/daemonState Invalid input: expected string, received null",
  ],
  [
    "POST",
    "/v1/account/settings",
    { settings: "s", expectedVersion: 1.5 },
    "body/expectedVersion Invalid input: expected int, received number",
  ],
  [
    "POST",
    "/v1/account/settings",
    { settings: "s", expectedVersion: "1" },
    "body/expectedVersion Invalid input: expected number, received string",
  ],
  [
    "POST",
    "/v1/account/settings",
    { settings: "s", expectedVersion: -1 },
    "body/expectedVersion Too small: expected number to be >=0",
  ],
  ["POST", "/v1/kv/bulk", { keys: [] }, "body/keys Too small: expected array to have >=1 items"],
  [
    "POST",
    "/v1/kv/bulk",
    { keys: Array(101).fill("k") },
    "body/keys Too big: expected array to have <=100 items",
  ],
  [
    "POST",
    "/v3/sessions/s/messages",
    { messages: [{ content: "", localId: "" }] },
    "body/messages/0/localId Too small: expected string to have >=1 characters",
  ],
  [
    "POST",
    "/v1/sessions/s/push-event",
    { kind: "x", title: "t", body: "b" },
    'body/kind Invalid option: expected one of "done"|"permission"|"question"',
  ],
  [
    "POST",
    "/v1/sessions/s/push-event",
    { kind: "done", title: "t", body: "b".repeat(501) },
    "body/body Too big: expected string to have <=500 characters",
  ],
  [
    "POST",
    "/v1/sessions/s/push-event",
    { kind: "done", title: "💡".repeat(101), body: "b" },
    "body/title Too big: expected string to have <=200 characters",
  ],
  ["POST", "/v1/artifacts", { id: "x", header: "", body: "", dataEncryptionKey: "" }, "body/id Invalid UUID"],
  [
    "POST",
    "/v1/usage/query",
    { groupBy: "week" },
    'body/groupBy Invalid option: expected one of "hour"|"day"',
  ],
  ["POST", "/v1/usage/query", { startTime: 0 }, "body/startTime Too small: expected number to be >0"],
  ["GET", "/v1/kv?limit=0", undefined, "querystring/limit Too small: expected number to be >=1"],
  ["GET", "/v1/kv?limit=", undefined, "querystring/limit Too small: expected number to be >=1"],
  ["GET", "/v1/kv?limit=1001", undefined, "querystring/limit Too big: expected number to be <=1000"],
  ["GET", "/v1/kv?limit=x", undefined, "querystring/limit Invalid input: expected number, received NaN"],
  [
    "GET",
    "/v1/kv?limit=1&limit=2",
    undefined,
    "querystring/limit Invalid input: expected number, received NaN",
  ],
  ["GET", "/v1/kv?limit=1.5", undefined, "querystring/limit Invalid input: expected int, received number"],
  [
    "GET",
    "/v1/kv?prefix=a&prefix=b",
    undefined,
    "querystring/prefix Invalid input: expected string, received array",
  ],
  [
    "GET",
    "/v2/sessions?changedSince=0",
    undefined,
    "querystring/changedSince Too small: expected number to be >0",
  ],
  [
    "GET",
    "/v1/user/search",
    undefined,
    "querystring/query Invalid input: expected string, received undefined",
  ],
  [
    "GET",
    "/v3/sessions/s/messages?after_seq=1&before_seq=2",
    undefined,
    "querystring/ after_seq and before_seq are mutually exclusive",
  ],
  [
    "POST",
    "/v1/version",
    { platform: "ios", version: "1" },
    "body/app_id Invalid input: expected string, received undefined",
  ],
])("%s %s %j is refused with the contract's words", async (method, path, body, message) => {
  const answer = await call(method, path, body);
  expect([answer.status, answer.json]).toEqual([400, { error: "Error", message, statusCode: 400 }]);
});

describe("where an endpoint describes an error itself, the general ones lose all but their name", () => {
  test("request-download", async () => {
    const path = "/v1/sessions/s/attachments/request-download";
    expect((await call("POST", path, {})).json).toEqual({ error: "Error" });
    expect((await call("POST", path, "{")).json).toEqual({ error: "SyntaxError" });
  });

  test("an upload above 100 MiB", async () => {
    const headers = `${bearer}Content-Type: application/octet-stream\r\nContent-Length: ${BODY_LIMIT + 1}\r\n`;
    const { status, json } = await app.ask("PUT", "/v1/sessions/s/attachments/f", headers, "x");
    expect([status, json]).toEqual([413, { error: "FastifyError" }]);
  });
});

// Whoever is refused may finish sending, within bounds: a proxy that is cut off while it sends tells its client 502 instead of the
// refusal.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type TestServer, testServer } from "../../../../test/support/server.ts";
import { askRaw } from "../../../doctor/http-probe.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const MIB = 1024 * 1024;

test.each([
  ["PUT", "/v1/sessions/any/attachments/a.enc", "application/octet-stream", 10 * MIB],
  ["POST", "/v1/sessions", "application/json", 10 * MIB],
])("%s %s without a token is answered 401 after the whole body", async (method, path, type, bodyBytes) => {
  const headers = { "Content-Type": type, Connection: "close" };
  const answer = await askRaw(new URL(`${server.url}${path}`), { method, headers, bodyBytes }, 20_000);
  expect(answer.status).toBe(401);
  expect(answer.sentBytes).toBe(bodyBytes);
  expect(JSON.parse(answer.text)).toEqual({ error: "Missing authorization header" });
});

test("more than the largest attachment is not taken from somebody unknown", async () => {
  const bodyBytes = 90 * MIB;
  const headers = { "Content-Type": "application/octet-stream", Connection: "close" };
  const url = new URL(`${server.url}/v1/sessions/any/attachments/a.enc`);
  const answer = await askRaw(url, { method: "PUT", headers, bodyBytes }, 20_000);
  expect(answer.status).toBe(401);
  expect(answer.sentBytes).toBeLessThan(bodyBytes / 2);
});

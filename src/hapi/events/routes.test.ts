// The requests of section B, as they are refused and answered.
import { afterAll, describe, expect, test } from "bun:test";
import { eventHub } from "../../../test/support/event-hub.ts";

const hub = eventHub();
afterAll(() => hub.close());

const answer = async (path: string, headers: Record<string, string> = {}) => {
  const stop = new AbortController();
  const response = await fetch(`${hub.url}${path}`, { headers, signal: stop.signal });
  const isStream = response.headers.get("content-type") === "text/event-stream";
  const body = isStream ? "stream" : await response.text();
  stop.abort();
  return `${response.status} ${body}`;
};

describe("GET /api/events", () => {
  test("is answered with the headers of the contract", async () => {
    for (const gzip of [false, true]) {
      const client = await hub.listen("all=true", { gzip });
      expect(client.headers).toMatchObject({
        "content-type": "text/event-stream",
        "cache-control": "no-cache",
        connection: "keep-alive",
        "transfer-encoding": "chunked",
      });
      expect(client.headers["content-encoding"]).toBe(gzip ? "gzip" : undefined);
      expect(client.headers.vary).toBeUndefined();
      client.close();
    }
  });

  test.each<[string, Record<string, string>, string]>([
    ["", {}, '401 {"error":"Missing authorization token"}'],
    ["?token=", {}, '401 {"error":"Missing authorization token"}'],
    ["?token=a", {}, "200 stream"],
    ["", { authorization: "Bearer a" }, "200 stream"],
    ["?token=a", { authorization: "bearer b" }, "200 stream"],
    // The header wins.
    ["?token=a&sessionId=b-1", { authorization: "Bearer b" }, "200 stream"],
    ["?token=a&sessionId=none", {}, '404 {"error":"Session not found"}'],
    ["?token=a&sessionId=b-1", {}, '403 {"error":"Session access denied"}'],
    ["?token=a&machineId=none", {}, '404 {"error":"Machine not found"}'],
    ["?token=a&machineId=b-1", {}, '403 {"error":"Machine access denied"}'],
    ["?token=a&sessionId=none&machineId=b-1", {}, '404 {"error":"Session not found"}'],
    ["?token=a&sessionId=a-1&machineId=b-1", {}, '403 {"error":"Machine access denied"}'],
    ["?token=a&sessionId=%20&machineId=", {}, "200 stream"],
    ["?token=a&sessionId=a-1&machineId=a-1&all=1", {}, "200 stream"],
  ])("%p with %p: %p", async (query, headers, expected) => {
    expect(await answer(`/api/events${query}`, headers)).toBe(expected);
  });
});

describe("POST /api/visibility", () => {
  const said = async (id: unknown, visibility: unknown, token?: string) => {
    const response = await hub.show(id, visibility, token);
    return `${response.status} ${await response.text()}`;
  };

  test("is for streams that are open, and of the namespace", async () => {
    const client = await hub.listen();
    expect(await said(client.subscriptionId, "visible")).toBe('200 {"ok":true}');
    expect(await said(client.subscriptionId, "hidden")).toBe('200 {"ok":true}');
    const unknown = '404 {"error":"Subscription not found"}';
    expect(await said(client.subscriptionId, "visible", "other")).toBe(unknown);
    expect(await said(crypto.randomUUID(), "visible")).toBe(unknown);
    client.close();
    await client.until("it to be closed", () => hub.events.size === 0);
    expect(await said(client.subscriptionId, "visible")).toBe(unknown);
  });

  test.each([
    ["", "visible"],
    [undefined, "visible"],
    [7, "visible"],
    ["x", "odd"],
    ["x", undefined],
  ])("refuses %p, %p", async (id, visibility) => {
    expect(await said(id, visibility)).toBe('400 {"error":"Invalid body"}');
  });

  test("refuses a body that is none, and takes its token from the header only where it is no event", async () => {
    for (const body of ["", "{", "null", "[]"]) {
      const response = await fetch(`${hub.url}/api/visibility`, {
        method: "POST",
        headers: { authorization: "Bearer a" },
        body,
      });
      expect([response.status, await response.json()]).toEqual([400, { error: "Invalid body" }]);
    }
    const response = await fetch(`${hub.url}/api/visibility?token=a`, { method: "POST", body: "{}" });
    expect(response.status).toBe(401);
  });
});

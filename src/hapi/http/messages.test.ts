// Messages over HTTP: pages with their cursors, what may be sent, what waits and how it is taken back; and the answers to permissions.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { TestHapiHttp } from "../../../test/support/hapi-http.ts";

let t: TestHapiHttp;
let sid: string;
beforeEach(async () => {
  t = new TestHapiHttp();
  sid = await t.hub.session();
  await t.hub.alive(sid);
});
afterEach(() => t.close());

const ask = (method: string, path: string, body?: unknown) =>
  t.ask(method, `/api/sessions/${sid}${path}`, body);
const post = (body: unknown) => ask("POST", "/messages", body);
const OK = [200, { ok: true }];
const ms = expect.any(Number);

interface Page {
  messages: { seq: number; content: { content: { text: string } } }[];
  page: Record<string, number | string | boolean | null>;
}
const page = async (query = ""): Promise<Page> => {
  const [status, body] = await ask("GET", `/messages${query}`);
  expect(status).toBe(200);
  return body as Page;
};
const faults = (answer: readonly unknown[]) => {
  const [status, body] = answer as [number, { error: string; issues: { fieldErrors: object } }];
  return [status, body.error, Object.keys(body.issues.fieldErrors)];
};

describe("pages", () => {
  test.each([
    ["limit=0", "limit"],
    ["limit=", "limit"],
    ["limit=201", "limit"],
    ["limit=1.5", "limit"],
    ["limit=abc", "limit"],
    ["beforeAt=1", "beforeAt"],
    ["beforeSeq=1", "beforeAt"],
    ["beforeAt=1&beforeSeq=0", "beforeSeq"],
    ["beforeAt=-1&beforeSeq=1", "beforeAt"],
    ["beforeAt=1&beforeSeq=1&afterAt=1&afterSeq=1", "afterAt"],
    ["untilAt=1&untilSeq=1", "untilAt"],
    ["epoch=1", "epoch"],
    ["epoch=-1&afterAt=0&afterSeq=1", "epoch"],
  ])("?%s names %s as at fault", async (query, field) => {
    expect(faults(await ask("GET", `/messages?${query}`))).toEqual([400, "Invalid query", [field]]);
  });

  test("the whole page of a session without messages; what it does not know of a query is ignored", async () => {
    const none = { nextBeforeSeq: null, nextBeforeAt: null, nextAfterSeq: null, nextAfterAt: null };
    expect(await page("?else=1")).toEqual({
      messages: [],
      page: {
        direction: "latest",
        limit: 50,
        epoch: 0,
        reset: false,
        ...none,
        snapshotHeadSeq: null,
        snapshotHeadAt: null,
        hasMore: false,
      },
    });
    expect((await page("?afterAt=0&afterSeq=1&epoch=")).page).toMatchObject({ direction: "after" });
    expect((await page("?afterAt=0&afterSeq=1&epoch=7")).page).toMatchObject({ reset: true });
  });

  test("a message has every key of the contract, and any text that was stored comes out as it went in", async () => {
    const text = 'quotes " \\ \u2028 \u0000 \ud83d\ude00 },"content":{}';
    expect(await post({ text, localId: "a" })).toEqual(OK);
    const [, body] = await ask("GET", "/messages");
    expect((body as Page).messages).toEqual([
      {
        id: expect.any(String),
        seq: 1,
        localId: "a",
        content: {
          role: "user",
          content: { type: "text", text },
          meta: { sentFrom: "webapp", deliveryMode: "queue" },
        },
        createdAt: ms,
        invokedAt: null,
        scheduledAt: null,
      },
    ] as never);
  });

  test("a page that is too heavy to be held comes in pieces, packed too", async () => {
    const text = "x".repeat(400_000);
    for (let at = 0; at < 4; at++) await post({ text: `${at}${text}` });
    const light = await page("?limit=1");
    expect(light.messages[0]?.content.content.text).toBe(`3${text}`);
    for (const headers of [{}, { "accept-encoding": "gzip" }] as Record<string, string>[]) {
      const answer = await t.fetch("GET", `/api/sessions/${sid}/messages`, undefined, { headers });
      expect(answer.headers.get("content-type")).toBe("application/json");
      const pieces: Uint8Array[] = [];
      // A piece is the reader's only until the next is asked for.
      for await (const piece of answer.body as never as AsyncIterable<Uint8Array>)
        pieces.push(new Uint8Array(piece));
      const bytes = Buffer.concat(pieces);
      const isPacked = answer.headers.get("content-encoding") === "gzip";
      expect(isPacked).toBe("accept-encoding" in headers);
      const whole = JSON.parse(new TextDecoder().decode(isPacked ? Bun.gunzipSync(bytes) : bytes)) as Page;
      expect(whole.messages.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
      expect(whole.page.hasMore).toBe(false);
    }
  });
});

describe("sending", () => {
  test.each([
    [{}, ["text"]],
    [{ text: 1 }, ["text"]],
    [{ text: "a", localId: "" }, ["localId"]],
    [{ text: "a", attachments: [{}] }, ["attachments"]],
    [{ text: "a", deliveryMode: "now" }, ["deliveryMode"]],
    [{ text: "a", localId: "a", scheduledAt: 0 }, ["scheduledAt"]],
    [{ text: "a", localId: "a", scheduledAt: 1.5 }, ["scheduledAt"]],
    [{ text: "a", scheduledAt: 1 }, ["localId"]],
    // What is wrong with a field is said before what is missing as a whole.
    [{ text: "", scheduledAt: 1 }, ["localId"]],
    [{ text: "a", localId: "a", scheduledAt: Date.now() + 8 * 24 * 60 * 60 * 1000 }, ["scheduledAt"]],
  ])("%j: the fields at fault", async (body, fields) => {
    expect(faults(await post(body))).toEqual([400, "Invalid body", fields]);
  });

  test("what is no JSON has no fields", async () => {
    expect(faults(await post("no JSON"))).toEqual([400, "Invalid body", []]);
  });

  test("neither text nor attachments", async () => {
    const refused = [400, { error: "Message requires text or attachments" }];
    expect(await post({ text: "" })).toEqual(refused);
    expect(await post({ text: "", attachments: [] })).toEqual(refused);
    const attachment = { id: "a", filename: "f", mimeType: "text/x", size: 1, path: "/f" };
    expect(await post({ text: "", attachments: [attachment] })).toEqual(OK);
  });

  test("a namespace that sends faster than it may hears when to come again", async () => {
    t.messagesPerSecond = 1;
    for (let at = 0; at < 10; at++) expect(await post({ text: "a" })).toEqual(OK);
    const refused = await t.fetch("POST", `/api/sessions/${sid}/messages`, { text: "a" });
    expect([refused.status, Number(refused.headers.get("retry-after")) > 0]).toEqual([429, true]);
    expect((await page()).messages).toHaveLength(10);
  });

  test("a localId that comes again stores nothing and is fine", async () => {
    expect(await post({ text: "a", localId: "a" })).toEqual(OK);
    expect(await post({ text: "b", localId: "a" })).toEqual(OK);
    expect((await page()).messages).toHaveLength(1);
  });
});

describe("what waits", () => {
  test("states", async () => {
    await post({ text: "a", localId: "a" });
    const state = (localIds: unknown) => ask("POST", "/messages/queued-state", { localIds });
    const none = { queuedLocalIds: [], indeterminateLocalIds: [], invokedLocalMessages: [] };
    expect(await state(["a", "zz"])).toEqual([200, { ...none, queuedLocalIds: ["a"] }]);
    await t.hub.hub.queue.consumed({ session: { namespace: "default", id: sid }, localIds: ["a"] }, {});
    expect(await state(["a"])).toEqual([
      200,
      { ...none, invokedLocalMessages: [{ localId: "a", invokedAt: ms }] },
    ]);
    for (const bad of [[""], undefined, new Array(1_001).fill("x")])
      expect(faults(await state(bad))).toEqual([400, "Invalid body", ["localIds"]]);
  });

  test("is taken back by id or localId; what was taken comes as it is, with its session", async () => {
    expect(await ask("DELETE", "/messages/none")).toEqual([200, { status: "cancelled", localId: null }]);
    await post({ text: "a", localId: "a/b" });
    expect(await ask("DELETE", "/messages/a%2Fb")).toEqual([200, { status: "cancelled", localId: "a/b" }]);
    await post({ text: "b", localId: "b" });
    await t.hub.hub.queue.consumed({ session: { namespace: "default", id: sid }, localIds: ["b"] }, {});
    const [row] = (await page()).messages;
    expect(await ask("DELETE", "/messages/b")).toEqual([
      200,
      { status: "invoked", message: { ...row, sessionId: sid } },
    ]);
    await post({ text: "c", localId: "c" });
    t.hub.rooms.set(sid, () => ({ removed: false, inFlight: true }));
    expect(await ask("DELETE", "/messages/c")).toEqual([200, { status: "busy", localId: "c" }]);
  });
});

describe("permissions", () => {
  const asked = { tool: "Bash", arguments: {}, createdAt: 1 };
  beforeEach(async () => {
    await t.hub.hub.values.agentState({
      namespace: "default",
      socket: {},
      id: sid,
      expectedVersion: 1,
      value: { requests: { r: asked } },
      acknowledge: () => {},
    });
    await t.hub.settled();
  });
  const approve = (body?: unknown, id = "r") => ask("POST", `/permissions/${id}/approve`, body);
  const deny = (body?: unknown, id = "r") => ask("POST", `/permissions/${id}/deny`, body);
  const NO_REQUEST = [404, { error: "Request not found" }];
  const INVALID = [400, { error: "Invalid body" }];

  test("an approval: body, then request, then mode; a denial: request, then body", async () => {
    expect(await approve({ decision: "maybe" }, "none")).toEqual(INVALID);
    expect(await approve({ mode: "no such" })).toEqual(INVALID);
    expect(await approve({ answers: { q: 1 } })).toEqual(INVALID);
    for (const name of ["none", "toString", "__proto__"]) expect(await approve({}, name)).toEqual(NO_REQUEST);
    expect(await approve({ mode: "read-only" }, "none")).toEqual(NO_REQUEST);
    expect(await approve({ mode: "read-only" })).toEqual([
      400,
      { error: "Invalid permission mode for session flavor" },
    ]);
    expect(await deny({ decision: "maybe" }, "none")).toEqual(NO_REQUEST);
    expect(await deny({ decision: "maybe" })).toEqual(INVALID);
    expect(t.hub.called).toEqual([]);
  });

  test("is passed on with what was given, and nothing else", async () => {
    const method = `${sid}:permission`;
    expect(await approve()).toEqual([500, { error: `RPC handler not registered: ${method}` }]);
    t.hub.rpc.set(method, { ok: true });
    const given = { mode: "plan", allowTools: ["Bash"], decision: "approved", answers: { q: ["a"] } };
    for (const body of [undefined, "no JSON", given, { answers: { q: { answers: ["a"] } }, more: 1 }])
      expect(await approve(body)).toEqual(OK);
    expect(await deny()).toEqual(OK);
    expect(await deny({ decision: "abort" })).toEqual(OK);
    const params = t.hub.called.map(([, sent]) => sent);
    expect(params).toEqual([
      { id: "r", approved: true },
      { id: "r", approved: true },
      { id: "r", approved: true, ...given },
      { id: "r", approved: true, answers: { q: { answers: ["a"] } } },
      { id: "r", approved: false },
      { id: "r", approved: false, decision: "abort" },
    ]);
  });
});

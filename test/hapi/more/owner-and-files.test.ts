// Titles, sizes, usage, export, pictures, the ledger and devices, over a whole server.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { HapiDesk } from "../../support/hapi-desk.ts";

let desk: HapiDesk;
beforeAll(async () => {
  desk = await HapiDesk.open();
});
afterAll(() => desk.close());

const output = (data: object) => ({ role: "agent", content: { type: "output", data } });
const codex = (data: object) => ({ role: "agent", content: { type: "codex", data } });

test("a title is a person's, and nobody suggests one", async () => {
  const id = await desk.session();
  expect(await desk.short("PATCH", `/api/sessions/${id}/summary`, { text: "  a title " })).toEqual([
    200,
    { ok: true },
  ]);
  expect((await desk.ask("GET", `/api/sessions/${id}`)).body).toMatchObject({
    session: { metadata: { summary: { text: "a title" } } },
  });
  for (const text of ["", 5, "x".repeat(256)])
    expect(await desk.short("PATCH", `/api/sessions/${id}/summary`, { text })).toEqual([
      400,
      { error: "Invalid body: text is required" },
    ]);
  expect(await desk.short("POST", `/api/sessions/${id}/title-suggestion`, {})).toEqual([
    503,
    { error: "Title suggestions are not configured on this Hub" },
  ]);
});

test("the owner sees how large the database is; nobody else does", async () => {
  const { status, body, headers } = await desk.ask("GET", "/api/storage/sqlite");
  const { path, databaseBytes, walBytes, shmBytes, totalBytes } = body as Record<string, number>;
  expect([status, headers.get("cache-control"), path]).toEqual([
    200,
    "no-store",
    `${desk.home}/hapi.db` as never,
  ]);
  expect(totalBytes).toBe((databaseBytes ?? 0) + (walBytes ?? 0) + (shmBytes ?? 0));
  const other = await desk.of("other");
  expect(await other.short("GET", "/api/storage/sqlite")).toEqual([
    403,
    { error: "Storage usage is only available to the hub owner" },
  ]);
  expect(await other.short("GET", "/api/usage/summary")).toEqual([
    403,
    { error: "Usage summary is only available to the hub owner" },
  ]);
});

test("usage is counted out of messages as the released hub counts it, each answer once", async () => {
  const usage = {
    input_tokens: 10,
    output_tokens: 20,
    cache_read_input_tokens: 30,
    cache_creation_input_tokens: 40,
  };
  const said = (more: object) =>
    output({
      type: "assistant",
      message: { id: "m1", model: "claude-x", content: [], usage: { ...usage, ...more } },
    });
  const total = (times: number) =>
    codex({
      type: "token_count",
      info: {
        total_token_usage: {
          input_tokens: 100 * times,
          cached_input_tokens: 40 * times,
          output_tokens: 10 * times,
        },
      },
    });
  const sent: [flavor: string, contents: object[]][] = [
    [
      "claude",
      [
        said({}),
        said({ output_tokens: 25 }),
        output({ type: "assistant", message: { content: [], usage: { input_tokens: 0 } } }),
      ],
    ],
    ["codex", [total(1), total(2), total(2)]],
    [
      "grok",
      [
        codex({
          type: "token_count",
          info: { inputTokens: 5, outputTokens: 6, cacheReadTokens: 2, cacheCreationTokens: 1 },
        }),
      ],
    ],
    [
      "kimi",
      [
        codex({
          type: "token_count",
          info: { inputTokens: 5, outputTokens: 6, cacheReadTokens: 2, cacheCreationTokens: 1 },
        }),
      ],
    ],
  ];
  for (const [flavor, contents] of sent) {
    const cli = await desk.sessionCli(await desk.session({ flavor }, { model: "of-session" }));
    for (const message of contents) cli.emit("message", { sid: cli.id, message });
    await cli.flush();
  }
  const { body } = await desk.ask("GET", "/api/usage/summary?range=all");
  const of = (
    key: string,
    input: number,
    output: number,
    read: number,
    creation: number,
    requests: number,
  ) => ({
    key,
    inputTokens: input,
    outputTokens: output,
    cacheReadTokens: read,
    cacheCreationTokens: creation,
    totalTokens: input + output,
    uncachedTokens: input + output - read,
    requests,
  });
  expect(body).toMatchObject({
    range: { from: null },
    totals: { sessions: 4, requests: 5 },
    byAgent: [
      of("codex", 200, 20, 80, 0, 2),
      of("claude", 80, 25, 30, 40, 1),
      of("grok", 8, 6, 2, 1, 1),
      of("kimi", 5, 6, 2, 1, 1),
    ],
    daily: [{ requests: 5 }],
  });
  expect((await desk.ask("GET", "/api/usage/summary?range=all")).body).toMatchObject({
    totals: { requests: 5 },
  });
});

test("a session is exported with its messages and notes", async () => {
  const id = await desk.session();
  expect((await desk.ask("GET", `/api/sessions/${id}/export`)).body).toMatchObject({
    schemaVersion: 2,
    session: { id },
    messages: [],
    scratchlist: [],
  });
  await desk.ask("POST", `/api/sessions/${id}/scratchlist`, { text: "note", entryId: "n1", createdAt: 5 });
  const cli = await desk.sessionCli(id);
  for (const text of ["one", "two"])
    cli.emit("message", { sid: id, message: { role: "user", content: { type: "text", text } } });
  // Upstream fault: what waits is left out (hapi-probed).
  const waits = {
    sid: id,
    localId: "waits",
    message: { role: "user", content: { type: "text", text: "3" } },
  };
  cli.emit("message", waits);
  await cli.flush();
  expect((await desk.ask("GET", `/api/sessions/${id}/export`)).body).toMatchObject({
    messages: [
      { seq: 1, content: { content: { text: "one" } } },
      { seq: 2 },
      { seq: 3, localId: "waits", invokedAt: null },
    ],
    scratchlist: [{ entryId: "n1", text: "note", createdAt: 5, attachments: [] }],
  });
  expect(await desk.short("GET", "/api/sessions/nobody/export")).toEqual([
    404,
    { error: "Session not found" },
  ]);
});

test("a picture is read once, and a browser keeps it", async () => {
  const id = await desk.session();
  const at = `/api/sessions/${id}/generated-images/img1`;
  expect(await desk.short("GET", at)).toEqual([
    404,
    { success: false, error: `RPC handler not registered: ${id}:readGeneratedImage` },
  ]);
  const cli = await desk.sessionCli(id, {
    readGeneratedImage: {
      success: true,
      content: Buffer.from("PNG").toString("base64"),
      mimeType: "image/png",
      fileName: "x.png",
    },
  });
  const read = await desk.ask("GET", at);
  expect([
    read.status,
    read.text,
    ...["etag", "content-type", "cache-control", "content-disposition"].map((name) => read.headers.get(name)),
  ]).toEqual([
    200,
    "PNG",
    '"img1"',
    "image/png",
    "private, max-age=31536000, immutable",
    'inline; filename="x.png"',
  ]);
  expect((await desk.ask("GET", at, undefined, { "if-none-match": '"img1"' })).status).toBe(304);
  expect(cli.calls).toHaveLength(1);
  for (const [answer, error] of [
    [null, "Generated image not found"],
    [{ success: false, error: "gone" }, "gone"],
    ["text", "Generated image not found"],
  ]) {
    cli.answers.set("readGeneratedImage", answer);
    expect(await desk.short("GET", at)).toEqual([404, { success: false, error }]);
  }
  cli.answers.set("readGeneratedImage", { success: true, content: "aGk=", mimeType: "text/html" });
  expect((await desk.ask("GET", at)).headers.get("content-disposition")).toStartWith("attachment");
});

test("the ledger keeps events once, and how they hang together", async () => {
  const event = {
    source_kind: "agent",
    source_ref: "r",
    event_type: "note",
    principal: { kind: "human", id: `${desk.ownerId}` },
    related_session_id: "s",
  };
  const add = (more: object) => desk.ask("POST", "/api/work-graph/events", { ...event, ...more });
  const first = await add({ idempotency_key: "k", payload_json: { a: 1 } });
  expect([first.status, first.body]).toMatchObject([
    201,
    { inserted: true, event: { sourceKind: "agent", payloadJson: { a: 1 }, namespace: "default" } },
  ]);
  const again = await add({ idempotency_key: "k" });
  expect(again.body).toMatchObject({ inserted: false, event: { payloadJson: { a: 1 } } });
  const second = await add({ principal: { kind: "agent", id: "a", on_behalf_of: `${desk.ownerId}` } });
  const [from, to] = [first, second].map(({ body }) => (body as { event: { id: string } }).event.id);
  expect(
    await desk.short("POST", "/api/work-graph/events", { ...event, principal: { kind: "human", id: "1" } }),
  ).toEqual([403, { error: "Principal must resolve to the authenticated hub owner" }]);
  expect((await add({ source_kind: "" })).body).toMatchObject({
    error: "Invalid body",
    issues: { fieldErrors: { source_kind: [expect.any(String)] } },
  });
  expect(
    await desk.short("POST", "/api/work-graph/events", { ...event, payload_json: "x".repeat(70_000) }),
  ).toEqual([413, { error: "Request body too large" }]);
  const link = { from_event_id: from, to_event_id: to, relation_type: "causes", metadata_json: { z: 1 } };
  expect(await desk.short("POST", "/api/work-graph/event-links", link)).toMatchObject([
    201,
    { link: { fromEventId: from, metadataJson: { z: 1 } } },
  ]);
  expect(await desk.short("POST", "/api/work-graph/event-links", { ...link, to_event_id: "nope" })).toEqual([
    404,
    { error: "to_event_id not found in namespace", code: "not_found" },
  ]);
  expect(await desk.short("GET", `/api/work-graph/events/${to}/links`)).toMatchObject([
    200,
    { links: [{ fromEventId: from }] },
  ]);
  expect(await desk.short("GET", "/api/work-graph/events?related_session_id=s&limit=1")).toMatchObject([
    200,
    { events: [{ relatedSessionId: "s" }] },
  ]);
  expect(await desk.short("GET", "/api/work-graph/events?related_session_id=s&limit=0")).toEqual([
    400,
    { error: "Invalid limit" },
  ]);
  expect(await desk.short("GET", "/api/work-graph/events")).toEqual([
    400,
    { error: "related_session_id query parameter is required" },
  ]);
  const other = await desk.of("other");
  expect(await other.short("GET", `/api/work-graph/events/${from}`)).toEqual([
    404,
    { error: "Event not found" },
  ]);
  const health = await fetch(`${desk.server.url}/health`);
  expect(await health.json()).toMatchObject({ capabilities: { workGraph: true, titleSuggestion: false } });
});

test("devices register with the key that theirs need", async () => {
  const at = "/api/devices/register";
  const device = { token: "t", platform: "phone", deviceId: "d" };
  expect(await desk.short("POST", at, device)).toEqual([200, { ok: true }]);
  const key = Buffer.alloc(32, 7).toString("base64");
  expect(await desk.short("POST", at, { ...device, token: "i", platform: "ios", pushKey: key })).toEqual([
    200,
    { ok: true },
  ]);
  expect(await desk.short("POST", at, { ...device, platform: "ios" })).toMatchObject([
    400,
    { issues: { fieldErrors: { pushKey: [expect.any(String)] } } },
  ]);
  expect(await desk.short("POST", at, { ...device, platform: "android" })).toMatchObject([
    400,
    { issues: { fieldErrors: { platform: [expect.any(String)] } } },
  ]);
  expect(await desk.short("DELETE", at, { token: "t" })).toEqual([200, { ok: true }]);
  expect(await desk.short("DELETE", at, {})).toMatchObject([400, { error: "Invalid body" }]);
});

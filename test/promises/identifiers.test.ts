// An identifier or unique text that the database could not keep apart is refused at the door, over HTTP and sockets, wherever one is
// taken: two machines, sessions or messages are never one. What can be registered can be read and deleted.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { type Account, type Listener, newAccount } from "../support/happy-client.ts";
import { rows } from "../support/operator.ts";
import { type TestServer, testServer } from "../support/server.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

let server: TestServer;
let account: Account;
let phone: Listener;
let sid: string;
beforeAll(async () => {
  server = await testServer({ rateLimits: false });
  account = await newAccount(server.url);
  phone = await account.connect();
  sid = (await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" })).body.session.id;
  // What a lone surrogate would become.
  await account.call("POST", "/v1/machines", { id: "\ufffd", metadata: "the one with that name" });
});
afterAll(async () => {
  phone.close();
  await server.stop();
});

const LONE = ["\ud800", "\udfff", "a\ud83d", "\ude00b"];

describe("over HTTP", () => {
  const bodies: [string, string, (id: string) => unknown][] = [
    ["a session's tag", "/v1/sessions", (tag) => ({ tag, metadata: "m" })],
    [
      "a message's local id",
      "/v3/sessions/SID/messages",
      (localId) => ({ messages: [{ content: "c", localId }] }),
    ],
    [
      "one local id of several",
      "/v3/sessions/SID/messages",
      (localId) => ({
        messages: [
          { content: "c", localId: "good" },
          { content: "c", localId },
        ],
      }),
    ],
    ["a machine's id", "/v1/machines", (id) => ({ id, metadata: "m" })],
    ["an artifact's id", "/v1/artifacts", (id) => ({ id, header: "", body: "", dataEncryptionKey: "" })],
    ["a key that is written", "/v1/kv", (key) => ({ mutations: [{ key, value: "AAEC", version: -1 }] })],
    ["a key that is deleted", "/v1/kv", (key) => ({ mutations: [{ key, value: null, version: 0 }] })],
    ["a key that is read", "/v1/kv/bulk", (key) => ({ keys: ["k", key] })],
    ["a friend", "/v1/friends/add", (uid) => ({ uid })],
    ["a friend that goes", "/v1/friends/remove", (uid) => ({ uid })],
    ["a session of usage", "/v1/usage/query", (sessionId) => ({ sessionId })],
    ["a voice agent", "/v1/voice/conversations", (agentId) => ({ agentId })],
    [
      "an attachment",
      "/v1/sessions/SID/attachments/request-download",
      (name) => ({ ref: `sessions/${sid}/attachments/${name}` }),
    ],
  ];
  test.each(bodies)("%s that is not well-formed is 400, and nothing is stored", async (_, path, body) => {
    const before = rows(server, COUNTS);
    for (const text of LONE) {
      const answer = await account.call("POST", path.replace("SID", sid), body(text));
      expect(answer).toMatchObject({ status: 400, body: { error: "Error" } });
    }
    expect(rows(server, COUNTS)).toEqual(before);
  });

  test.each(LONE.map((text) => [JSON.stringify(text)]))(
    "%s in percent, in a path and in a query, is 400",
    async (json) => {
      // As a client would write it that knows no better: each half in three bytes.
      const percent = [...(JSON.parse(json) as string)]
        .map((c) => (c.isWellFormed() ? c : threeBytes(c.charCodeAt(0))))
        .join("");
      for (const path of [
        `/v1/kv/${percent}`,
        `/v1/machines/${percent}`,
        `/v1/access-keys/${sid}/${percent}`,
        `/v1/kv?prefix=${percent}`,
        `/v1/accessKeys?machineId=${percent}`,
        `/v1/user/search?query=${percent}`,
        `/v2/sessions?cursor=cursor_v1_${percent}`,
      ])
        expect([path, (await account.call("GET", path)).status]).toEqual([path, 400]);
      expect((await account.call("DELETE", `/v1/machines/${percent}`)).status).toBe(400);
      expect((await account.call("GET", `/v1/machines/%EF%BF%BD`)).status).toBe(200);
      expect((await account.call("GET", `/v1/kv?prefix=%EF%BF%BD`)).status).toBe(200);
      // A percent sign that begins no sequence is itself.
      expect((await account.call("GET", `/v1/kv?prefix=100%`)).status).toBe(200);
    },
  );

  test("a body that is not UTF-8 is no JSON: two tags of different bytes are not one session", async () => {
    const raw = Buffer.from('{"tag":"x","metadata":"m"}');
    raw[raw.indexOf("x")] = 0xff;
    const answer = await fetch(`${server.url}/v1/sessions`, {
      method: "POST",
      headers: { authorization: `Bearer ${account.token}`, "content-type": "application/json" },
      body: raw,
    });
    expect([answer.status, await answer.json()]).toMatchObject([400, { error: "SyntaxError" }]);
  });

  test("a session's or machine's content is kept as it comes", async () => {
    const tag = crypto.randomUUID();
    const { body } = await account.call("POST", "/v1/sessions", { tag, metadata: "a\ud800" });
    expect(body.session.metadata).toMatch(/^a/);
    const messages = [{ content: "c\ud800", localId: tag }];
    expect((await account.call("POST", `/v3/sessions/${sid}/messages`, { messages })).status).toBe(200);
  });

  test("identifiers that only look alike are different things: NUL, spaces, forms of an accent", async () => {
    const tags = ["a", "a ", " a", "a\0", "a\0b", "é", "e\u0301", ""];
    const ids = new Set<string>();
    for (const tag of tags)
      ids.add(
        (await account.call("POST", "/v1/sessions", { tag: `x${tag}`, metadata: "m" })).body.session.id,
      );
    expect(ids.size).toBe(tags.length);
    for (const tag of tags) {
      const mutations = [
        { key: `x${tag}`, value: Buffer.from(tag).toString("base64") || "AA==", version: -1 },
      ];
      expect((await account.call("POST", "/v1/kv", { mutations })).status).toBe(200);
    }
    for (const tag of tags) {
      const { body } = await account.call("GET", `/v1/kv/${encodeURIComponent(`x${tag}`)}`);
      expect([body.key, body.value]).toEqual([`x${tag}`, Buffer.from(tag).toString("base64") || "AA=="]);
    }
  });
});

describe("what a path could not name is not registered", () => {
  test.each([100, 101])("a machine of %p characters", async (length) => {
    const id = "m".repeat(length);
    const made = await account.call("POST", "/v1/machines", { id, metadata: "m" });
    expect(made.status).toBe(length <= 100 ? 200 : 400);
    if (length > 100) return;
    expect((await account.call("GET", `/v1/machines/${id}`)).status).toBe(200);
    expect((await account.call("POST", `/v1/access-keys/${sid}/${id}`, { data: "d" })).status).toBe(200);
    expect((await account.call("DELETE", `/v1/machines/${id}`)).status).toBe(200);
  });

  test.each([".", ".."])("a machine that no path could name is refused: %p", async (id) => {
    expect(await account.call("POST", "/v1/machines", { id, metadata: "m" })).toMatchObject({
      status: 400,
      body: { error: "Error", message: 'body/id Invalid string: must not be "." or ".."' },
    });
  });

  test.each([
    ["x".repeat(100), 200],
    ["x".repeat(101), 400],
    ["\u{1f600}".repeat(50), 200],
    ["\u{1f600}".repeat(51), 400],
  ])("a key of the key-value store: %p", async (key, status) => {
    const mutations = [{ key, value: "AAEC", version: -1 }];
    expect((await account.call("POST", "/v1/kv", { mutations })).status).toBe(status);
    if (status === 200)
      expect((await account.call("GET", `/v1/kv/${encodeURIComponent(key)}`)).body.value).toBe("AAEC");
  });

  test("a longer key of an earlier version is still read and deleted, but not made as a tombstone", async () => {
    const key = "old".repeat(40);
    rows(
      server,
      `INSERT INTO kv_entries (id, account_pk, key, value, version, created_at, updated_at)
       SELECT 'old', pk, ?, x'00', 3, 1, 1 FROM accounts WHERE id = ?`,
      key,
      account.id,
    );
    expect((await account.call("POST", "/v1/kv/bulk", { keys: [key] })).body.values).toHaveLength(1);
    const mutate = (mutation: object) => account.call("POST", "/v1/kv", { mutations: [mutation] });
    expect((await mutate({ key, value: "AAEC", version: 3 })).status).toBe(400);
    expect((await mutate({ key, value: null, version: 3 })).status).toBe(200);
    expect((await mutate({ key: `${key}.`, value: null, version: -1 })).status).toBe(400);
  });

  test("an artifact over a socket", async () => {
    const create = (id: string) =>
      phone.ask("artifact-create", { id, header: "", body: "", dataEncryptionKey: "" });
    expect(await create("a".repeat(101))).toMatchObject({ result: "error", message: "Invalid parameters" });
    expect(await create("a".repeat(100))).toMatchObject({ result: "success" });
    expect((await account.call("GET", `/v1/artifacts/${"a".repeat(100)}`)).status).toBe(200);
    expect((await account.call("DELETE", `/v1/artifacts/${"a".repeat(100)}`)).status).toBe(200);
  });

  test("identifiers end where an index would not hold them", async () => {
    const tag = (length: number) =>
      account.call("POST", "/v1/sessions", { tag: "t".repeat(length), metadata: "m" });
    expect([(await tag(16_384)).status, (await tag(16_385)).status]).toEqual([200, 400]);
  });
});

describe("over sockets", () => {
  const change = { expectedVersion: 0 };
  const events: [string, (id: string) => unknown, unknown][] = [
    ["update-metadata", (sid) => ({ sid, metadata: "m", ...change }), { result: "error" }],
    ["update-state", (sid) => ({ sid, agentState: "s", ...change }), { result: "error" }],
    [
      "machine-update-metadata",
      (machineId) => ({ machineId, metadata: "lost", ...change }),
      { result: "error" },
    ],
    [
      "machine-update-state",
      (machineId) => ({ machineId, daemonState: "lost", ...change }),
      { result: "error" },
    ],
    ["artifact-read", (artifactId) => ({ artifactId }), { result: "error" }],
    ["artifact-create", (id) => ({ id, header: "", body: "", dataEncryptionKey: "" }), { result: "error" }],
    [
      "artifact-update",
      (artifactId) => ({ artifactId, header: { data: "", ...change } }),
      { result: "error" },
    ],
    ["artifact-delete", (artifactId) => ({ artifactId }), { result: "error" }],
    ["access-key-get", (machineId) => ({ sessionId: sid, machineId }), { ok: false }],
    ["access-key-get", (sessionId) => ({ sessionId, machineId: "\ufffd" }), { ok: false }],
    ["usage-report", (key) => ({ key, tokens: { total: 1 }, cost: { total: 1 } }), { success: false }],
    [
      "usage-report",
      (sessionId) => ({ key: "k", sessionId, tokens: { total: 1 }, cost: { total: 1 } }),
      { success: false, error: "Invalid sessionId" },
    ],
    [
      "rpc-call",
      (method) => ({ method, params: 1 }),
      { ok: false, error: "Invalid parameters: method is required" },
    ],
  ];
  test.each(events)(
    "%s with an id that is not well-formed is refused in its own way (%#)",
    async (event, payload, refusal) => {
      const before = rows(server, COUNTS);
      for (const text of LONE) expect(await phone.ask(event, payload(text))).toMatchObject(refusal as object);
      expect(rows(server, COUNTS)).toEqual(before);
      const machine = await account.call("GET", "/v1/machines/%EF%BF%BD");
      expect(machine.body.machine).toMatchObject({ metadata: "the one with that name", daemonState: null });
    },
  );

  test("a message whose local id is not well-formed is not stored; others after it are", async () => {
    const count = () => rows<{ n: number }>(server, "SELECT count(*) AS n FROM messages")[0]?.n ?? 0;
    const before = count();
    for (const localId of LONE) phone.socket.emit("message", { sid, message: "m", localId });
    phone.socket.emit("message", { sid, message: "m", localId: crypto.randomUUID() });
    phone.socket.emit("message", { sid, message: "m", localId: 5 });
    phone.socket.emit("message", { sid, message: "m" });
    await phone.settled();
    expect(count() - before).toBe(3);
  });

  test("a heartbeat for a machine whose name is not well-formed wakes no other machine", async () => {
    for (const machineId of LONE) phone.socket.emit("machine-alive", { machineId, time: Date.now() });
    await phone.settled();
    expect((await account.call("GET", "/v1/machines/%EF%BF%BD")).body.machine.active).toBe(false);
  });

  test("a method is not registered under a name that is not well-formed", async () => {
    phone.socket.emit("rpc-register", { method: "\ud800" });
    expect(await phone.until(({ event }) => event === "rpc-error")).toEqual({
      type: "register",
      error: "Invalid method name",
    });
  });
});

test("raw bytes in a path that are no text name nothing that was registered by another name", async () => {
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("close", () => resolve(text));
    socket.on("error", reject);
    socket.write(
      Buffer.concat([
        Buffer.from("GET /v1/kv/"),
        Buffer.from([0xff]),
        Buffer.from(
          ` HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${account.token}\r\n\r\n`,
        ),
      ]),
    );
  });
  expect(answer).toMatch(/^HTTP\/1\.1 40[04] /);
});

const threeBytes = (unit: number) =>
  [0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f)]
    .map((byte) => `%${byte.toString(16).toUpperCase()}`)
    .join("");

const COUNTS = `SELECT (SELECT count(*) FROM sessions) AS sessions, (SELECT count(*) FROM messages) AS messages,
  (SELECT count(*) FROM machines) AS machines, (SELECT count(*) FROM artifacts) AS artifacts,
  (SELECT count(*) FROM kv_entries) AS kv, (SELECT count(*) FROM usage_reports) AS usage,
  (SELECT count(*) FROM relationships) AS relationships`;

// Sessions over HTTP: what each call answers, what it stores, who hears of it and who must not, and that a tag is one session however
// many ask for it at once (HTTP contract 6.1 to 6.4, 6.6, 6.7, 17, 19).
import { Database as Sqlite } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { audience } from "../../../test/support/happy-audience.ts";
import { type Account, type Answer, accountWith, newAccount } from "../../../test/support/happy-client.ts";
import { TEST_SECRET, type TestServer, testServer } from "../../../test/support/server.ts";
import { serverKeys } from "../auth/server-keys.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const MISSING = [404, { error: "Session not found" }];
const UNEXPECTED = [
  500,
  { error: "Internal Server Error", message: "An unexpected error occurred", statusCode: 500 },
];
const said = ({ status, body }: Answer) => [status, body];

async function open(account: Account, tag: string, more: object = {}) {
  const answer = await account.call("POST", "/v1/sessions", { tag, metadata: `metadata of ${tag}`, ...more });
  expect(answer.status).toBe(200);
  return answer.body.session;
}

const ids = (body: { sessions: { id: string }[] }) => body.sessions.map(({ id }) => id);

describe("POST /v1/sessions", () => {
  test("a new one is active, at version 0, without the agent state of the request, and told to phones only", async () => {
    const account = await newAccount(server.url);
    const all = await audience(account, "not yet known");
    const before = Date.now();
    const session = await open(account, "t", { agentState: "ignored", dataEncryptionKey: "AAEC", more: 1 });
    const { id, createdAt } = session;
    expect(session).toEqual({
      id: expect.stringMatching(/^c[a-z0-9]{24}$/),
      seq: 0,
      metadata: "metadata of t",
      metadataVersion: 0,
      agentState: null,
      agentStateVersion: 0,
      dataEncryptionKey: "AAEC",
      active: true,
      activeAt: createdAt,
      createdAt,
      updatedAt: createdAt,
      lastMessage: null,
    });
    expect(createdAt).toBeWithin(before, Date.now() + 1);
    const { lastMessage, ...announced } = session;
    expect(await all.heard()).toEqual({ phone: [[1, { t: "new-session", ...announced }]] });
    expect(lastMessage).toBeNull();
    const list = await account.call("GET", "/v1/sessions");
    expect(list.body).toEqual({ sessions: [session] });
    expect(ids(list.body)).toEqual([id]);
    all.close();
  });

  test("a known tag is returned unchanged, and nobody hears of it", async () => {
    const account = await newAccount(server.url);
    const session = await open(account, "t");
    const all = await audience(account, session.id);
    const again = await open(account, "t", { metadata: "other", dataEncryptionKey: "BBBB", agentState: "s" });
    expect(again).toEqual(session);
    expect(await all.heard()).toEqual({});
    expect(await open(all.stranger, "t")).not.toMatchObject({ id: session.id });
    expect(Object.keys(await all.heard())).toEqual(["strangersPhone"]);
    all.close();
  });

  test.each([
    [undefined, null],
    [null, null],
    ["", null],
    ["!!", null],
    ["AAEC", "AAEC"],
    ["AA", "AA=="],
    ["-_-_", "+/+/"],
    ["not base64!!", "notbase6"],
  ])("the key %j comes back as %j", async (given, expected) => {
    const account = await newAccount(server.url);
    const session = await open(account, "t", { dataEncryptionKey: given });
    expect(session.dataEncryptionKey).toBe(expected);
  });

  test.each(["", " ", "a\u0000b", "ü💡", "'; DROP TABLE sessions; --", "x".repeat(10_000)])(
    "tag and metadata number %# are kept to the byte",
    async (text) => {
      const account = await newAccount(server.url);
      const session = await open(account, text, { metadata: text });
      expect(session.metadata).toBe(text);
      expect((await open(account, text)).id).toBe(session.id);
      expect((await open(account, `${text}.`)).id).not.toBe(session.id);
      const [stored] = (await account.call("GET", "/v1/sessions")).body.sessions.slice(-1);
      expect(stored.metadata).toBe(text);
    },
  );

  test("40 that ask for one tag at once get one session, announced once", async () => {
    const account = await newAccount(server.url);
    const phone = await account.connect();
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        account.call("POST", "/v1/sessions", { tag: "race", metadata: String(index) }),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    await phone.settled();
    expect(phone.updates.map(({ seq, body }) => [seq, body.t])).toEqual([[1, "new-session"]]);
    phone.close();
  });

  test("ids sort as the sessions were made, also within one millisecond", async () => {
    const account = await newAccount(server.url);
    const phone = await account.connect();
    await Promise.all(Array.from({ length: 60 }, (_, index) => open(account, String(index))));
    await phone.settled();
    const made = phone.updates.map(({ body }) => body.id);
    expect(made).toHaveLength(60);
    expect(made).toEqual(made.toSorted());
    phone.close();
  });
});

describe("POST /v1/sessions/:sessionId/archive", () => {
  test("turns inactive now, tells phones, again each time, and late heartbeats are ignored until it is opened again", async () => {
    const account = await newAccount(server.url);
    const session = await open(account, "t");
    const all = await audience(account, session.id);
    for (let round = 0; round < 2; round++) {
      const before = Date.now();
      expect(said(await account.call("POST", `/v1/sessions/${session.id}/archive`))).toEqual([
        200,
        { success: true },
      ]);
      const { body } = await account.call("GET", "/v1/sessions");
      const { active, activeAt } = body.sessions[0];
      expect([active, activeAt]).toEqual([false, expect.any(Number)]);
      expect(activeAt).toBeWithin(before, Date.now() + 1);
      const told = { type: "activity", id: session.id, active: false, activeAt, thinking: false };
      expect(await all.heard()).toEqual({ phone: [told] });
    }
    const heartbeat = { sid: session.id, time: Date.now() };
    all.sockets.phone?.socket.emit("session-alive", heartbeat);
    expect(await all.heard()).toEqual({});
    await open(account, "t");
    all.sockets.phone?.socket.emit("session-alive", heartbeat);
    expect(await all.heard()).toMatchObject({ phone: [{ type: "activity", active: true }] });
    all.close();
  });

  test("a stranger's call neither ends it nor silences it", async () => {
    const account = await newAccount(server.url);
    const session = await open(account, "t");
    const all = await audience(account, session.id);
    expect(said(await all.stranger.call("POST", `/v1/sessions/${session.id}/archive`))).toEqual(MISSING);
    all.sockets.phone?.socket.emit("session-alive", { sid: session.id, time: Date.now() });
    expect(await all.heard()).toMatchObject({ phone: [{ type: "activity", active: true }] });
    expect((await account.call("GET", "/v1/sessions")).body.sessions[0].active).toBe(true);
    all.close();
  });
});

describe("DELETE /v1/sessions/:sessionId", () => {
  const GONE = [404, { error: "Session not found or not owned by user" }];

  test("takes with it all that belongs to it, and tells phones", async () => {
    const account = await newAccount(server.url);
    const [session, kept] = [await open(account, "t"), await open(account, "kept")];
    const sid = session.id;
    await account.call("POST", "/v1/machines", { id: `m-${sid}`, metadata: "" });
    for (const id of [sid, kept.id]) {
      await account.call("POST", `/v3/sessions/${id}/messages`, {
        messages: [{ content: "c", localId: "a" }],
      });
      await account.call("POST", `/v1/access-keys/${id}/m-${sid}`, { data: "d" });
    }
    const all = await audience(account, sid);
    await all.sockets.phone?.ask("usage-report", {
      key: "k",
      sessionId: sid,
      tokens: { total: 1 },
      cost: { total: 1 },
    });
    await all.heard();
    const upload = `/v1/sessions/${sid}/attachments/f.enc`;
    await fetch(`${server.url}${upload}`, {
      method: "PUT",
      headers: { authorization: `Bearer ${account.token}`, "content-type": "application/octet-stream" },
      body: new Uint8Array(3),
    });
    expect((await account.call("GET", upload)).status).toBe(200);

    expect(said(await all.stranger.call("DELETE", `/v1/sessions/${sid}`))).toEqual(GONE);
    expect(await all.heard()).toEqual({});
    const { body: page } = await account.call("GET", "/v1/account/profile");
    expect(page.id).toBe(account.id);
    expect(said(await account.call("DELETE", `/v1/sessions/${sid}`))).toEqual([200, { success: true }]);
    expect(await all.heard()).toEqual({ phone: [[expect.any(Number), { t: "delete-session", sid }]] });
    expect(said(await account.call("DELETE", `/v1/sessions/${sid}`))).toEqual(GONE);
    expect(await all.heard()).toEqual({});

    const sqlite = new Sqlite(join(server.dataDir, "happy.db"), { readonly: true, strict: true });
    for (const table of ["messages", "usage_reports", "access_keys"]) {
      const orphans = sqlite.query(
        `SELECT count(*) AS n FROM ${table} WHERE session_pk NOT IN (SELECT pk FROM sessions)`,
      );
      expect([table, orphans.get()]).toEqual([table, { n: 0 }]);
    }
    sqlite.close();
    expect((await account.call("GET", `/v1/sessions/${kept.id}/messages`)).body.messages).toHaveLength(1);
    expect(said(await account.call("GET", `/v3/sessions/${sid}/messages`))).toEqual(MISSING);
    expect(said(await account.call("GET", upload))).toEqual(MISSING);
    expect((await open(account, "t")).id).not.toBe(sid);
    all.close();
  });

  test("works with a JSON content type and no body, as apps send it", async () => {
    const account = await newAccount(server.url);
    const { id } = await open(account, "t");
    const headers = { authorization: `Bearer ${account.token}`, "content-type": "application/json" };
    const answer = await fetch(`${server.url}/v1/sessions/${id}`, { method: "DELETE", headers });
    expect([answer.status, await answer.json()]).toEqual([200, { success: true }]);
  });

  test("of ten at once one succeeds, and one update is sent", async () => {
    const account = await newAccount(server.url);
    const { id } = await open(account, "t");
    const phone = await account.connect();
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => account.call("DELETE", `/v1/sessions/${id}`)),
    );
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, ...Array(9).fill(404)]);
    await phone.settled();
    expect(phone.updates.map(({ body }) => body)).toEqual([{ t: "delete-session", sid: id }]);
    phone.close();
  });
});

describe("PUT /v1/sessions/:sessionId", () => {
  test("swaps what was expected, both parts or none, and tells phones and the session", async () => {
    const account = await newAccount(server.url);
    const { id } = await open(account, "t");
    const all = await audience(account, id);
    const put = async (body: object) => said(await account.call("PUT", `/v1/sessions/${id}`, body));
    const everyone = (...updates: unknown[]) => ({ phone: updates, session: updates });

    expect(await put({ metadata: "m1", expectedMetadataVersion: 0 })).toEqual([
      200,
      { success: true, metadataVersion: 1 },
    ]);
    expect(await all.heard()).toEqual(
      everyone([2, { t: "update-session", id, metadata: { value: "m1", version: 1 } }]),
    );

    const both = {
      metadata: "m2",
      expectedMetadataVersion: 1,
      agentState: "a1",
      expectedAgentStateVersion: 0,
    };
    expect(await put(both)).toEqual([200, { success: true, metadataVersion: 2, agentStateVersion: 1 }]);
    expect(await all.heard()).toEqual(
      everyone(
        [3, { t: "update-session", id, metadata: { value: "m2", version: 2 } }],
        [4, { t: "update-session", id, agentState: { value: "a1", version: 1 } }],
      ),
    );

    expect(await put({ ...both, metadata: "m3", expectedMetadataVersion: 2 })).toEqual([
      200,
      { success: false, error: "version-mismatch", currentAgentStateVersion: 1, currentAgentState: "a1" },
    ]);
    expect(await put({ metadata: "m3", expectedMetadataVersion: 1 })).toEqual([
      200,
      { success: false, error: "version-mismatch", currentMetadataVersion: 2, currentMetadata: "m2" },
    ]);
    expect(await put({ metadata: "without a version" })).toEqual([200, { success: true }]);
    expect(await all.heard()).toEqual({});

    expect(await put({ agentState: null, expectedAgentStateVersion: 1 })).toEqual([
      200,
      { success: true, agentStateVersion: 2 },
    ]);
    expect(await all.heard()).toEqual(
      everyone([5, { t: "update-session", id, agentState: { value: null, version: 2 } }]),
    );
    const [stored] = (await account.call("GET", "/v1/sessions")).body.sessions;
    expect(stored).toMatchObject({
      metadata: "m2",
      metadataVersion: 2,
      agentState: null,
      agentStateVersion: 2,
    });

    expect(
      said(
        await all.stranger.call("PUT", `/v1/sessions/${id}`, { metadata: "x", expectedMetadataVersion: 2 }),
      ),
    ).toEqual(MISSING);
    expect((await put({ metadata: null, expectedMetadataVersion: 2 }))[0]).toBe(400);
    expect(await all.heard()).toEqual({});
    all.close();
  });

  test("of ten writers that expect the same version one wins", async () => {
    const account = await newAccount(server.url);
    const { id } = await open(account, "t");
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        account.call("PUT", `/v1/sessions/${id}`, { metadata: String(index), expectedMetadataVersion: 0 }),
      ),
    );
    expect(answers.filter(({ body }) => body.success)).toHaveLength(1);
    const winner = answers.findIndex(({ body }) => body.success);
    expect((await account.call("GET", "/v1/sessions")).body.sessions[0].metadata).toBe(String(winner));
  });
});

test("a valid token without an account reads nothing, connects, and fails to write", async () => {
  const token = await serverKeys(TEST_SECRET).bearer.issue({ account: "cnobody" });
  const ghost = accountWith(server.url, token);
  expect(said(await ghost.call("GET", "/v1/sessions"))).toEqual([200, { sessions: [] }]);
  expect(said(await ghost.call("GET", "/v2/sessions/active"))).toEqual([200, { sessions: [] }]);
  expect(said(await ghost.call("GET", "/v2/sessions"))).toEqual([
    200,
    { sessions: [], nextCursor: null, hasNext: false },
  ]);
  expect(said(await ghost.call("GET", "/v1/machines"))).toEqual([200, []]);
  expect(said(await ghost.call("POST", "/v1/sessions", { tag: "t", metadata: "m" }))).toEqual(UNEXPECTED);
  expect(said(await ghost.call("POST", "/v1/machines", { id: "ghost", metadata: "m" }))).toEqual(UNEXPECTED);
  expect(said(await ghost.call("POST", "/v1/sessions/none/archive"))).toEqual(MISSING);
  const socket = await ghost.connect();
  expect(await socket.ask("update-metadata", { sid: "none", metadata: "", expectedVersion: 0 })).toEqual({
    result: "error",
  });
  socket.close();
});

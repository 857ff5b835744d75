// What somebody who has only the contract would try first: every endpoint of its master table is there (HTTP contract 22), and the
// short list of black-box checks and vectors (21) holds.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { serverKeys } from "../../src/happy/auth/server-keys.ts";
import { type Account, type Answer, accountWith, call, newAccount } from "../support/happy-client.ts";
import { ask } from "../support/raw-http.ts";
import { type TestServer, testServer } from "../support/server.ts";

const SECRET = "compat-probe-0";

let server: TestServer;
let account: Account;
beforeAll(async () => {
  server = await testServer({ masterSecret: SECRET });
  account = await newAccount(server.url);
});
afterAll(() => server.stop());

const said = ({ status, body }: Answer) => [status, body];
const openSession = async (owner: Account): Promise<string> =>
  (await owner.call("POST", "/v1/sessions", { tag: crypto.randomUUID(), metadata: "bQ==" })).body.session.id;

describe("every endpoint of the master table is somebody's", () => {
  const open = `
    GET /
    GET /health
    GET /files/public/none
    POST /v1/auth
    POST /v1/auth/request
    GET /v1/auth/request/status
    POST /v1/auth/account/request
    GET /v1/connect/github/callback
    POST /v1/connect/github/webhook
    POST /v1/version
    GET /v1/version`;
  const bearer = `
    POST /v1/auth/response
    POST /v1/auth/account/response
    GET /v1/account/profile
    GET /v1/account/settings
    POST /v1/account/settings
    POST /v1/usage/query
    GET /v1/sessions
    GET /v2/sessions/active
    GET /v2/sessions
    POST /v1/sessions
    GET /v1/sessions/x/messages
    POST /v1/sessions/x/archive
    DELETE /v1/sessions/x
    GET /v3/sessions/x/messages
    POST /v3/sessions/x/messages
    POST /v1/sessions/x/attachments/request-upload
    PUT /v1/sessions/x/attachments/f
    POST /v1/sessions/x/attachments/request-download
    GET /v1/sessions/x/attachments/f
    POST /v1/sessions/x/push-event
    POST /v1/push-tokens
    DELETE /v1/push-tokens/x
    GET /v1/push-tokens
    POST /v1/machines
    GET /v1/machines
    GET /v1/machines/x
    DELETE /v1/machines/x
    GET /v1/access-keys/x/y
    POST /v1/access-keys/x/y
    PUT /v1/access-keys/x/y
    GET /v1/artifacts
    GET /v1/artifacts/x
    POST /v1/artifacts
    POST /v1/artifacts/x
    DELETE /v1/artifacts/x
    GET /v1/kv/x
    GET /v1/kv
    POST /v1/kv/bulk
    POST /v1/kv
    GET /v1/connect/github/params
    DELETE /v1/connect/github
    POST /v1/connect/openai/register
    GET /v1/connect/openai/token
    DELETE /v1/connect/openai
    GET /v1/connect/tokens
    GET /v1/user/x
    GET /v1/user/search
    POST /v1/friends/add
    POST /v1/friends/remove
    GET /v1/friends
    GET /v1/feed
    POST /v1/voice/conversations
    GET /v1/voice/usage
    PUT /v1/sessions/x
    PUT /v1/machines/x
    PUT /v1/kv/x
    DELETE /v1/kv/x
    PUT /v1/artifacts/x
    POST /v1/push/register
    DELETE /v1/push/unregister
    GET /v1/account
    PUT /v1/account
    GET /v1/connect
    POST /v1/voice
    GET /v1/accessKeys`;
  const rows = (table: string): [string, string][] =>
    table
      .trim()
      .split("\n")
      .map((row) => row.trim().split(" ") as [string, string]);
  // A body that no schema accepts, so that trying changes nothing; what has no schema gets it too and ignores it.
  const attempt = (token: string | undefined, method: string, path: string) =>
    call(server.url, token, method, path, method === "GET" ? undefined : []);
  const isNobodys = ({ status, body }: Answer, path: string) => status === 404 && body.path === path;

  test.each(rows(open))("%s %s, without a token", async (method, path) => {
    const answer = await attempt(undefined, method, path);
    expect([isNobodys(answer, path), answer.status === 401]).toEqual([false, false]);
  });

  test.each(rows(bearer))("%s %s, with a token", async (method, path) => {
    const answer = await attempt(account.token, method, path);
    expect(isNobodys(answer, path)).toBe(false);
    const anonymous = await attempt(undefined, method, path);
    // A wrong body or query is told first.
    expect([400, 401]).toContain(anonymous.status);
    if (anonymous.status === 401) expect(anonymous.body).toEqual({ error: "Missing authorization header" });
  });

  test.each([
    ["GET", "/metrics"],
    ["POST", "/logs-combined-from-cli-and-mobile-for-simple-ai-debugging"],
    ["POST", "/v1/voice/token"],
    ["POST", "/v1/dev/logs"],
    ["GET", "/v1/updates"],
  ])("%s %s is nobody's on a server that was told nothing", async (method, path) => {
    expect(isNobodys(await attempt(account.token, method, path), path)).toBe(true);
  });

  test("Socket.IO /v1/updates/", async () => {
    const handshake = await call(server.url, undefined, "GET", "/v1/updates/?EIO=4&transport=polling");
    expect(JSON.parse(handshake.body.slice(1))).toEqual({
      sid: expect.any(String),
      upgrades: ["websocket"],
      pingInterval: 15_000,
      pingTimeout: 45_000,
      maxPayload: 1_000_000,
    });
  });
});

describe("vectors", () => {
  test("the original's token verifies", async () => {
    const token =
      "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJsZWdhY3ktbm9kZS11c2VyIiwicHJvdmVuYW5jZSI6InByaXZhY3kta2l0LTAuMC4yNS1ub2RlIiwiaWF0Ijo5NDY2ODQ4MDAsIm5iZiI6OTQ2Njg0ODAwLCJpc3MiOiJoYW5keSIsImp0aSI6ImM5YjFiMTNjLTk5MjUtNDBmYy1iMDE5LWFlMzRiNDg2NzUxNyJ9.fxMFx-QExdVNDwOMMXIo34aVn_YoWk9gH5w_AfAcE0yh6xxR2dsVfizBJ1zix6ZygEPgQpv_RIFE-5h9xf-OCw";
    const ghost = accountWith(server.url, token);
    expect([ghost.id, said(await ghost.call("GET", "/v1/sessions"))]).toEqual([
      "legacy-node-user",
      [200, { sessions: [] }],
    ]);
    const swapped = `${token.slice(0, -2)}${token.endsWith("w") ? "A" : "w"}A`;
    expect((await accountWith(server.url, swapped).call("GET", "/v1/sessions")).status).toBe(401);
    // Two tokens of one issue are one token: the third part is made again exactly.
    const issue = {
      account: "legacy-node-user",
      id: "c9b1b13c-9925-40fc-b019-ae34b4867517",
      issuedAt: 946_684_800,
    };
    const extra = { provenance: "privacy-kit-0.0.25-node" };
    expect(await serverKeys(SECRET).bearer.issue({ ...issue, extra })).toBe(token);
  });

  test("our own token has the claims, in order, and a payload that plain base64 reads", async () => {
    const [header = "", payload = "", signature] = account.token.split(".");
    expect([atob(header), signature?.length]).toEqual(['{"alg":"EdDSA"}', 86]);
    expect(payload).not.toMatch(/[-_]/);
    const claims = JSON.parse(atob(payload));
    expect(Object.keys(claims)).toEqual(["sub", "iat", "nbf", "iss", "jti"]);
    expect(claims).toMatchObject({ sub: account.id, nbf: claims.iat, iss: "handy" });
  });

  test("the login", async () => {
    const login = {
      publicKey: "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=",
      challenge: "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
      signature: "DhvQbGq5jvNUcBoAxVcV0bZakV2Ji59o6OSLA3w0XFZ1okP+6uPnxN7KLabTQIVO3FuGZVRh502dZeAjM1IfDg==",
    };
    const wrong = Buffer.from(login.signature, "base64");
    wrong[0] = 255 - (wrong[0] ?? 0);
    const send = (body: object) => call(server.url, undefined, "POST", "/v1/auth", body);
    expect(said(await send({ ...login, signature: wrong.toString("base64") }))).toEqual([
      401,
      { error: "Invalid signature" },
    ]);
    const first = await send(login);
    expect([first.status, first.body.success]).toEqual([200, true]);
    const unpadded = Object.fromEntries(
      Object.entries(login).map(([name, text]) => [name, text.replace(/=+$/, "")]),
    );
    const again = await send(unpadded);
    expect(again.status).toBe(200);
    expect(accountWith(server.url, again.body.token).id).toBe(accountWith(server.url, first.body.token).id);
  });
});

describe("the short list", () => {
  test("400 comes before 401", async () => {
    expect((await call(server.url, undefined, "POST", "/v1/sessions", {})).status).toBe(400);
    expect(
      (await call(server.url, undefined, "POST", "/v1/sessions", { tag: "", metadata: "" })).status,
    ).toBe(401);
  });

  test("an unknown path is repeated with its query", async () => {
    expect(said(await account.call("GET", "/v1/nope?x=1"))).toEqual([
      404,
      { error: "Not found", path: "/v1/nope?x=1", method: "GET" },
    ]);
  });

  test("preflight: 204 on an unknown path, 400 without an origin", async () => {
    const method = "Access-Control-Request-Method: POST\r\n";
    expect(
      (await ask(server.url, "OPTIONS", "/v1/nope", `Origin: https://a.example\r\n${method}`)).status,
    ).toBe(204);
    expect((await ask(server.url, "OPTIONS", "/v1/nope", method)).status).toBe(400);
  });

  test("DELETE with a JSON content type and an empty body", async () => {
    const headers = `Authorization: Bearer ${account.token}\r\nContent-Type: application/json\r\n`;
    const { status, json } = await ask(
      server.url,
      "DELETE",
      "/v1/push-tokens/ExponentPushToken%5Bx%5D",
      headers,
    );
    expect([status, json]).toEqual([200, { success: true }]);
  });

  test("a key: -1 to 0 to 1 to tombstone 2, and -1 is refused with version 2", async () => {
    const mutate = async (value: string | null, version: number) =>
      said(await account.call("POST", "/v1/kv", { mutations: [{ key: "k", value, version }] }));
    const done = (version: number) => [200, { success: true, results: [{ key: "k", version }] }];
    expect(await mutate("AA==", -1)).toEqual(done(0));
    expect(await mutate("AQ==", 0)).toEqual(done(1));
    expect(await mutate(null, 1)).toEqual(done(2));
    expect(await mutate("AA==", -1)).toEqual([
      409,
      { success: false, errors: [{ key: "k", error: "version-mismatch", version: 2, value: null }] },
    ]);
  });

  test("v3: a localId twice, in one request and across two; the app's first page", async () => {
    const path = `/v3/sessions/${await openSession(account)}/messages`;
    const post = async (...localIds: string[]) => {
      const messages = localIds.map((localId) => ({ localId, content: localId }));
      const { body } = await account.call("POST", path, { messages });
      return body.messages.map(({ seq, localId }: { seq: number; localId: string }) => [seq, localId]);
    };
    expect(await post("a", "a", "b")).toEqual([
      [1, "a"],
      [2, "b"],
    ]);
    expect(await post("b", "c")).toEqual([
      [2, "b"],
      [3, "c"],
    ]);
    const { body } = await account.call("GET", `${path}?before_seq=2147483647&limit=100`);
    expect([body.messages.map(({ seq }: { seq: number }) => seq), body.hasMore]).toEqual([[3, 2, 1], false]);
  });

  test("an artifact's empty update counts", async () => {
    const id = crypto.randomUUID();
    await account.call("POST", "/v1/artifacts", { id, header: "", body: "", dataEncryptionKey: "" });
    expect(said(await account.call("POST", `/v1/artifacts/${id}`, {}))).toEqual([200, { success: true }]);
    expect((await account.call("GET", `/v1/artifacts/${id}`)).body).toMatchObject({
      seq: 1,
      headerVersion: 1,
    });
  });

  test("friends: asked, accepted, removed", async () => {
    const other = await newAccount(server.url);
    const status = async (who: Account, what: string, whom: Account) =>
      (await who.call("POST", `/v1/friends/${what}`, { uid: whom.id })).body.user.status;
    expect(await status(account, "add", other)).toBe("requested");
    expect(await status(other, "add", account)).toBe("friend");
    expect(await status(account, "remove", other)).toBe("requested");
    expect(await status(account, "remove", other)).toBe("none");
    expect((await account.call("POST", "/v1/friends/add", { uid: account.id })).body).toEqual({ user: null });
  });

  test("a settings mismatch is 200", async () => {
    const write = (settings: string | null, expectedVersion: number) =>
      account.call("POST", "/v1/account/settings", { settings, expectedVersion });
    expect(said(await write("s", 0))).toEqual([200, { success: true, version: 1 }]);
    expect(said(await write("t", 0))).toEqual([
      200,
      { success: false, error: "version-mismatch", currentVersion: 1, currentSettings: "s" },
    ]);
  });

  test("a server address that ends in a slash works for every client that joins it with a path", async () => {
    const slashed = `${server.url}/`;
    const same = await newAccount(slashed);
    expect((await same.call("GET", "/v1/account/profile")).body.id).toBe(same.id);
    const sid = await openSession(same);
    const phone = await same.connect();
    const path = `/v3/sessions/${sid}/messages`;
    await same.call("POST", path, { messages: [{ content: "c", localId: "a" }] });
    expect((await phone.untilUpdate("new-message")).body.sid).toBe(sid);
    phone.close();
  });
});

// Attachments from the request for an address to the deletion of the session, with every refusal on the way (HTTP contract 7).
import { Database as Sqlite } from "bun:sqlite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { type Account, newAccount } from "../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";
import { until } from "../../../test/support/until.ts";

const MAX_BYTES = 10 * 1024 * 1024;

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

let account: Account;
let sid: string;
beforeEach(async () => {
  account = await newAccount(server.url);
  sid = await openSession(account);
});

async function openSession(owner: Account): Promise<string> {
  return (await owner.call("POST", "/v1/sessions", { tag: "t", metadata: "bQ==" })).body.session.id;
}

const base = () => `/v1/sessions/${sid}/attachments`;
const requestUpload = (size: number, as = account) =>
  as.call("POST", `${base()}/request-upload`, { filename: "cat.png", size });
const requestDownload = (body: unknown) => account.call("POST", `${base()}/request-download`, body);

type Body = NonNullable<RequestInit["body"]> | null;

interface Sent {
  readonly status: number;
  readonly body: unknown;
}

/** PUT with a chosen content type; null sends none. */
async function put(
  path: string,
  body: Body,
  type: string | null = "application/octet-stream",
  token: string | null = account.token,
): Promise<Sent> {
  const headers = new Headers();
  if (type !== null) headers.set("content-type", type);
  if (token !== null) headers.set("authorization", `Bearer ${token}`);
  const response = await fetch(new URL(path, server.url), { method: "PUT", headers, body });
  return { status: response.status, body: await response.json() };
}

const get = (path: string, init: RequestInit = {}) =>
  fetch(new URL(path, server.url), {
    redirect: "manual",
    ...init,
    headers: { authorization: `Bearer ${account.token}`, ...(init.headers as Record<string, string>) },
  });

const folder = () => join(server.dataDir, "files", "sessions", sid, "attachments");
const stored = () => (existsSync(folder()) ? readdirSync(folder()) : []);

test("a blob goes up to the address given, and comes down from the address of its ref", async () => {
  const listener = await account.connect();
  const bytes = crypto.getRandomValues(new Uint8Array(50_000));
  const asked = await requestUpload(bytes.length);
  expect(asked.status).toBe(200);
  const file = /^sessions\/[^/]+\/attachments\/([0-9a-f-]{36}\.enc)$/.exec(asked.body.ref)?.[1];
  expect(asked.body).toEqual({
    ref: `sessions/${sid}/attachments/${file}`,
    uploadUrl: `${server.url}${base()}/${file}`,
    method: "PUT",
  });
  expect(await put(asked.body.uploadUrl, bytes)).toEqual({ status: 200, body: { ok: true } });
  const offered = await requestDownload({ ref: asked.body.ref });
  expect(offered).toMatchObject({ status: 200, body: { downloadUrl: asked.body.uploadUrl } });
  const down = await get(offered.body.downloadUrl);
  expect(down.status).toBe(200);
  expect(down.headers.get("content-type")).toBe("application/octet-stream");
  expect(down.headers.get("content-length")).toBe("50000");
  expect(new Uint8Array(await down.arrayBuffer())).toEqual(bytes);
  const head = await get(offered.body.downloadUrl, { method: "HEAD" });
  expect([head.status, head.headers.get("content-length")]).toEqual([200, "50000"]);
  await listener.settled();
  expect(listener.heard).toEqual([]);
  listener.close();
});

test("the address given begins with the one that the client uses", async () => {
  const response = await fetch(`${server.url}${base()}/request-upload`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${account.token}`,
      "content-type": "application/json",
      "x-forwarded-host": "happy.example:8443",
      "x-forwarded-proto": "https",
    },
    body: JSON.stringify({ filename: "", size: -1 }),
  });
  const { uploadUrl } = (await response.json()) as { uploadUrl: string };
  expect(uploadUrl).toStartWith(`https://happy.example:8443${base()}/`);
});

describe("a request to upload", () => {
  const requests: [string, unknown, number, unknown][] = [
    ["the largest", { filename: "a", size: MAX_BYTES }, 200, { method: "PUT" }],
    ["a fraction", { filename: "", size: 0.5 }, 200, { method: "PUT" }],
    [
      "one byte too many",
      { filename: "a", size: MAX_BYTES + 1 },
      413,
      { error: "File too large (max 10MB)" },
    ],
    [
      "no size",
      { filename: "a" },
      400,
      {
        error: "Error",
        message: "body/size Invalid input: expected number, received undefined",
        statusCode: 400,
      },
    ],
    ["no name", { size: 1 }, 400, { error: "Error" }],
    ["a size in words", { filename: "a", size: "1" }, 400, { error: "Error" }],
  ];
  test.each(requests)("of %s", async (_, body, status, answer) => {
    expect(await account.call("POST", `${base()}/request-upload`, body)).toMatchObject({
      status,
      body: answer,
    });
  });

  test("may be made 60 times a minute and account, failures included", async () => {
    const stranger = await newAccount(server.url);
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => requestUpload(index % 2 === 0 ? 1 : MAX_BYTES + 1, stranger)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]));
    const refused = await requestUpload(1, stranger);
    expect([refused.status, refused.body]).toEqual([
      429,
      { error: "Too many upload requests. Try again in a minute." },
    ]);
    const wait = Number(refused.headers.get("retry-after"));
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(60);
    expect((await requestUpload(1)).status).toBe(200);
  });
});

describe("an upload", () => {
  const INTERNAL = {
    error: "Internal Server Error",
    message: "An unexpected error occurred",
    statusCode: 500,
  };
  const unsupported = (type: string) => ({
    error: "FastifyError",
    message: `Unsupported Media Type: ${type}`,
    statusCode: 415,
  });
  const uploads: [string, string, Body, string | null, number, unknown, string[]][] = [
    ["of bytes", "a.enc", "x", "application/octet-stream", 200, { ok: true }, ["a.enc"]],
    ["of text", "a.enc", "x", "text/plain", 200, { ok: true }, ["a.enc"]],
    ["of nothing", "a.enc", null, "application/octet-stream", 200, { ok: true }, ["a.enc"]],
    ["under any name", "%C3%BC%20%25", "x", "application/octet-stream", 200, { ok: true }, ["%c3%bc%20%25"]],
    ["of JSON", "a.enc", "{}", "application/json", 500, INTERNAL, []],
    [
      "of broken JSON",
      "a.enc",
      "{",
      "application/json",
      400,
      expect.objectContaining({ error: "SyntaxError" }),
      [],
    ],
    ["without body and type", "a.enc", null, null, 500, INTERNAL, []],
    ["of an image", "a.enc", "x", "image/png", 415, unsupported("image/png"), []],
    [
      "out of the folder",
      "..%2F..%2Fx",
      "x",
      "application/octet-stream",
      404,
      { error: "Invalid attachment file" },
      [],
    ],
    ["with a slash", "a%2Fb", "x", "application/octet-stream", 404, { error: "Invalid attachment file" }, []],
    ["with two dots", "a..b", "x", "application/octet-stream", 404, { error: "Invalid attachment file" }, []],
    ["without a name", "", "x", "application/octet-stream", 404, { error: "Invalid attachment file" }, []],
  ];
  test.each(uploads)("%s", async (_, file, body, type, status, answer, files) => {
    expect(await put(`${base()}/${file}`, body, type)).toEqual({ status, body: answer });
    expect(stored()).toEqual(files);
  });

  test("of bytes without a type is refused before the token is looked at", async () => {
    const request = `PUT ${base()}/a.enc HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx`;
    const answer = await raw(request);
    expect(answer).toStartWith("HTTP/1.1 415 ");
    expect(answer).toContain("Unsupported Media Type: undefined");
  });

  test("replaces what was there", async () => {
    await put(`${base()}/a.enc`, "one");
    await put(`${base()}/a.enc`, "two");
    expect(await (await get(`${base()}/a.enc`)).text()).toBe("two");
  });

  test("may have 10 MiB and not a byte more, whether its length was told or not", async () => {
    const most = new Uint8Array(MAX_BYTES);
    const more = new Uint8Array(MAX_BYTES + 1);
    const chunked = (bytes: Uint8Array) =>
      new ReadableStream({
        start(controller) {
          for (let at = 0; at < bytes.length; at += 65_536) controller.enqueue(bytes.slice(at, at + 65_536));
          controller.close();
        },
      });
    const refusal = { status: 413, body: { error: "File too large (max 10MB)" } };
    expect(await put(`${base()}/told`, most)).toEqual({ status: 200, body: { ok: true } });
    expect(await put(`${base()}/untold`, chunked(most))).toEqual({ status: 200, body: { ok: true } });
    expect(await put(`${base()}/a`, more)).toEqual(refusal);
    expect(await put(`${base()}/b`, chunked(more))).toEqual(refusal);
    expect(stored().sort()).toEqual(["told", "untold"]);
    const down = await get(`${base()}/untold`);
    expect((await down.arrayBuffer()).byteLength).toBe(MAX_BYTES);
  });

  test("past the limit of all requests is told so in the short form", async () => {
    const head = `PUT ${base()}/a.enc HTTP/1.1\r\nHost: h\r\nContent-Type: application/octet-stream\r\n`;
    const answer = await raw(`${head}Content-Length: 104857601\r\nConnection: close\r\n\r\n`);
    expect(answer).toStartWith("HTTP/1.1 413 ");
    expect(answer).toEndWith('\r\n\r\n{"error":"FastifyError"}');
  });

  test.each(["Content-Length: 100000", "Transfer-Encoding: chunked"])(
    "that breaks off (%s) leaves no file",
    async (length) => {
      const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
      const part = "x".repeat(30_000);
      socket.write(
        `PUT ${base()}/a.enc HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${account.token}\r\n` +
          `Content-Type: application/octet-stream\r\n${length}\r\n\r\n` +
          (length.startsWith("T") ? `${part.length.toString(16)}\r\n${part}\r\n` : part),
      );
      await until("what is stored", () => stored().length === 1);
      expect(stored()[0]).toStartWith(".part-");
      socket.destroy();
      await until("what is stored", () => stored().length === 0);
      expect((await get(`${base()}/a.enc`)).status).toBe(404);
    },
  );

  test("of somebody else's session, or without a token, is refused", async () => {
    const stranger = await newAccount(server.url);
    const path = `${base()}/a.enc`;
    expect(await put(path, "x", undefined, stranger.token)).toEqual({
      status: 404,
      body: { error: "Session not found" },
    });
    expect(await put(path, "x", undefined, null)).toEqual({
      status: 401,
      body: { error: "Missing authorization header" },
    });
    expect(stored()).toEqual([]);
  });
});

describe("a request to download", () => {
  const NOT_HERE = { error: "Ref does not belong to this session" };
  const INVALID = { error: "Invalid attachment ref" };
  const refs: [string, (sid: string) => unknown, number, unknown][] = [
    ["of another session", () => ({ ref: "sessions/other/attachments/a" }), 400, NOT_HERE],
    ["of something else", () => ({ ref: "" }), 400, NOT_HERE],
    ["of no file", (id) => ({ ref: `sessions/${id}/attachments/` }), 400, INVALID],
    ["of a folder", (id) => ({ ref: `sessions/${id}/attachments/a/b` }), 400, INVALID],
    ["of what lies outside", (id) => ({ ref: `sessions/${id}/attachments/..` }), 400, INVALID],
    ["without a ref", () => ({}), 400, { error: "Error" }],
    ["that is no JSON", () => "{", 400, { error: "SyntaxError" }],
  ];
  test.each(refs)("%s", async (_, body, status, answer) => {
    const { status: got, body: text } = await requestDownload(body(sid));
    expect([got, text]).toEqual([status, answer]);
  });

  test("does not ask whether the blob is there", async () => {
    const { body } = await requestDownload({ ref: `sessions/${sid}/attachments/none.enc` });
    expect(body).toEqual({ downloadUrl: `${server.url}${base()}/none.enc` });
  });
});

describe("a download", () => {
  test.each([
    ["none.enc", { error: "Attachment not found" }],
    ["..%2Fx", { error: "Invalid attachment file" }],
    ["a%2Fb", { error: "Invalid attachment file" }],
    ["", { error: "Invalid attachment file" }],
  ])("of %j is refused", async (file, answer) => {
    const response = await get(`${base()}/${file}`);
    expect([response.status, await response.json()]).toEqual([404, answer]);
  });

  test("is for the owner of the session only", async () => {
    await put(`${base()}/a.enc`, "x");
    const stranger = await newAccount(server.url);
    for (const [method, path, body] of [
      ["GET", `${base()}/a.enc`, undefined],
      ["POST", `${base()}/request-download`, { ref: `sessions/${sid}/attachments/a.enc` }],
      ["POST", `${base()}/request-upload`, { filename: "a", size: 1 }],
    ] as const) {
      const answer = await stranger.call(method, path, body);
      expect([answer.status, answer.body]).toEqual([404, { error: "Session not found" }]);
    }
    expect((await fetch(new URL(`${base()}/a.enc`, server.url))).status).toBe(401);
  });
});

describe("the session's end", () => {
  test("takes its attachments along, and no others", async () => {
    const other = (await account.call("POST", "/v1/sessions", { tag: "u", metadata: "bQ==" })).body.session
      .id;
    await put(`${base()}/a.enc`, "x");
    await put(`/v1/sessions/${other}/attachments/b.enc`, "y");
    expect((await account.call("DELETE", `/v1/sessions/${sid}`)).body).toEqual({ success: true });
    expect(readdirSync(join(server.dataDir, "files", "sessions"))).not.toContain(sid);
    expect(await (await get(`/v1/sessions/${other}/attachments/b.enc`)).text()).toBe("y");
  });

  const byRow = async () => {
    // The folder was removed just before the upload made it.
    const database = new Sqlite(join(server.dataDir, "happy.db"));
    database.query("DELETE FROM sessions WHERE id = ?").run(sid);
    database.close();
  };
  const byCall = async () => {
    await account.call("DELETE", `/v1/sessions/${sid}`);
  };
  test.each([
    ["with its folder", byCall],
    ["without", byRow],
  ])("during an upload leaves nothing of it (%s)", async (_, end) => {
    const gate = Promise.withResolvers<void>();
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(new Uint8Array(100));
        await gate.promise;
        controller.enqueue(new Uint8Array(100));
        controller.close();
      },
    });
    const uploading = put(`${base()}/a.enc`, body);
    await until("what is stored", () => stored().length === 1);
    await end();
    gate.resolve();
    expect(await uploading).toEqual({ status: 404, body: { error: "Session not found" } });
    expect(readdirSync(join(server.dataDir, "files", "sessions"))).not.toContain(sid);
  });
});

describe("settings", () => {
  let special: TestServer | undefined;
  afterEach(() => special?.stop());

  test("a disk below its minimum refuses uploads with a sentence, and serves the rest", async () => {
    special = await testServer({ minFreeBytes: 2 ** 52 });
    const owner = await newAccount(special.url);
    const session = await openSession(owner);
    const response = await fetch(`${special.url}/v1/sessions/${session}/attachments/a.enc`, {
      method: "PUT",
      headers: { authorization: `Bearer ${owner.token}`, "content-type": "application/octet-stream" },
      body: "x",
    });
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({
      error: "Service Unavailable",
      message: "The disk of the server is almost full: nothing was stored. Free some space and try again.",
      statusCode: 503,
    });
    expect((await owner.call("GET", "/v1/sessions")).status).toBe(200);
  });

  test("without rate limits nobody is held back", async () => {
    special = await testServer({ rateLimits: false });
    const owner = await newAccount(special.url);
    const path = `/v1/sessions/${await openSession(owner)}/attachments/request-upload`;
    const answers = await Promise.all(
      Array.from({ length: 70 }, () => owner.call("POST", path, { filename: "a", size: 1 })),
    );
    expect(answers.every(({ status }) => status === 200)).toBe(true);
  });
});

function raw(request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    let answer = "";
    socket.on("data", (data) => {
      answer += data;
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
    socket.write(request);
  });
}

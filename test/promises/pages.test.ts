// Pages and lists are bounded by bytes and not only by rows: a page ends at 4 MiB with at least one row and says so, walking it to the
// end gives every row once in both directions, and what has no page is written whole, however slowly it is read.
import { Database as Sqlite } from "bun:sqlite";
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { join } from "node:path";
import { type Account, newAccount } from "../support/happy-client.ts";
import { type TestServer, testServer } from "../support/server.ts";

setDefaultTimeout(60_000);

const MIB = 1024 * 1024;
const PAGE_BYTES = 4 * MIB;

let server: TestServer;
let account: Account;
let sid: string;
beforeAll(async () => {
  server = await testServer({ rateLimits: false });
  account = await newAccount(server.url);
  sid = (await account.call("POST", "/v1/sessions", { tag: "pages", metadata: "m" })).body.session.id;
});
afterAll(() => server.stop());

/** Told apart by their beginnings, and with everything that JSON writes in another way. */
const text = (name: string, bytes: number) =>
  `${name} "quoted" \\ back\n\u0001 é€😀 `.padEnd(Math.max(0, bytes - 40), name);

/** Small and large ones in every order, some larger than a page. */
const SIZES = [
  10,
  3 * MIB,
  3 * MIB,
  50,
  5 * MIB,
  6 * MIB,
  100,
  100,
  4 * MIB,
  20,
  MIB,
  MIB,
  MIB,
  MIB,
  MIB,
  30,
  9 * MIB,
];

interface Message {
  readonly seq: number;
  readonly content: { readonly c: string };
}

/** Every message of the session; every page as it came. */
async function walk(direction: "after_seq" | "before_seq", limit: number): Promise<Message[][]> {
  const pages: Message[][] = [];
  let cursor = direction === "after_seq" ? 0 : SIZES.length + 1;
  for (;;) {
    const path = `/v3/sessions/${sid}/messages?${direction}=${cursor}&limit=${limit}`;
    const { status, body } = await account.call("GET", path);
    expect(status).toBe(200);
    pages.push(body.messages);
    cursor = body.messages.at(-1)?.seq;
    if (!body.hasMore) return pages;
    expect(pages.length).toBeLessThan(100);
  }
}

test("pages of messages end at their bytes, and walked to the end every message came once, as it was", async () => {
  const sent = SIZES.map((bytes, n) => text(`m${n + 1}`, bytes));
  for (const [n, content] of sent.entries()) {
    const messages = [{ localId: `page ${n}`, content }];
    expect((await account.call("POST", `/v3/sessions/${sid}/messages`, { messages })).status).toBe(200);
  }
  for (const direction of ["after_seq", "before_seq"] as const) {
    for (const limit of [500, 4, 1]) {
      const pages = await walk(direction, limit);
      const all = direction === "after_seq" ? pages.flat() : pages.flat().reverse();
      expect(all.map(({ seq }) => seq)).toEqual(sent.map((_, n) => n + 1));
      // Not toEqual: what differs would be printed.
      expect(all.every(({ content }, n) => content.c === sent[n])).toBe(true);
      for (const page of pages) {
        const bytes = page.reduce((sum, { content }) => sum + Buffer.byteLength(content.c), 0);
        expect(page.length === 1 || bytes <= PAGE_BYTES).toBe(true);
        expect(page.length).toBeLessThanOrEqual(limit);
      }
      // As few pages as the bytes permit, not one row a page.
      if (limit === 500) expect(pages.length).toBeLessThan(14);
    }
  }
});

test("the older list of messages has no pages: it is whole, newest first", async () => {
  const { status, body } = await account.call("GET", `/v1/sessions/${sid}/messages`);
  expect(status).toBe(200);
  expect(body.messages.map(({ seq }: Message) => seq)).toEqual(SIZES.map((_, n) => SIZES.length - n));
  expect(Object.keys(body)).toEqual(["messages"]);
});

/** Answers that are larger than what is written at once. */
const large: string[] = [];
let heavy: Account;
const state = (n: number) => text(`state ${n}`, 2 * MIB);
const value = Buffer.alloc(3 * MIB, "value");

test("lists of sessions, machines, keys, artifacts, entries: each whole, the cursor's list in pages", async () => {
  heavy = await newAccount(server.url);
  const sqlite = new Sqlite(join(server.dataDir, "happy.db"));
  sqlite.run("PRAGMA busy_timeout = 5000");
  const owner = `(SELECT pk FROM accounts WHERE id = '${heavy.id}')`;
  const now = Date.now();
  for (let n = 1; n <= 5; n++) {
    sqlite.run(
      `INSERT INTO sessions (id, account_pk, tag, metadata, metadata_version, agent_state, agent_state_version, active,
         last_active_at, created_at, updated_at) VALUES ('heavy${n}', ${owner}, 'h${n}', ?, 3, ?, 7, 1, ?, 1, ?)`,
      [text(`meta ${n}`, 300_000), state(n), now - n, n],
    );
    sqlite.run(
      `INSERT INTO machines (id, account_pk, metadata, metadata_version, daemon_state, daemon_state_version, active,
         last_active_at, created_at, updated_at) VALUES ('m${n}', ${owner}, 'meta', 1, ?, 1, 0, ?, 1, 1)`,
      [state(n), n],
    );
    sqlite.run(
      `INSERT INTO artifacts (id, account_pk, header, header_version, body, body_version, data_encryption_key, created_at, updated_at)
       VALUES ('artifact${n}', ${owner}, ?, 1, ?, 1, x'01', 1, ?)`,
      [value, value, n],
    );
    sqlite.run(
      `INSERT INTO kv_entries (id, account_pk, key, value, version, created_at, updated_at) VALUES ('k${n}', ${owner}, 'key${n}', ?, 2, 1, 1)`,
      [value],
    );
    sqlite.run(
      `INSERT INTO access_keys (id, account_pk, machine_pk, session_pk, data, data_version, created_at, updated_at)
       SELECT 'ak${n}', ${owner}, m.pk, s.pk, ?, 1, 1, 1 FROM machines m, sessions s WHERE m.id = 'm${n}' AND s.id = 'heavy${n}'`,
      [state(n)],
    );
  }
  sqlite.close();
  const get = async (path: string) => {
    const { status, body } = await heavy.call("GET", path);
    expect([path, status]).toEqual([path, 200]);
    large.push(path);
    return body;
  };
  const newest = [5, 4, 3, 2, 1];
  const whole = (n: number) => ({
    id: `heavy${n}`,
    metadata: text(`meta ${n}`, 300_000),
    agentState: state(n),
  });
  const same = (given: unknown, wanted: unknown) =>
    expect(Bun.deepEquals(JSON.parse(JSON.stringify(given)), wanted)).toBe(true);
  type Session = { id: string; metadata: string; agentState: string };
  const seen = (rows: Session[]) =>
    rows.map(({ id, metadata, agentState }) => ({ id, metadata, agentState }));

  const listed = await get("/v1/sessions");
  same(seen(listed.sessions), newest.map(whole));
  expect(listed.sessions[0]).toMatchObject({
    metadataVersion: 3,
    agentStateVersion: 7,
    active: true,
    lastMessage: null,
  });
  same(seen((await get("/v2/sessions/active")).sessions), newest.map(whole).reverse());

  const paged: Session[] = [];
  for (let cursor = ""; ; ) {
    const page = await get(`/v2/sessions?limit=200${cursor}`);
    paged.push(...page.sessions);
    expect(page.sessions.length).toBe(1);
    expect(page.hasNext).toBe(page.nextCursor !== null);
    if (!page.hasNext) break;
    cursor = `&cursor=${page.nextCursor}`;
  }
  same(seen(paged), newest.map(whole));

  const machines: { id: string; daemonState: string }[] = await get("/v1/machines");
  same(
    machines.map(({ id, daemonState }) => ({ id, daemonState })),
    newest.map((n) => ({ id: `m${n}`, daemonState: state(n) })),
  );
  const encoded = value.toString("base64");
  const artifacts: { id: string; header: string }[] = await get("/v1/artifacts");
  same(
    artifacts.map(({ id, header }) => ({ id, header })),
    newest.map((n) => ({ id: `artifact${n}`, header: encoded })),
  );
  expect(artifacts.some((artifact) => "body" in artifact)).toBe(false);
  const artifact = await get("/v1/artifacts/artifact3");
  same([artifact.header, artifact.body], [encoded, encoded]);
  const entries = [1, 2, 3, 4, 5].map((n) => ({ key: `key${n}`, value: encoded, version: 2 }));
  same((await get("/v1/kv?prefix=key")).items, entries);
  same(await get("/v1/kv/key4"), entries[3]);
  const many = await heavy.call("POST", "/v1/kv/bulk", { keys: ["key2", "none", "key1", "key2"] });
  same(many.body, { values: [entries[1], entries[0]] });
  const { accessKeys } = await get("/v1/accessKeys");
  same(
    accessKeys.map(({ sessionId, machineId, data }: Record<string, string>) => ({
      sessionId,
      machineId,
      data,
    })),
    [1, 2, 3, 4, 5].map((n) => ({ sessionId: `heavy${n}`, machineId: `m${n}`, data: state(n) })),
  );
});

test("conflicts show what stands against them, however large", async () => {
  const encoded = value.toString("base64");
  const mutations = [1, 2, 3].map((n) => ({ key: `key${n}`, value: "eA==", version: 0 }));
  const entries = await heavy.call("POST", "/v1/kv", {
    mutations: [...mutations, { key: "none", value: "eA==", version: 4 }],
  });
  expect(entries.status).toBe(409);
  expect(
    Bun.deepEquals(entries.body, {
      errors: [
        ...[1, 2, 3].map((n) => ({ key: `key${n}`, error: "version-mismatch", version: 2, value: encoded })),
        { key: "none", error: "version-mismatch", version: -1, value: null },
      ],
      success: false,
    }),
  ).toBe(true);
  const artifact = await heavy.call("POST", "/v1/artifacts/artifact1", {
    body: "eA==",
    expectedBodyVersion: 9,
  });
  expect(
    Bun.deepEquals(artifact.body, {
      success: false,
      error: "version-mismatch",
      currentBodyVersion: 1,
      currentBody: encoded,
    }),
  ).toBe(true);
  const session = await heavy.call("PUT", "/v1/sessions/heavy2", {
    agentState: "x",
    expectedAgentStateVersion: 0,
  });
  expect(session.body.currentAgentState === state(2)).toBe(true);
  const again = await heavy.call("POST", "/v1/sessions", { tag: "h2", metadata: "other" });
  expect([again.body.session.id, again.body.session.agentState === state(2)]).toEqual(["heavy2", true]);
});

test("HEAD says of each what GET says, without a body", async () => {
  expect(large.length).toBeGreaterThan(8);
  for (const path of large) {
    const answer = await fetch(`${server.url}${path}`, {
      method: "HEAD",
      headers: { authorization: `Bearer ${heavy.token}` },
    });
    expect([path, answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([
      path,
      200,
      "application/json; charset=utf-8",
      "",
    ]);
  }
  const small = await fetch(`${server.url}/v1/sessions`, {
    method: "HEAD",
    headers: { authorization: `Bearer ${(await newAccount(server.url)).token}` },
  });
  expect(small.headers.get("content-length")).toBe(`${'{"sessions":[]}'.length}`);
});

/** The body of an answer that is read a little at a time. */
function readSlowly(path: string, token: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    const chunks: Buffer[] = [];
    let waited = 0;
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      // Long enough that the server's own buffers fill, often enough to be at many places when they do.
      if (chunks.length % 40 !== 0 || waited > 60) return;
      waited++;
      socket.pause();
      setTimeout(() => socket.resume(), 20);
    });
    socket.on("error", reject);
    socket.on("close", () => {
      const [, body = ""] = Buffer.concat(chunks)
        .toString("latin1")
        .split(/\r\n\r\n([\s\S]*)/);
      let whole = "";
      for (let at = 0; ; ) {
        const end = body.indexOf("\r\n", at);
        const length = Number.parseInt(body.slice(at, end), 16);
        if (!(length > 0)) break;
        whole += body.slice(end + 2, end + 2 + length);
        at = end + 2 + length + 2;
      }
      resolve(Buffer.from(whole, "latin1").toString());
    });
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
  });
}

test("a slow reader gets the same bytes as a fast one, several at once", async () => {
  const paths = ["/v1/sessions", "/v1/artifacts/artifact2", "/v1/kv?prefix=key", "/v1/machines"];
  const fast = await Promise.all(paths.map((path) => heavy.call("GET", path)));
  const slow = await Promise.all(paths.map((path) => readSlowly(path, heavy.token)));
  for (const [n, body] of slow.entries()) {
    expect(body.length).toBeGreaterThan(8 * MIB);
    expect(Bun.deepEquals(JSON.parse(body), fast[n]?.body)).toBe(true);
  }
});

test("an answer whose value changes while it is read does not pass for whole", async () => {
  const change = (sql: string) => {
    const sqlite = new Sqlite(join(server.dataDir, "happy.db"));
    sqlite.run("PRAGMA busy_timeout = 5000");
    sqlite.run(sql);
    sqlite.close();
  };
  // More than the buffers of both systems take.
  change("UPDATE kv_entries SET value = zeroblob(30000000) WHERE key = 'key5'");
  const answer = await fetch(`${server.url}/v1/kv/key5`, {
    headers: { authorization: `Bearer ${heavy.token}` },
  });
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  await reader.read();
  change("UPDATE kv_entries SET value = x'00', version = 3 WHERE key = 'key5'");
  const rest = async () => {
    while (!(await reader.read()).done);
  };
  await expect(rest()).rejects.toThrow("closed unexpectedly");
  expect((await heavy.call("GET", "/v1/kv/key5")).body).toEqual({ key: "key5", value: "AA==", version: 3 });
});

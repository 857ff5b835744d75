// The three lists of sessions: what is in them, in which order, and how their pages lead through (HTTP contract 6.1 to 6.3, 19.3).
import { Database as Sqlite } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Account, type Answer, newAccount } from "../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

async function open(account: Account, tag: string) {
  const answer = await account.call("POST", "/v1/sessions", { tag, metadata: `metadata of ${tag}` });
  expect(answer.status).toBe(200);
  return answer.body.session;
}

const said = ({ status, body }: Answer) => [status, body];
const ids = (body: { sessions: { id: string }[] }) => body.sessions.map(({ id }) => id);

describe("GET /v1/sessions", () => {
  test("the newest 150, whatever else the query says", async () => {
    const account = await newAccount(server.url);
    const all = await Promise.all(Array.from({ length: 151 }, (_, index) => open(account, String(index))));
    const { status, body } = await account.call("GET", "/v1/sessions?limit=5&offset=x");
    expect([status, body.sessions.length]).toEqual([200, 150]);
    const times = body.sessions.map(({ updatedAt }: { updatedAt: number }) => updatedAt);
    expect(times).toEqual(times.toSorted((a: number, b: number) => b - a));
    const oldest = Math.min(...all.map(({ updatedAt }) => updatedAt));
    const missing = all.find(({ id }) => !ids(body).includes(id));
    expect(missing.updatedAt).toBe(oldest);
  });

  test("whatever is written to a session brings it to the top", async () => {
    const account = await newAccount(server.url);
    const old = await open(account, "old");
    const cli = await account.connect({ clientType: "session-scoped", sessionId: old.id });
    const path = `/v1/sessions/${old.id}`;
    const writes: Record<string, () => Promise<unknown>> = {
      "a message over HTTP": () =>
        account.call("POST", `/v3/sessions/${old.id}/messages`, {
          messages: [{ content: "", localId: "a" }],
        }),
      "a message over a socket": () => {
        cli.socket.emit("message", { sid: old.id, message: "m" });
        return cli.settled();
      },
      "metadata over HTTP": () => account.call("PUT", path, { metadata: "1", expectedMetadataVersion: 0 }),
      "metadata over a socket": () =>
        cli.ask("update-metadata", { sid: old.id, metadata: "2", expectedVersion: 1 }),
      "agent state": () => cli.ask("update-state", { sid: old.id, agentState: "2", expectedVersion: 0 }),
      "its end": () => {
        cli.socket.emit("session-end", { sid: old.id, time: Date.now() });
        return cli.settled();
      },
      "being archived": () => account.call("POST", `${path}/archive`),
    };
    for (const [what, write] of Object.entries(writes)) {
      const newer = await open(account, what);
      await untilTheClockMoves(newer.updatedAt);
      await write();
      const { body } = await account.call("GET", "/v1/sessions");
      expect([what, ids(body)[0]]).toEqual([what, old.id]);
      expect(body.sessions[0].updatedAt).toBeGreaterThan(newer.updatedAt);
      await untilTheClockMoves(body.sessions[0].updatedAt);
    }
    cli.close();
  });

  test("a heartbeat does so once it is stored", async () => {
    const own = await testServer();
    const account = await newAccount(own.url);
    const [heard, fresh] = [await open(account, "heard"), await open(account, "fresh")];
    const sqlite = new Sqlite(join(own.dataDir, "happy.db"), { readwrite: true, strict: true });
    const old = "UPDATE sessions SET last_active_at = last_active_at - 60000, updated_at = ? WHERE id = ?";
    for (const [at, { id }] of [heard, fresh].entries()) sqlite.run(old, [at + 1, id]);
    sqlite.close();
    const order = async () => ids((await account.call("GET", "/v1/sessions")).body);
    expect(await order()).toEqual([fresh.id, heard.id]);
    const cli = await account.connect({ clientType: "session-scoped", sessionId: heard.id });
    cli.socket.emit("session-alive", { sid: heard.id, time: Date.now() });
    await cli.settled();
    cli.close();
    // A stop stores what waits.
    await own.restart();
    expect(await order()).toEqual([heard.id, fresh.id]);
    await own.stop();
  });

  test("reads and refused writes change no order", async () => {
    const account = await newAccount(server.url);
    const old = await open(account, "old");
    await untilTheClockMoves(old.updatedAt);
    const fresh = await open(account, "fresh");
    await account.call("GET", `/v3/sessions/${old.id}/messages`);
    await account.call("POST", "/v1/sessions", { tag: "old", metadata: "x" });
    await account.call("PUT", `/v1/sessions/${old.id}`, { metadata: "x", expectedMetadataVersion: 7 });
    expect(ids((await account.call("GET", "/v1/sessions")).body)).toEqual([fresh.id, old.id]);
  });
});

/** Two times are told apart by milliseconds. */
async function untilTheClockMoves(from: number): Promise<void> {
  while (Date.now() <= from) await new Promise(setImmediate);
}

describe("GET /v2/sessions/active", () => {
  test("active ones heard within 15 minutes, last heard first, up to the limit", async () => {
    const account = await newAccount(server.url);
    const heard = { ten: 600_000, one: 60_000, sixteen: 960_000, never: 0, fourteen: 840_000 };
    const idOf: Record<string, string> = {};
    for (const tag of Object.keys(heard)) idOf[tag] = (await open(account, tag)).id;
    const sqlite = new Sqlite(join(server.dataDir, "happy.db"), { readwrite: true, strict: true });
    for (const [tag, ago] of Object.entries(heard))
      sqlite.run("UPDATE sessions SET last_active_at = ? WHERE id = ?", [Date.now() - ago, idOf[tag] ?? ""]);
    sqlite.run("UPDATE sessions SET active = 0 WHERE id = ?", [idOf.never ?? ""]);
    sqlite.close();
    const order = ["one", "ten", "fourteen"].map((tag) => idOf[tag] ?? "");
    const { status, body } = await account.call("GET", "/v2/sessions/active");
    expect([status, ids(body)]).toEqual([200, order]);
    expect(Object.keys(body.sessions[0]).toSorted()).toEqual(
      "active activeAt agentState agentStateVersion createdAt dataEncryptionKey id metadata metadataVersion seq updatedAt".split(
        " ",
      ),
    );
    expect(ids((await account.call("GET", "/v2/sessions/active?limit=2")).body)).toEqual(order.slice(0, 2));
  });

  test.each(["0", "501", "x", "1.5", "-1", "Infinity", "NaN", "1e400", "9".repeat(400), ""])(
    "limit, case %#, is refused",
    async (limit) => {
      const account = await newAccount(server.url);
      expect((await account.call("GET", `/v2/sessions/active?limit=${limit}`)).status).toBe(400);
    },
  );
});

describe("GET /v2/sessions", () => {
  let account: Account;
  let newestFirst: string[];
  beforeAll(async () => {
    account = await newAccount(server.url);
    for (const tag of "abcde") await open(account, tag);
    newestFirst = ids((await account.call("GET", "/v2/sessions")).body);
  });
  const page = async (query: string) => said(await account.call("GET", `/v2/sessions?${query}`));

  test("pages lead through all of them, newest first, whatever changes meanwhile", async () => {
    expect(newestFirst).toEqual(newestFirst.toSorted().toReversed());
    const seen: string[] = [];
    let cursor: string | null = "";
    for (let pages = 1; cursor !== null; pages++) {
      const { body } = await account.call("GET", `/v2/sessions?limit=2&cursor=${cursor}`);
      expect(body.hasNext).toBe(body.nextCursor !== null);
      if (body.hasNext) expect(body.nextCursor).toBe(`cursor_v1_${ids(body).at(-1)}`);
      seen.push(...ids(body));
      cursor = body.nextCursor;
      await account.call("POST", `/v1/sessions/${newestFirst.at(-1)}/archive`);
      expect(pages).toBeLessThan(4);
    }
    expect(seen).toEqual(newestFirst);
  });

  test.each(["", "cursor=", "cursor=cursor_v1_", "cursor=cursor_v1_zzz", "limit=200", "changedSince=1"])(
    "%j is the start",
    async (query) => {
      const { body } = await account.call("GET", `/v2/sessions?${query}`);
      expect([ids(body), body.nextCursor, body.hasNext]).toEqual([newestFirst, null, false]);
      expect(body.sessions[0]).not.toHaveProperty("lastMessage");
    },
  );

  test.each(["cursor=x", "cursor=cursor_v2_a", "cursor=Cursor_v1_a", "cursor=%20", "cursor=cursor_v1"])(
    "%s is no cursor",
    async (query) => {
      expect(await page(query)).toEqual([400, { error: "Invalid cursor format" }]);
    },
  );

  test.each([
    "cursor=cursor_v1_0",
    "cursor=cursor_v1_%00",
    "cursor=cursor_v1_'%20OR%201=1",
    "changedSince=9007199254740991",
  ])("%s finds nothing", async (query) => {
    expect(await page(query)).toEqual([200, { sessions: [], nextCursor: null, hasNext: false }]);
  });

  test.each([
    "changedSince=0",
    "changedSince=-5",
    "changedSince=1.5",
    "changedSince=Infinity",
    "changedSince=1e300",
    "changedSince=",
    "limit=201",
    "limit=0",
    "cursor=a&cursor=b",
  ])("%s is refused", async (query) => {
    const [status, body] = await page(query);
    expect([status, body]).toMatchObject([400, { error: "Error", statusCode: 400 }]);
  });

  test("changedSince keeps what changed later, and the order by id", async () => {
    const mine = await newAccount(server.url);
    const first = await open(mine, "first");
    const second = await open(mine, "second");
    await untilTheClockMoves(second.updatedAt);
    await mine.call("POST", `/v1/sessions/${first.id}/archive`);
    const { body } = await mine.call("GET", `/v2/sessions?changedSince=${second.updatedAt}`);
    expect(ids(body)).toEqual([first.id]);
  });
});

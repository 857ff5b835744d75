// The heaviest requests that accounts may send, many at once, under the memory of the shipped unit: the server lives, and others go on
// meanwhile. Among them what an earlier version stored and a later one would refuse.
import { Database as Sqlite } from "bun:sqlite";
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rounds } from "../../support/full.ts";
import { type Account, accountWith, newAccount } from "../../support/happy-client.ts";
import { memoryLimit, peakBytes, UNIT_MEMORY_BYTES } from "../../support/memory-limit.ts";
import { RawConnection } from "../raw-connection.ts";
import { type ServerProcess, startProcess } from "../server-process.ts";

setDefaultTimeout(600_000);

const MIB = 1024 * 1024;
const SESSIONS = rounds(10, 150);
const ENTRIES = rounds(6, 60);
const ROUNDS = rounds(1, 4);
/** Clients that ask for the same at once. */
const CROWD = 8;

const folder = mkdtempSync(join(tmpdir(), "roost-heavy-"));
const limit = memoryLimit();
let server: ServerProcess;
afterAll(async () => {
  await server?.end("SIGKILL");
  limit.release();
  rmSync(folder, { recursive: true, force: true });
});

const start = () =>
  startProcess({
    dataDir: folder,
    env: { ROOST_LOG_LEVEL: "warn", ROOST_RATE_LIMITS: "false", ROOST_MASTER_SECRET: "heavy" },
    wrapper: limit.wrapper,
  });

/** Rows as large as they may be, and one that no longer may: written between two starts, which is faster than sending them. */
function fill(ids: readonly string[], oldSession: string): void {
  const sqlite = new Sqlite(join(folder, "happy.db"));
  const text = (bytes: number) => `printf('%.*c', ${bytes}, 'x')`;
  for (const id of ids) {
    const account = `(SELECT pk FROM accounts WHERE id = '${id}')`;
    const numbers = (count: number) =>
      `WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < ${count})`;
    sqlite.run(`${numbers(SESSIONS)} INSERT INTO sessions
      (id, account_pk, tag, metadata, agent_state, active, last_active_at, created_at, updated_at)
      SELECT 'h${id}' || n, ${account}, 'h' || n, ${text(MIB)}, ${text(8 * MIB)}, 0, n, n, n FROM n`);
    sqlite.run(`${numbers(ENTRIES)} INSERT INTO kv_entries (id, account_pk, key, value, version, created_at, updated_at)
      SELECT 'k${id}' || n, ${account}, 'heavy' || n, CAST(${text(8 * MIB)} AS BLOB), 0, n, n FROM n`);
    sqlite.run(`${numbers(ENTRIES)} INSERT INTO artifacts
      (id, account_pk, header, body, data_encryption_key, created_at, updated_at)
      SELECT 'a${id}' || n, ${account}, CAST(${text(8 * MIB)} AS BLOB), CAST(${text(8 * MIB)} AS BLOB), x'00', n, n FROM n`);
  }
  sqlite.run(`INSERT INTO messages (id, session_pk, seq, content, created_at, updated_at)
    SELECT 'old' || n.n, s.pk, n.n, printf('%.*c', CASE n.n WHEN 2 THEN 95000000 ELSE 33554432 END, 'x'), 1, 1
    FROM sessions s, (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3) n WHERE s.id = '${oldSession}'`);
  sqlite.run(`UPDATE sessions SET seq = 3 WHERE id = '${oldSession}'`);
  sqlite.run("PRAGMA wal_checkpoint(TRUNCATE)");
  sqlite.close();
}

/** Bytes of a whole answer, without keeping it. */
async function read(account: Account, path: string, body?: unknown): Promise<number> {
  const answer = await fetch(`${server.url}${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization: `Bearer ${account.token}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  expect([path, answer.status]).toEqual([path, 200]);
  let bytes = 0;
  let last = 0;
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.length;
    last = chunk.at(-1) ?? last;
  }
  // A list that is cut short by an error has no end.
  expect([path, "}]".includes(String.fromCharCode(last))]).toEqual([path, true]);
  return bytes;
}

/** Stores a batch; asked to come again, it does. */
async function post(account: Account, session: string, name: string): Promise<void> {
  const messages = [1, 2, 3].map((n) => ({ localId: `${name} ${n}`, content: "y".repeat(32 * MIB) }));
  const body = JSON.stringify({ messages });
  for (let attempt = 1; ; attempt++) {
    const answer = await fetch(`${server.url}/v3/sessions/${session}/messages`, {
      method: "POST",
      headers: { authorization: `Bearer ${account.token}`, "content-type": "application/json" },
      body,
    }).catch((error: unknown) => error as Error);
    if (answer instanceof Error) {
      // The refusal of a body that is still being sent may reach the client as a reset.
      if (attempt > 50) throw answer;
    } else {
      const said = await answer.text();
      if (answer.status === 200) return;
      expect([answer.status, said]).toEqual([503, expect.stringContaining("busy")]);
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
      if (attempt > 50) throw new Error("never stored");
    }
    await Bun.sleep(500);
  }
}

async function upload(account: Account, session: string): Promise<void> {
  const asked = await account.call("POST", `/v1/sessions/${session}/attachments/request-upload`, {
    filename: "f",
    size: 10 * MIB,
  });
  const file = new URL(asked.body.uploadUrl).pathname;
  const answer = await fetch(`${server.url}${file}`, {
    method: "PUT",
    headers: { authorization: `Bearer ${account.token}`, "content-type": "application/octet-stream" },
    body: new Uint8Array(10 * MIB),
  });
  expect(answer.status).toBe(200);
  await answer.text();
}

/** Asks, and never reads. */
async function stall(account: Account, path: string): Promise<RawConnection> {
  const connection = await RawConnection.open(server.port);
  connection.stopReading();
  connection.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${account.token}\r\n\r\n`);
  return connection;
}

test("the heaviest requests of several accounts at once, under the unit's memory", async () => {
  server = await start();
  let heavy = await Promise.all([1, 2, 3].map(() => newAccount(server.url)));
  let quiet = await newAccount(server.url);
  const open = async (account: Account) =>
    (await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" })).body.session.id as string;
  const sessions = await Promise.all(heavy.map(open));
  const quietSession = await open(quiet);
  const [first = "", old = ""] = sessions;
  await server.end("SIGTERM");
  fill(
    heavy.slice(0, 2).map(({ id }) => id),
    old,
  );
  server = await start();
  const { url } = server;
  heavy = heavy.map(({ token }) => accountWith(url, token));
  quiet = accountWith(url, quiet.token);
  const idle = peakBytes(server.pid);
  const [a, b] = heavy as [Account, Account, Account];

  // Another account goes on meanwhile.
  const waits: number[] = [];
  let done = false;
  const watching = (async () => {
    for (let n = 0; !done; n++) {
      const began = performance.now();
      expect((await fetch(`${url}/health`)).status).toBe(200);
      waits.push(performance.now() - began);
      const messages = [{ localId: `quiet ${n}`, content: "small" }];
      expect((await quiet.call("POST", `/v3/sessions/${quietSession}/messages`, { messages })).status).toBe(
        200,
      );
      await Bun.sleep(20);
    }
  })();

  const listener = await a.connect();
  const stalled = await Promise.all(
    [
      ["/v1/sessions", a],
      [`/v1/sessions/${old}/messages`, b],
      ["/v1/kv?prefix=heavy&limit=1000", a],
      ["/v1/artifacts", b],
    ].map(([path, account]) => stall(account as Account, path as string)),
  );
  const peaks: Record<string, number> = { idle };
  const phase = async (name: string, work: () => Promise<unknown>) => {
    await work();
    peaks[name] = peakBytes(server.pid);
  };
  const crowd = (work: (n: number) => Promise<unknown>) =>
    Promise.all(Array.from({ length: CROWD }, (_, n) => work(n)));
  const keys = Array.from({ length: ENTRIES }, (_, n) => `heavy${n + 1}`);
  for (let round = 0; round < ROUNDS; round++) {
    await phase("pages over old messages", () =>
      crowd(async (n) => {
        const from = n % 2 === 0 ? "after_seq=0" : "before_seq=1000";
        expect(await read(b, `/v3/sessions/${old}/messages?limit=500&${from}`)).toBeGreaterThan(32 * MIB);
        if (n < 2) await read(b, `/v3/sessions/${old}/messages?after_seq=1&limit=1`);
      }),
    );
    await phase("lists of sessions", () =>
      crowd(async (n) => {
        const path = n % 2 === 0 ? "/v1/sessions" : "/v2/sessions?limit=200";
        await read(n < 4 ? a : b, path);
      }),
    );
    await phase("key-value entries", () =>
      crowd((n) =>
        n % 2 === 0
          ? read(a, "/v1/kv?prefix=heavy&limit=1000")
          : read(b, "/v1/kv/bulk", { keys: keys.slice(0, 100) }),
      ),
    );
    await phase("artifacts", () =>
      crowd((n) =>
        n % 2 === 0 ? read(a, "/v1/artifacts") : read(b, `/v1/artifacts/a${b.id}${(n % ENTRIES) + 1}`),
      ),
    );
    // In the small form they are in "all at once" alone.
    if (ROUNDS > 1)
      await phase("bodies of 100 MiB", () =>
        Promise.all(heavy.map((account, n) => post(account, sessions[n] ?? first, `round ${round}`))),
      );
    await phase("all at once", () =>
      Promise.all([
        ...heavy.map((account, n) => post(account, sessions[n] ?? first, `all ${round}`)),
        ...heavy.map((account, n) => upload(account, sessions[n] ?? first)),
        read(b, `/v3/sessions/${old}/messages?after_seq=1&limit=1`),
        read(a, "/v1/sessions"),
        read(a, "/v1/kv?prefix=heavy&limit=1000"),
        read(b, "/v1/artifacts"),
        read(a, `/v1/sessions/${first}/messages`),
      ]),
    );
  }
  done = true;
  await watching;
  for (const connection of stalled) connection.destroy();
  listener.close();
  waits.sort((x, y) => x - y);
  const inMib = Object.fromEntries(
    Object.entries(peaks).map(([name, bytes]) => [name, Math.round(bytes / MIB)]),
  );
  const at = (share: number) => Math.round(waits[Math.floor(waits.length * share)] ?? 0);
  console.log("most resident so far, MiB:", inMib);
  console.log("/health, ms:", { asked: waits.length, median: at(0.5), p99: at(0.99), worst: at(0.9999) });
  expect(limit.kills()).toBe(0);
  expect(peakBytes(server.pid)).toBeLessThan(UNIT_MEMORY_BYTES);
  expect(
    (await quiet.call("GET", `/v3/sessions/${quietSession}/messages?limit=500`)).body.messages.length,
  ).toBe(Math.min(500, waits.length));
  expect(at(0.5)).toBeLessThan(500);
});

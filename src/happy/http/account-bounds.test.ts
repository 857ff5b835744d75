// What one account may keep and how fast it may send: refused with a sentence where a call can hear it, slowed down and never lost where
// it cannot; counted exactly, also when things go; and no other account notices.
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Config } from "../../../test/support/config.ts";
import { type Account, type Answer, newAccount } from "../../../test/support/happy-client.ts";
import { roost, rows } from "../../../test/support/operator.ts";
import { countsOf, fill } from "../../../test/support/owned-rows.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(60_000);

const servers: TestServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function started(overrides: Partial<Config> = {}) {
  const server = await testServer({ rateLimits: false, ...overrides });
  servers.push(server);
  return { server, account: await newAccount(server.url), other: await newAccount(server.url) };
}

const openSession = (account: Account, tag = "t", metadata = "m") =>
  account.call("POST", "/v1/sessions", { tag, metadata });
const post = (account: Account, sid: string, localId: string, content = "c") =>
  account.call("POST", `/v3/sessions/${sid}/messages`, { messages: [{ content, localId }] });
const kv = (account: Account, key: string, value: string | null, version: number) =>
  account.call("POST", "/v1/kv", { mutations: [{ key, value, version }] });

function upload(account: Account, sid: string, name: string, bytes: number): Promise<Response> {
  return fetch(`${account.url}/v1/sessions/${sid}/attachments/${name}`, {
    method: "PUT",
    body: new Uint8Array(bytes),
    headers: { authorization: `Bearer ${account.token}`, "content-type": "application/octet-stream" },
  });
}

interface Sizes {
  readonly bytes: number;
  readonly machines: number;
  readonly access_keys: number;
}

const sizesOf = (server: TestServer, account: Account): Sizes | undefined =>
  rows<Sizes>(
    server,
    `SELECT bytes, machines, access_keys FROM account_sizes
     WHERE account_pk = (SELECT pk FROM accounts WHERE id = ?)`,
    account.id,
  )[0];

/** The same figures, counted from the rows themselves. */
const truthOf = (server: TestServer, account: Account): Sizes | undefined =>
  rows<Sizes>(
    server,
    `WITH a AS (SELECT pk, settings FROM accounts WHERE id = ?),
      n(bytes) AS (
        SELECT coalesce(octet_length(settings), 0) FROM a
        UNION ALL SELECT 256 + octet_length(content) + coalesce(octet_length(local_id), 0)
          FROM messages WHERE session_pk IN (SELECT pk FROM sessions WHERE account_pk = (SELECT pk FROM a))
        UNION ALL SELECT 256 + octet_length(tag) + octet_length(metadata) + coalesce(octet_length(agent_state), 0)
          FROM sessions WHERE account_pk = (SELECT pk FROM a)
        UNION ALL SELECT 256 + octet_length(id) + octet_length(metadata) + coalesce(octet_length(daemon_state), 0)
          FROM machines WHERE account_pk = (SELECT pk FROM a)
        UNION ALL SELECT 256 + octet_length(data) FROM access_keys WHERE account_pk = (SELECT pk FROM a)
        UNION ALL SELECT 256 + octet_length(header) + octet_length(body) + octet_length(data_encryption_key)
          FROM artifacts WHERE account_pk = (SELECT pk FROM a)
        UNION ALL SELECT 256 + octet_length(key) + coalesce(octet_length(value), 0)
          FROM kv_entries WHERE account_pk = (SELECT pk FROM a)
        UNION ALL SELECT 256 + octet_length(key) + octet_length(data)
          FROM usage_reports WHERE account_pk = (SELECT pk FROM a)
        UNION ALL SELECT 256 + octet_length(token) FROM push_tokens WHERE account_pk = (SELECT pk FROM a)
        UNION ALL SELECT 256 + octet_length(token) FROM service_account_tokens WHERE account_pk = (SELECT pk FROM a)
        UNION ALL SELECT 256 * files + bytes FROM attachment_sizes WHERE account_pk = (SELECT pk FROM a))
    SELECT sum(bytes) AS bytes, (SELECT count(*) FROM machines WHERE account_pk = (SELECT pk FROM a)) AS machines,
      (SELECT count(*) FROM access_keys WHERE account_pk = (SELECT pk FROM a)) AS access_keys FROM n`,
    account.id,
  )[0];

describe("what an account keeps is counted", () => {
  test("exactly, through everything that makes, changes and deletes, and over a restart", async () => {
    const { server, account } = await started();
    const same = () => expect(sizesOf(server, account)).toEqual(truthOf(server, account));
    same();
    const sid = await fill(account, server);
    same();
    const phone = await account.connect();
    const machineId = `machine-of-${account.id}`;
    const [long, short] = ["ä".repeat(3_000), "x"];
    for (const value of [long, short, long]) {
      const { body } = await account.call("GET", "/v2/sessions");
      const session = body.sessions[0];
      await phone.ask("update-metadata", { sid, metadata: value, expectedVersion: session.metadataVersion });
      await phone.ask("update-state", { sid, agentState: value, expectedVersion: session.agentStateVersion });
      const machine = (await account.call("GET", `/v1/machines/${machineId}`)).body.machine;
      const of = { machineId, expectedVersion: machine.metadataVersion };
      await phone.ask("machine-update-metadata", { ...of, metadata: value });
      await phone.ask("machine-update-state", {
        machineId,
        daemonState: value,
        expectedVersion: machine.daemonStateVersion,
      });
      const tokens = { total: 1, note: value };
      await phone.ask("usage-report", { key: "k", sessionId: sid, tokens, cost: { total: 1 } });
      const { body: entry } = await account.call("GET", "/v1/kv/k");
      await kv(account, "k", Buffer.from(value).toString("base64"), entry.version);
      const { dataVersion } = (await account.call("GET", `/v1/access-keys/${sid}/${machineId}`)).body
        .accessKey;
      const data = { data: value, expectedVersion: dataVersion };
      await account.call("PUT", `/v1/access-keys/${sid}/${machineId}`, data);
      const [artifact] = (await account.call("GET", "/v1/artifacts")).body;
      const { body: whole } = await account.call("GET", `/v1/artifacts/${artifact.id}`);
      await account.call("POST", `/v1/artifacts/${artifact.id}`, {
        ...{ header: Buffer.from(value).toString("base64"), expectedHeaderVersion: whole.headerVersion },
        ...{ body: Buffer.from(value).toString("base64"), expectedBodyVersion: whole.bodyVersion },
      });
      const { settingsVersion } = (await account.call("GET", "/v1/account/settings")).body;
      const settings = { settings: value, expectedVersion: settingsVersion };
      await account.call("POST", "/v1/account/settings", settings);
      await account.call("POST", "/v1/connect/openai/register", { token: value });
      same();
    }
    await account.call("POST", "/v1/account/settings", { settings: null, expectedVersion: 3 });
    await upload(account, sid, "b.enc", 5_000);
    await upload(account, sid, "b.enc", 9_000);
    same();
    expect(rows(server, "SELECT files, bytes FROM attachment_sizes")).toEqual([{ files: 2, bytes: 9_003 }]);
    await server.restart();
    same();
    await account.call("DELETE", `/v1/machines/${machineId}`);
    await account.call("DELETE", `/v1/sessions/${sid}`);
    same();
    const entry = (await account.call("GET", "/v1/kv/k")).body;
    await kv(account, "k", null, entry.version);
    for (const { token } of (await account.call("GET", "/v1/push-tokens")).body.tokens)
      await account.call("DELETE", `/v1/push-tokens/${encodeURIComponent(token)}`);
    await account.call("DELETE", "/v1/connect/openai");
    for (const { id } of (await account.call("GET", "/v1/artifacts")).body)
      await account.call("DELETE", `/v1/artifacts/${id}`);
    same();
    // The key's tombstone, and the report that belongs to no session.
    expect(sizesOf(server, account)).toMatchObject({ machines: 0, access_keys: 0 });
    expect(sizesOf(server, account)?.bytes).toBeLessThan(1_000);
    expect(countsOf(server, account.id)).toMatchObject({ kv_entries: 1, usage_reports: 1 });
  });

  test("for a phone that signs in with another account, too", async () => {
    const { server, account, other } = await started();
    await account.call("POST", "/v1/push-tokens", { token: "ExponentPushToken[x]" });
    await other.call("POST", "/v1/push-tokens", { token: "ExponentPushToken[x]" });
    for (const who of [account, other]) expect(sizesOf(server, who)).toEqual(truthOf(server, who));
  });
});

const FULL =
  /^Your account keeps as much on this server as it may \(.+\): nothing was stored\. Delete old sessions/;
const refusedWith = (answer: Answer, sentence: RegExp) => {
  expect(answer.status).toBe(507);
  expect(answer.body).toEqual({
    error: "Insufficient Storage",
    message: expect.stringMatching(sentence),
    statusCode: 507,
  });
};

describe("an account that keeps as much as it may", () => {
  test("stores nothing more by any call or event, and goes on as soon as it deletes; another account notices nothing", async () => {
    const { server, account, other } = await started();
    const sid = (await openSession(account)).body.session.id;
    const doomed = (await openSession(account, "doomed", "m".repeat(20_000))).body.session.id;
    await account.call("POST", "/v1/machines", { id: "m1", metadata: "m" });
    const artifact = { id: crypto.randomUUID(), header: "AAEC", body: "AAEC", dataEncryptionKey: "AAEC" };
    await account.call("POST", "/v1/artifacts", artifact);
    await kv(account, "k", "AAEC", -1);
    const phone = await account.connect();
    const big = "x".repeat(5_000);
    const b64 = Buffer.from(big).toString("base64");
    Object.assign(server.config, { maxAccountBytes: sizesOf(server, account)?.bytes });
    const before = sizesOf(server, account);

    refusedWith(await openSession(account, "new"), FULL);
    refusedWith(await post(account, sid, "a"), FULL);
    refusedWith(await account.call("POST", "/v1/machines", { id: "m2", metadata: "m" }), FULL);
    refusedWith(await account.call("POST", `/v1/access-keys/${sid}/m1`, { data: "d" }), FULL);
    refusedWith(await account.call("POST", "/v1/artifacts", { ...artifact, id: crypto.randomUUID() }), FULL);
    refusedWith(
      await account.call("POST", `/v1/artifacts/${artifact.id}`, { body: b64, expectedBodyVersion: 1 }),
      FULL,
    );
    refusedWith(await kv(account, "k2", "AAEC", -1), FULL);
    refusedWith(await kv(account, "k", b64, 0), FULL);
    refusedWith(await kv(account, "tombstone", null, -1), FULL);
    refusedWith(
      await account.call("PUT", `/v1/sessions/${sid}`, { metadata: big, expectedMetadataVersion: 0 }),
      FULL,
    );
    const asked = await account.call("POST", `/v1/sessions/${sid}/attachments/request-upload`, {
      filename: "a",
      size: 10,
    });
    refusedWith(asked, FULL);
    expect((await upload(account, sid, "a.enc", 10)).status).toBe(507);
    const change = { expectedVersion: 0 };
    expect(await phone.ask("update-metadata", { sid, metadata: big, ...change })).toEqual({
      result: "error",
    });
    expect(await phone.ask("update-state", { sid, agentState: big, ...change })).toEqual({ result: "error" });
    const of = { machineId: "m1", expectedVersion: 1 };
    expect(await phone.ask("machine-update-metadata", { ...of, metadata: big })).toMatchObject({
      result: "error",
    });
    const usage = { key: "k", sessionId: sid, tokens: { total: 1 }, cost: { total: 1 } };
    expect(await phone.ask("usage-report", usage)).toMatchObject({ success: false });
    expect(sizesOf(server, account)).toEqual(before);

    // What is there, what does not grow, and everything of others, goes on.
    expect((await openSession(account)).body.session.id).toBe(sid);
    expect(await phone.ask("update-metadata", { sid, metadata: "n", ...change })).toMatchObject({
      result: "success",
    });
    expect((await account.call("POST", `/v1/sessions/${sid}/archive`)).status).toBe(200);
    const theirs = (await openSession(other)).body.session.id;
    expect((await post(other, theirs, "a")).status).toBe(200);

    expect((await account.call("DELETE", `/v1/sessions/${doomed}`)).status).toBe(200);
    expect((await post(account, sid, "a", big)).status).toBe(200);
    phone.close();
  });

  test("is refused slowly when it repeats and repeats, and a person's first tries at once", async () => {
    const { account, server } = await started();
    Object.assign(server.config, { maxAccountBytes: 1 });
    const start = performance.now();
    await Promise.all(Array.from({ length: 20 }, (_, n) => openSession(account, String(n))));
    expect(performance.now() - start).toBeLessThan(5_000);
    const late = performance.now();
    expect((await openSession(account, "late")).status).toBe(507);
    expect(performance.now() - late).toBeGreaterThan(9_000);
  });

  test("in empty rows only cannot go on for ever: each counts", async () => {
    const { server, account } = await started({ maxAccountBytes: 100 * 256 });
    const statuses: number[] = [];
    for (let n = 0; n < 110; n++) statuses.push((await openSession(account, "", "")).status);
    expect(new Set(statuses)).toEqual(new Set([200]));
    const mutations = (start: number) =>
      Array.from({ length: 50 }, (_, n) => ({ key: String(start + n), value: null, version: -1 }));
    expect((await account.call("POST", "/v1/kv", { mutations: mutations(0) })).status).toBe(200);
    refusedWith(await account.call("POST", "/v1/kv", { mutations: mutations(50) }), FULL);
    expect(sizesOf(server, account)?.bytes).toBeLessThan(100 * 256);
  });

  test("by attachments: their bytes count, go with their session, and are counted anew by the sweep", async () => {
    const { server, account } = await started({ maxAccountBytes: 100_000 });
    const sid = (await openSession(account)).body.session.id;
    expect((await upload(account, sid, "a.enc", 60_000)).status).toBe(200);
    expect((await upload(account, sid, "b.enc", 60_000)).status).toBe(507);
    // As an upgrade finds it: files that nobody counted.
    rows(server, "DELETE FROM attachment_sizes");
    await server.restart();
    const end = Date.now() + 30_000;
    while ((sizesOf(server, account)?.bytes ?? 0) < 60_000) {
      if (Date.now() > end) throw new Error("the sweep did not count the files");
      await Bun.sleep(100);
    }
    expect((await upload(account, sid, "b.enc", 60_000)).status).toBe(507);
    expect((await account.call("DELETE", `/v1/sessions/${sid}`)).status).toBe(200);
    const next = (await openSession(account, "next")).body.session.id;
    expect((await upload(account, next, "b.enc", 60_000)).status).toBe(200);
  });

  test("0 is no limit, and a limit that is lowered while the server runs counts at once", async () => {
    const { server, account } = await started({ maxAccountBytes: 0 });
    expect((await openSession(account, "a", "m".repeat(100_000))).status).toBe(200);
    Object.assign(server.config, { maxAccountBytes: 50_000 });
    refusedWith(await openSession(account, "b"), FULL);
    Object.assign(server.config, { maxAccountBytes: 1_000_000 });
    expect((await openSession(account, "b")).status).toBe(200);
  });
});

describe("numbers of things", () => {
  test("machines: one more than permitted is refused, one that is deleted makes room, known ones are known", async () => {
    const { account, other } = await started({ maxAccountMachines: 3 });
    const register = (who: Account, id: string) => who.call("POST", "/v1/machines", { id, metadata: "m" });
    for (const id of ["a", "b", "c"]) expect((await register(account, id)).status).toBe(200);
    refusedWith(
      await register(account, "d"),
      /^Your account has as many machines on this server as it may \(3\)\./,
    );
    expect((await register(account, "a")).status).toBe(200);
    expect((await register(other, "d")).status).toBe(200);
    await account.call("DELETE", "/v1/machines/a");
    expect((await register(account, "e")).status).toBe(200);
  });

  test("access keys", async () => {
    const { account } = await started({ maxAccountAccessKeys: 2 });
    await account.call("POST", "/v1/machines", { id: "m", metadata: "m" });
    const sids: string[] = [];
    for (const tag of ["a", "b", "c"]) sids.push((await openSession(account, tag)).body.session.id);
    const create = (sid: string | undefined) =>
      account.call("POST", `/v1/access-keys/${sid}/m`, { data: "d" });
    expect([(await create(sids[0])).status, (await create(sids[1])).status]).toEqual([200, 200]);
    refusedWith(
      await create(sids[2]),
      /^Your account has as many access keys on this server as it may \(2\)\./,
    );
    await account.call("DELETE", `/v1/sessions/${sids[0]}`);
    expect((await create(sids[2])).status).toBe(200);
  });
});

describe("messages", () => {
  test("over HTTP: 429 with the time to wait, for this account only, and the batch is stored when it comes again", async () => {
    const { account, other } = await started({ maxAccountMessagesPerSecond: 5 });
    const sid = (await openSession(account)).body.session.id;
    const theirs = (await openSession(other)).body.session.id;
    const batch = Array.from({ length: 40 }, (_, n) => ({ content: "c", localId: `b${n}` }));
    const send = () => account.call("POST", `/v3/sessions/${sid}/messages`, { messages: batch });
    expect((await send()).status).toBe(200);
    for (let n = 0; n < 8; n++) await post(account, sid, `s${n}`);
    const refused = await account.call("POST", `/v3/sessions/${sid}/messages`, {
      messages: batch.map(({ content, localId }) => ({ content, localId: `again ${localId}` })).slice(0, 10),
    });
    expect([refused.status, Object.keys(refused.body)]).toEqual([429, ["error"]]);
    expect(refused.body.error).toMatch(/^Too many .*\.$/);
    const seconds = Number(refused.headers.get("retry-after"));
    expect(seconds).toBeGreaterThanOrEqual(1);
    expect((await post(other, theirs, "a")).status).toBe(200);
    await Bun.sleep(seconds * 1_000 + 50);
    expect((await post(account, sid, "later")).status).toBe(200);
  });

  test("over a socket: every one is stored, in order, and an answered ping says so; a flood of one is no flood of all", async () => {
    const { server, account, other } = await started({ maxAccountMessagesPerSecond: 50 });
    const sid = (await openSession(account)).body.session.id;
    const theirs = (await openSession(other)).body.session.id;
    const phone = await account.connect();
    const start = performance.now();
    for (let n = 0; n < 600; n++) phone.socket.emit("message", { sid, message: String(n), localId: `m${n}` });
    expect((await post(other, theirs, "a")).status).toBe(200);
    await phone.settled();
    expect(performance.now() - start).toBeGreaterThan(1_500);
    const stored = rows<{ n: string }>(
      server,
      "SELECT json_extract(content, '$') AS n FROM messages WHERE local_id LIKE 'm%' ORDER BY seq",
    );
    expect(stored).toHaveLength(600);
    expect(stored.map(({ n }) => String(n))).toEqual(Array.from({ length: 600 }, (_, n) => String(n)));
    phone.close();
  });

  test("that wait are stored though their socket closes, and before the server stops; not when their account is disabled", async () => {
    const { server, account, other } = await started({ maxAccountMessagesPerSecond: 1 });
    const sid = (await openSession(account)).body.session.id;
    const theirs = (await openSession(other)).body.session.id;
    const [gone, stays] = [await account.connect(), await account.connect()];
    const shutOut = await other.connect();
    const sentAll = (listener: typeof gone, prefix: string, count: number, into = sid) => {
      for (let n = 0; n < count; n++)
        listener.socket.emit("message", { sid: into, message: "m", localId: `${prefix}${n}` });
      return new Promise<void>((resolve) => listener.socket.emit("artifact-read", {}, () => resolve()));
    };
    // Ten at once; the rest waits for a minute.
    await sentAll(gone, "gone", 30);
    gone.close();
    await sentAll(stays, "stays", 30);
    await sentAll(shutOut, "out", 100, theirs);
    expect((await roost(server, "accounts", "disable", other.id)).code).toBe(0);
    await server.restart();
    const count = (prefix: string) =>
      rows<{ n: number }>(server, "SELECT count(*) AS n FROM messages WHERE local_id LIKE ?", `${prefix}%`)[0]
        ?.n;
    expect([count("gone"), count("stays")]).toEqual([30, 30]);
    expect(count("out")).toBeLessThan(60);
    stays.close();
  });
});

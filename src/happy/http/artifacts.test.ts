// Artifacts over HTTP: what each call answers, what it stores, and which updates it fires or must not fire.
import { Database as Sqlite } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  type Account,
  accountWith,
  call,
  type Listener,
  newAccount,
} from "../../../test/support/happy-client.ts";
import { TEST_SECRET, type TestServer, testServer } from "../../../test/support/server.ts";
import { withoutTable } from "../../../test/support/without-table.ts";
import { serverKeys } from "../auth/server-keys.ts";

let server: TestServer;
let database: Sqlite;
beforeAll(async () => {
  server = await testServer();
  database = new Sqlite(join(server.dataDir, "happy.db"), { readwrite: true, strict: true });
  database.run("PRAGMA busy_timeout = 5000");
});
afterAll(async () => {
  database.close();
  await server.stop();
});

const account = () => newAccount(server.url);
const draft = (id = crypto.randomUUID() as string) => ({
  id,
  header: "aGVhZA==",
  body: "Ym9keQ==",
  dataEncryptionKey: "a2V5",
});
const create = (owner: Account, artifact: unknown) => owner.call("POST", "/v1/artifacts", artifact);
const read = async (owner: Account, id: string) => (await owner.call("GET", `/v1/artifacts/${id}`)).body;

async function fired(listener: Listener): Promise<unknown[]> {
  await listener.settled();
  return listener.updates.map(({ seq, body }) => [seq, body]);
}

describe("create", () => {
  test("stores once, answers the whole artifact, and announces it to user sockets of the owner alone", async () => {
    const [me, other] = [await account(), await account()];
    const listeners = [
      await me.connect(),
      await me.connect({ clientType: "machine-scoped", machineId: "m" }),
      await other.connect(),
    ] as const;
    const artifact = draft();
    const created = await create(me, artifact);
    expect([created.status, created.body]).toEqual([
      200,
      {
        ...artifact,
        headerVersion: 1,
        bodyVersion: 1,
        seq: 0,
        createdAt: expect.any(Number),
        updatedAt: created.body.createdAt,
      },
    ]);
    const again = await create(me, { ...draft(artifact.id), header: "b3RoZXI=", body: "not base64!" });
    expect([again.status, again.body]).toEqual([200, created.body]);
    const foreign = await create(other, draft(artifact.id));
    expect([foreign.status, foreign.body]).toEqual([
      409,
      { error: "Artifact with this ID already exists for another account" },
    ]);
    const { id: artifactId, ...rest } = created.body;
    expect(await fired(listeners[0])).toEqual([[1, { t: "new-artifact", artifactId, ...rest }]]);
    expect(await fired(listeners[1])).toEqual([]);
    expect(await fired(listeners[2])).toEqual([]);
    for (const listener of listeners) listener.close();
  });

  test("empty parts are allowed and stay empty", async () => {
    const me = await account();
    const empty = { id: crypto.randomUUID(), header: "", body: "", dataEncryptionKey: "" };
    expect((await create(me, empty)).body).toMatchObject(empty);
    expect(await read(me, empty.id)).toMatchObject(empty);
  });

  test("base64 may come unpadded and goes out padded", async () => {
    const me = await account();
    const { body } = await create(me, { ...draft(), header: "aGVhZA" });
    expect(body.header).toBe("aGVhZA==");
  });

  test.each(["header", "body", "dataEncryptionKey"])(
    "a %s that is no strict base64 stores nothing",
    async (part) => {
      const me = await account();
      const phone = await me.connect();
      for (const text of ["not base64!!", "a-_b", "aGVh ZA==", "YQ", "===="]) {
        const artifact = { ...draft(), [part]: text };
        const answer = await create(me, artifact);
        expect([text, answer.status, answer.body]).toEqual([
          text,
          500,
          { error: "Failed to create artifact" },
        ]);
        expect(await read(me, artifact.id)).toEqual({ error: "Artifact not found" });
      }
      expect(await fired(phone)).toEqual([]);
      phone.close();
    },
  );

  test.each([
    ["0188f0a2-0000-7000-8000-000000000000", 200],
    ["0188F0A2-0000-1000-BFFF-00000000ABCD", 200],
    ["00000000-0000-0000-0000-000000000000", 200],
    ["ffffffff-ffff-ffff-ffff-ffffffffffff", 200],
    ["0188f0a2-0000-9000-8000-000000000000", 400],
    ["0188f0a2-0000-0000-8000-000000000000", 400],
    ["0188f0a2-0000-7000-c000-000000000000", 400],
    ["0188f0a2000070008000000000000000", 400],
    ["", 400],
  ])("id %s is %d", async (id, status) => {
    const me = await account();
    const answer = await create(me, draft(id));
    expect(answer.status).toBe(status);
    if (status === 400)
      expect(answer.body).toEqual({ error: "Error", message: "body/id Invalid UUID", statusCode: 400 });
  });

  test("two at once make one artifact", async () => {
    const me = await account();
    const phone = await me.connect();
    const artifact = draft();
    const [a, b] = await Promise.all([create(me, artifact), create(me, artifact)]);
    expect([a.status, b.status, b.body]).toEqual([200, 200, a.body]);
    expect(await fired(phone)).toHaveLength(1);
    phone.close();
  });
});

describe.each(["POST", "PUT"])("change by %s", (method) => {
  const HEADER = { header: "aDI=", expectedHeaderVersion: 1 };
  const BODY = { body: "YjI=", expectedBodyVersion: 1 };
  test.each([
    ["header", HEADER, { success: true, headerVersion: 2 }, { header: { value: "aDI=", version: 2 } }],
    ["body", BODY, { success: true, bodyVersion: 2 }, { body: { value: "YjI=", version: 2 } }],
    [
      "both",
      { ...HEADER, ...BODY },
      { success: true, headerVersion: 2, bodyVersion: 2 },
      { header: { value: "aDI=", version: 2 }, body: { value: "YjI=", version: 2 } },
    ],
    [
      "empty text",
      { header: "", expectedHeaderVersion: 1 },
      { success: true, headerVersion: 2 },
      { header: { value: "", version: 2 } },
    ],
    ["nothing", {}, { success: true }, {}],
    ["a value without its version", { header: "aDI=" }, { success: true }, {}],
    ["a version without its value", { expectedBodyVersion: 9 }, { success: true }, {}],
    [
      "a stale header with a good body",
      { ...HEADER, ...BODY, expectedHeaderVersion: 0 },
      {
        success: false,
        error: "version-mismatch",
        currentHeaderVersion: 1,
        currentHeader: "aGVhZA==",
      },
      undefined,
    ],
    [
      "two stale parts, unreadable too",
      { header: "!", expectedHeaderVersion: 2, body: "!", expectedBodyVersion: 0 },
      {
        success: false,
        error: "version-mismatch",
        currentHeaderVersion: 1,
        currentHeader: "aGVhZA==",
        currentBodyVersion: 1,
        currentBody: "Ym9keQ==",
      },
      undefined,
    ],
  ])("of %s", async (_, change, answer, announced) => {
    const [me, other] = [await account(), await account()];
    const artifact = draft();
    const { body: before } = await create(me, artifact);
    const [phone, stranger] = [await me.connect(), await other.connect()];
    const changed = await me.call(method, `/v1/artifacts/${artifact.id}`, change);
    expect([changed.status, changed.body]).toEqual([200, answer]);
    const after = await read(me, artifact.id);
    if (announced === undefined) {
      expect(after).toEqual(before);
      expect(await fired(phone)).toEqual([]);
    } else {
      expect(after).toEqual({
        ...before,
        ...("header" in announced && {
          header: announced.header.value,
          headerVersion: announced.header.version,
        }),
        ...("body" in announced && { body: announced.body.value, bodyVersion: announced.body.version }),
        seq: 1,
        updatedAt: after.updatedAt,
      });
      expect(after.updatedAt).toBeGreaterThanOrEqual(before.updatedAt);
      expect(await fired(phone)).toEqual([
        [2, { t: "update-artifact", artifactId: artifact.id, ...announced }],
      ]);
    }
    expect(await fired(stranger)).toEqual([]);
    phone.close();
    stranger.close();
  });

  test("of a part that is no base64 writes neither part", async () => {
    const me = await account();
    const artifact = draft();
    const { body: before } = await create(me, artifact);
    const phone = await me.connect();
    const answer = await me.call(method, `/v1/artifacts/${artifact.id}`, {
      ...HEADER,
      ...BODY,
      body: "b-2=",
    });
    expect([answer.status, answer.body]).toEqual([500, { error: "Failed to update artifact" }]);
    expect(await read(me, artifact.id)).toEqual(before);
    expect(await fired(phone)).toEqual([]);
    phone.close();
  });

  test.each([
    [{ header: null }, "body/header Invalid input: expected string, received null"],
    [{ body: 1 }, "body/body Invalid input: expected string, received number"],
    [{ expectedHeaderVersion: -1 }, "body/expectedHeaderVersion Too small: expected number to be >=0"],
    [{ expectedBodyVersion: null }, "body/expectedBodyVersion Invalid input: expected number, received null"],
  ])("%j is refused before the token is looked at", async (body, message) => {
    const answer = await call(server.url, undefined, method, "/v1/artifacts/x", body);
    expect([answer.status, answer.body]).toEqual([400, { error: "Error", message, statusCode: 400 }]);
  });

  test("of somebody else's artifact finds none", async () => {
    const [me, other] = [await account(), await account()];
    const artifact = draft();
    const { body: before } = await create(me, artifact);
    const answer = await other.call(method, `/v1/artifacts/${artifact.id}`, HEADER);
    expect([answer.status, answer.body]).toEqual([404, { error: "Artifact not found" }]);
    expect(await read(me, artifact.id)).toEqual(before);
  });

  test("of one version by many at once succeeds once", async () => {
    const me = await account();
    const artifact = draft();
    await create(me, artifact);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => me.call(method, `/v1/artifacts/${artifact.id}`, HEADER)),
    );
    expect(answers.filter(({ body }) => body.success)).toHaveLength(1);
    expect(await read(me, artifact.id)).toMatchObject({ headerVersion: 2, seq: 1 });
  });
});

describe("read and delete", () => {
  test("the list has no bodies, the latest change first, 200 at most, and nothing of others", async () => {
    const [me, other] = [await account(), await account()];
    await create(other, draft());
    const insert = database.query(
      `INSERT INTO artifacts (id, account_pk, header, header_version, body, body_version, data_encryption_key, seq, created_at, updated_at)
       SELECT $id, pk, x'01', 3, x'02', 4, x'', 5, 10, $at FROM accounts WHERE id = $owner`,
    );
    for (let n = 0; n < 201; n++)
      insert.run({ id: `${me.id}-${n}`, at: 1000 + ((n * 7) % 201), owner: me.id });
    const { status, body } = await me.call("GET", "/v1/artifacts");
    expect(status).toBe(200);
    const times = body.map(({ updatedAt }: { updatedAt: number }) => updatedAt);
    expect(times).toEqual(Array.from({ length: 200 }, (_, n) => 1200 - n));
    expect(body[0]).toEqual({
      id: expect.stringContaining(me.id),
      header: "AQ==",
      headerVersion: 3,
      dataEncryptionKey: "",
      seq: 5,
      createdAt: 10,
      updatedAt: 1200,
    });
  });

  test("deletion is announced once and only to its owner", async () => {
    const [me, other] = [await account(), await account()];
    const artifact = draft();
    await create(me, artifact);
    const [phone, stranger] = [await me.connect(), await other.connect()];
    const path = `/v1/artifacts/${artifact.id}`;
    const missing = [404, { error: "Artifact not found" }];
    const attempt = async (by: Account, method: string) => {
      const { status, body } = await by.call(method, path);
      return [status, body];
    };
    expect(await attempt(other, "GET")).toEqual(missing);
    expect(await attempt(other, "DELETE")).toEqual(missing);
    expect(await attempt(me, "DELETE")).toEqual([200, { success: true }]);
    expect(await attempt(me, "DELETE")).toEqual(missing);
    expect(await attempt(me, "GET")).toEqual(missing);
    expect((await me.call("GET", "/v1/artifacts")).body).toEqual([]);
    expect(await fired(phone)).toEqual([[2, { t: "delete-artifact", artifactId: artifact.id }]]);
    expect(await fired(stranger)).toEqual([]);
    phone.close();
    stranger.close();
  });

  test("DELETE with a JSON content type and no body is accepted", async () => {
    const me = await account();
    const artifact = draft();
    await create(me, artifact);
    const answer = await fetch(`${server.url}/v1/artifacts/${artifact.id}`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${me.token}`, "content-type": "application/json" },
    });
    expect([answer.status, await answer.json()]).toEqual([200, { success: true }]);
  });
});

describe("an account that is not here", () => {
  test("owns nothing and can create nothing", async () => {
    const ghost = accountWith(server.url, await serverKeys(TEST_SECRET).bearer.issue({ account: "ghost" }));
    expect((await ghost.call("GET", "/v1/artifacts")).body).toEqual([]);
    const created = await create(ghost, draft());
    expect([created.status, created.body]).toEqual([500, { error: "Failed to create artifact" }]);
  });
});

test("when the table cannot be read, every route answers its own 500", async () => {
  const me = await account();
  const id = crypto.randomUUID();
  await withoutTable(server, "artifacts", async () => {
    for (const [method, path, body, error] of [
      ["GET", "/v1/artifacts", undefined, "Failed to get artifacts"],
      ["GET", `/v1/artifacts/${id}`, undefined, "Failed to get artifact"],
      ["POST", "/v1/artifacts", draft(), "Failed to create artifact"],
      ["POST", `/v1/artifacts/${id}`, {}, "Failed to update artifact"],
      ["PUT", `/v1/artifacts/${id}`, {}, "Failed to update artifact"],
      ["DELETE", `/v1/artifacts/${id}`, undefined, "Failed to delete artifact"],
    ] as const) {
      const answer = await me.call(method, path, body);
      expect([method, path, answer.status, answer.body]).toEqual([method, path, 500, { error }]);
    }
  });
  expect((await create(me, draft(id))).status).toBe(200);
});

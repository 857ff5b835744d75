// Machines over HTTP: registered once for all accounts together, listed, changed and deleted, and who hears of it (HTTP contract 9, 17).
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { audience } from "../../../test/support/happy-audience.ts";
import { type Account, type Answer, newAccount } from "../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const MISSING = [404, { error: "Machine not found" }];
const FOREIGN = [409, { error: "Machine already registered to another account" }];
const said = ({ status, body }: Answer) => [status, body];
const register = (account: Account, id: string, more: object = {}) =>
  account.call("POST", "/v1/machines", { id, metadata: "meta", ...more });

describe("POST /v1/machines", () => {
  test("a new one is inactive, at version 1, and told twice: to phones, and to phones and itself", async () => {
    const account = await newAccount(server.url);
    const id = crypto.randomUUID();
    const all = await audience(account, "s", id);
    const { status, body } = await register(account, id, { daemonState: "state", dataEncryptionKey: "AAEC" });
    const { createdAt } = body.machine;
    expect([status, body]).toEqual([
      200,
      {
        machine: {
          id,
          metadata: "meta",
          metadataVersion: 1,
          daemonState: "state",
          daemonStateVersion: 1,
          dataEncryptionKey: "AAEC",
          active: false,
          activeAt: createdAt,
          createdAt,
          updatedAt: createdAt,
        },
      },
    ]);
    const { id: _id, ...rest } = body.machine;
    const second = [2, { t: "update-machine", machineId: id, metadata: { value: "meta", version: 1 } }];
    expect(await all.heard()).toEqual({
      phone: [[1, { t: "new-machine", machineId: id, seq: 0, ...rest }], second],
      machine: [second],
    });
    const withSeq = { ...body.machine, seq: 0 };
    expect(said(await account.call("GET", "/v1/machines"))).toEqual([200, [withSeq]]);
    expect(said(await account.call("GET", `/v1/machines/${id}`))).toEqual([200, { machine: withSeq }]);

    const again = await register(account, id, { metadata: "other", daemonState: "other" });
    expect(said(again)).toEqual([200, body]);
    expect(said(await register(all.stranger, id))).toEqual(FOREIGN);
    expect(await all.heard()).toEqual({});
    expect(said(await all.stranger.call("GET", "/v1/machines"))).toEqual([200, []]);
    all.close();
  });

  test.each([
    [{}, { daemonState: null, daemonStateVersion: 0, dataEncryptionKey: null }],
    [{ daemonState: "" }, { daemonState: null, daemonStateVersion: 0 }],
    [{ dataEncryptionKey: null }, { dataEncryptionKey: null }],
    [{ dataEncryptionKey: "" }, { dataEncryptionKey: null }],
    [{ dataEncryptionKey: "not base64!!" }, { dataEncryptionKey: "notbase6" }],
  ])("%j is stored as %j", async (given, expected) => {
    const account = await newAccount(server.url);
    expect((await register(account, crypto.randomUUID(), given)).body.machine).toMatchObject(expected);
  });

  test.each([
    [{ daemonState: null }, "body/daemonState Invalid input: expected string, received null"],
    [{ metadata: undefined }, "body/metadata Invalid input: expected string, received undefined"],
    [{ id: 1 }, "body/id Invalid input: expected string, received number"],
  ])("%j is refused", async (given, message) => {
    const account = await newAccount(server.url);
    expect(said(await register(account, "m", given))).toEqual([
      400,
      { error: "Error", message, statusCode: 400 },
    ]);
  });

  test("20 that register one id at once get one machine, announced once; of two accounts one gets it", async () => {
    const [account, other] = [await newAccount(server.url), await newAccount(server.url)];
    const phone = await account.connect();
    const id = crypto.randomUUID();
    const answers = await Promise.all(Array.from({ length: 20 }, () => register(account, id)));
    expect(new Set(answers.map((answer) => JSON.stringify(said(answer)))).size).toBe(1);
    await phone.settled();
    expect(phone.updates.map(({ seq, body }) => [seq, body.t])).toEqual([
      [1, "new-machine"],
      [2, "update-machine"],
    ]);
    const contested = crypto.randomUUID();
    const both = await Promise.all([register(account, contested), register(other, contested)]);
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 409]);
    phone.close();
  });

  test("any text is an id, and the paths find it", async () => {
    const account = await newAccount(server.url);
    for (const id of ["a/b c+ü", "%2F", "."]) {
      const unique = `${id}${account.id}`;
      expect((await register(account, unique)).status).toBe(200);
      const path = `/v1/machines/${encodeURIComponent(unique)}`;
      expect((await account.call("GET", path)).body.machine.id).toBe(unique);
      expect(said(await account.call("DELETE", path))).toEqual([200, { success: true }]);
    }
  });
});

test("GET /v1/machines: last heard first, all of them", async () => {
  const account = await newAccount(server.url);
  const ids = Array.from({ length: 160 }, (_, index) => `${index}-${account.id}`);
  await Promise.all(ids.map((id) => register(account, id)));
  const daemon = await account.connect({ clientType: "machine-scoped", machineId: ids[80] });
  const { createdAt } = (await account.call("GET", `/v1/machines/${ids[80]}`)).body.machine;
  while (Date.now() <= createdAt + 500) await new Promise(setImmediate);
  await daemon.ask("machine-update-state", { machineId: ids[80], daemonState: "up", expectedVersion: 0 });
  const { body } = await account.call("GET", "/v1/machines");
  expect(body).toHaveLength(160);
  expect(body[0]).toMatchObject({ id: ids[80], active: true, seq: 0 });
  const times = body.map(({ activeAt }: { activeAt: number }) => activeAt);
  expect(times).toEqual(times.toSorted((a: number, b: number) => b - a));
  daemon.close();
});

describe("PUT /v1/machines/:id", () => {
  test("swaps what was expected, both parts or none, and tells phones and the machine", async () => {
    const account = await newAccount(server.url);
    const machineId = crypto.randomUUID();
    const all = await audience(account, "s", machineId);
    await register(account, machineId);
    await all.heard();
    const put = async (body: object) => said(await account.call("PUT", `/v1/machines/${machineId}`, body));
    const everyone = (...updates: unknown[]) => ({ phone: updates, machine: updates });

    const both = {
      metadata: "m2",
      expectedMetadataVersion: 1,
      daemonState: "d1",
      expectedDaemonStateVersion: 0,
    };
    expect(await put(both)).toEqual([200, { success: true, metadataVersion: 2, daemonStateVersion: 1 }]);
    expect(await all.heard()).toEqual(
      everyone(
        [3, { t: "update-machine", machineId, metadata: { value: "m2", version: 2 } }],
        [4, { t: "update-machine", machineId, daemonState: { value: "d1", version: 1 } }],
      ),
    );
    // A new daemon state proves the machine alive.
    expect((await account.call("GET", `/v1/machines/${machineId}`)).body.machine.active).toBe(true);

    expect(await put({ ...both, expectedMetadataVersion: 2 })).toEqual([
      200,
      { success: false, error: "version-mismatch", currentDaemonStateVersion: 1, currentDaemonState: "d1" },
    ]);
    expect(await put(both)).toEqual([
      200,
      {
        success: false,
        error: "version-mismatch",
        currentMetadataVersion: 2,
        currentMetadata: "m2",
        currentDaemonStateVersion: 1,
        currentDaemonState: "d1",
      },
    ]);
    expect((await put({ daemonState: null, expectedDaemonStateVersion: 1 }))[0]).toBe(400);
    expect(said(await all.stranger.call("PUT", `/v1/machines/${machineId}`, both))).toEqual(MISSING);
    expect(await all.heard()).toEqual({});
    expect((await account.call("GET", `/v1/machines/${machineId}`)).body.machine).toMatchObject({
      metadata: "m2",
      daemonState: "d1",
    });
    all.close();
  });
});

describe("DELETE /v1/machines/:id", () => {
  test("takes its access keys with it, leaves sessions, tells phones, and frees the id", async () => {
    const account = await newAccount(server.url);
    const machineId = crypto.randomUUID();
    const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "" });
    const key = `/v1/access-keys/${opened.body.session.id}/${machineId}`;
    await register(account, machineId);
    await account.call("POST", key, { data: "d" });
    const all = await audience(account, "s", machineId);
    const path = `/v1/machines/${machineId}`;

    expect(said(await all.stranger.call("GET", path))).toEqual(MISSING);
    expect(said(await all.stranger.call("DELETE", path))).toEqual(MISSING);
    expect(await all.heard()).toEqual({});
    expect(said(await account.call("DELETE", path))).toEqual([200, { success: true }]);
    expect(await all.heard()).toEqual({ phone: [[expect.any(Number), { t: "delete-machine", machineId }]] });
    expect(said(await account.call("DELETE", path))).toEqual(MISSING);
    expect(said(await account.call("GET", path))).toEqual(MISSING);
    expect(await all.heard()).toEqual({});
    expect((await account.call("GET", "/v1/sessions")).body.sessions).toHaveLength(1);

    expect((await register(all.stranger, machineId)).status).toBe(200);
    expect(said(await register(account, machineId))).toEqual(FOREIGN);
    expect((await account.call("GET", key)).status).toBe(404);
    all.close();
  });
});

test("a deleted machine's daemon that goes on living makes no other machine look alive", async () => {
  const own = await testServer();
  const [account, other] = [await newAccount(own.url), await newAccount(own.url)];
  await register(account, "first");
  const daemon = await account.connect({ clientType: "machine-scoped", machineId: "first" });
  daemon.socket.emit("machine-alive", { machineId: "first", time: Date.now() });
  await daemon.settled();
  await account.call("DELETE", "/v1/machines/first");
  // Takes the place in the database that the first one left.
  await register(other, "second");
  daemon.socket.emit("machine-alive", { machineId: "first", time: Date.now() });
  await daemon.settled();
  daemon.close();
  // A stop stores the heartbeats that wait.
  await own.restart();
  expect((await other.call("GET", "/v1/machines/second")).body.machine.active).toBe(false);
  // Nor does it speak for whoever registers its own id next.
  await register(account, "third");
  const former = await account.connect({ clientType: "machine-scoped", machineId: "third" });
  former.socket.emit("machine-alive", { machineId: "third", time: Date.now() });
  await former.settled();
  await account.call("DELETE", "/v1/machines/third");
  await register(other, "third");
  former.socket.emit("machine-alive", { machineId: "third", time: Date.now() });
  await former.settled();
  former.close();
  await own.restart();
  expect((await other.call("GET", "/v1/machines/third")).body.machine.active).toBe(false);
  await own.stop();
});

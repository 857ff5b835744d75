// Access keys: one blob for each session and machine of an account, never announced to anybody.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Account, call, newAccount } from "../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";
import { withoutTable } from "../../../test/support/without-table.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

interface Home {
  readonly owner: Account;
  readonly session: string;
  readonly machine: string;
  readonly path: string;
}

async function home(): Promise<Home> {
  const owner = await newAccount(server.url);
  const { body } = await owner.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
  const session: string = body.session.id;
  const machine = crypto.randomUUID();
  await owner.call("POST", "/v1/machines", { id: machine, metadata: "m" });
  return { owner, session, machine, path: `/v1/access-keys/${session}/${machine}` };
}

const ask = async (owner: Account, method: string, path: string, body?: unknown) => {
  const answer = await owner.call(method, path, body);
  return [answer.status, answer.body];
};
const NO_PLACE = [404, { error: "Session or machine not found" }];
const NO_KEY = [404, { error: "Access key not found" }];

test("a key is made once, changed from its current version, and none of it is announced", async () => {
  const { owner, session, machine, path } = await home();
  const listeners = [
    await owner.connect(),
    await owner.connect({ clientType: "session-scoped", sessionId: session }),
    await owner.connect({ clientType: "machine-scoped", machineId: machine }),
  ];
  expect(await ask(owner, "GET", path)).toEqual([200, { accessKey: null }]);
  expect(await ask(owner, "PUT", path, { data: "x", expectedVersion: 0 })).toEqual(NO_KEY);
  const [status, made] = await ask(owner, "POST", path, { data: "one" });
  expect(status).toBe(200);
  const { createdAt } = made.accessKey;
  const first = { data: "one", dataVersion: 1, createdAt: expect.any(Number), updatedAt: createdAt };
  expect(made).toEqual({ success: true, accessKey: first });
  expect(await ask(owner, "GET", path)).toEqual([200, { accessKey: first }]);
  expect(await ask(owner, "POST", path, { data: "two" })).toEqual([
    409,
    { error: "Access key already exists" },
  ]);
  const mismatch = (currentVersion: number, currentData: string) => [
    200,
    { success: false, error: "version-mismatch", currentVersion, currentData },
  ];
  expect(await ask(owner, "PUT", path, { data: "two", expectedVersion: 0 })).toEqual(mismatch(1, "one"));
  expect(await ask(owner, "PUT", path, { data: "two", expectedVersion: 1 })).toEqual([
    200,
    { success: true, version: 2 },
  ]);
  expect(await ask(owner, "PUT", path, { data: "three", expectedVersion: 1 })).toEqual(mismatch(2, "two"));
  const [, { accessKey }] = await ask(owner, "GET", path);
  expect(accessKey).toEqual({ data: "two", dataVersion: 2, createdAt, updatedAt: expect.any(Number) });
  expect(accessKey.updatedAt).toBeGreaterThanOrEqual(createdAt);
  for (const listener of listeners) {
    await listener.settled();
    expect(listener.updates).toEqual([]);
    listener.close();
  }
});

test("a session or machine of somebody else looks like none", async () => {
  const [mine, theirs] = [await home(), await home()];
  await mine.owner.call("POST", mine.path, { data: "secret" });
  for (const path of [
    mine.path,
    `/v1/access-keys/${theirs.session}/${mine.machine}`,
    `/v1/access-keys/${mine.session}/${theirs.machine}`,
    `/v1/access-keys/${theirs.session}/no`,
    `/v1/access-keys/no/${theirs.machine}`,
  ]) {
    expect(await ask(theirs.owner, "GET", path)).toEqual(NO_PLACE);
    expect(await ask(theirs.owner, "POST", path, { data: "x" })).toEqual(NO_PLACE);
    expect(await ask(theirs.owner, "PUT", path, { data: "x", expectedVersion: 1 })).toEqual(NO_KEY);
  }
  const [, { accessKey }] = await ask(mine.owner, "GET", mine.path);
  expect(accessKey.data).toBe("secret");
});

test("many makers at once make one", async () => {
  const { owner, path } = await home();
  const answers = await Promise.all(
    Array.from({ length: 6 }, (_, n) => ask(owner, "POST", path, { data: `${n}` })),
  );
  expect(answers.map(([status]) => status).toSorted()).toEqual([200, 409, 409, 409, 409, 409]);
});

describe("GET /v1/accessKeys", () => {
  test("lists one's own keys, all or of one session, one machine or both", async () => {
    const [{ owner, session, machine, path }, stranger] = [await home(), await home()];
    const { body } = await owner.call("POST", "/v1/sessions", { tag: "u", metadata: "m" });
    const second: string = body.session.id;
    const laptop = crypto.randomUUID();
    await owner.call("POST", "/v1/machines", { id: laptop, metadata: "m" });
    await owner.call("POST", path, { data: "1" });
    await owner.call("POST", `/v1/access-keys/${second}/${machine}`, { data: "2" });
    await owner.call("POST", `/v1/access-keys/${session}/${laptop}`, { data: "3" });
    await stranger.owner.call("POST", stranger.path, { data: "4" });
    const list = async (query = "") => {
      const answer = await owner.call("GET", `/v1/accessKeys${query}`);
      expect(answer.status).toBe(200);
      return answer.body.accessKeys;
    };
    const times = { createdAt: expect.any(Number), updatedAt: expect.any(Number) };
    const one = { sessionId: session, machineId: machine, data: "1", dataVersion: 1, ...times };
    const two = { sessionId: second, machineId: machine, data: "2", dataVersion: 1, ...times };
    const three = { sessionId: session, machineId: laptop, data: "3", dataVersion: 1, ...times };
    expect(await list()).toEqual([one, two, three]);
    expect(await list(`?sessionId=${session}`)).toEqual([one, three]);
    expect(await list(`?machineId=${machine}`)).toEqual([one, two]);
    expect(await list(`?sessionId=${second}&machineId=${laptop}`)).toEqual([]);
    expect(await list(`?sessionId=${stranger.session}`)).toEqual([]);
  });
});

test.each([
  ["POST", {}, "body/data Invalid input: expected string, received undefined"],
  ["POST", { data: null }, "body/data Invalid input: expected string, received null"],
  ["PUT", { data: "x" }, "body/expectedVersion Invalid input: expected number, received undefined"],
  ["PUT", { data: "x", expectedVersion: -1 }, "body/expectedVersion Too small: expected number to be >=0"],
])("%s with %j is refused before the token is looked at", async (method, body, message) => {
  const answer = await call(server.url, undefined, method, "/v1/access-keys/s/m", body);
  expect([answer.status, answer.body]).toEqual([400, { error: "Error", message, statusCode: 400 }]);
});

test("when the table cannot be read, every route answers its own 500", async () => {
  const { owner, path } = await home();
  await withoutTable(server, "access_keys", async () => {
    expect(await ask(owner, "GET", path)).toEqual([500, { error: "Failed to get access key" }]);
    expect(await ask(owner, "POST", path, { data: "x" })).toEqual([
      500,
      { error: "Failed to create access key" },
    ]);
    expect(await ask(owner, "PUT", path, { data: "x", expectedVersion: 1 })).toEqual([
      500,
      { success: false, error: "Failed to update access key" },
    ]);
  });
});

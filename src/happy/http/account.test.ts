// The caller's own account: what the app's login waits for, and the compare-and-swap of its settings.
import { Database as Sqlite } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { accountWith, call, type Listener, newAccount } from "../../../test/support/happy-client.ts";
import { TEST_SECRET, type TestServer, testServer } from "../../../test/support/server.ts";
import { serverKeys } from "../auth/server-keys.ts";

let server: TestServer;
let database: Sqlite;
beforeAll(async () => {
  server = await testServer({ publicUrl: "https://roost.example" });
  database = new Sqlite(join(server.dataDir, "happy.db"), { readwrite: true, strict: true });
  database.run("PRAGMA busy_timeout = 5000");
});
afterAll(async () => {
  database.close();
  await server.stop();
});

const account = () => newAccount(server.url);
const ghost = async () =>
  accountWith(server.url, await serverKeys(TEST_SECRET).bearer.issue({ account: "ghost" }));

/** Every update that this socket was sent so far, as [seq, body]. */
async function fired(listener: Listener): Promise<unknown[]> {
  await listener.settled();
  return listener.updates.map(({ seq, body }) => [seq, body]);
}

describe("profile", () => {
  test("a new account shows every key, most of them null", async () => {
    const me = await account();
    const before = Date.now();
    const { status, body } = await me.call("GET", "/v1/account/profile");
    expect(status).toBe(200);
    const { timestamp, ...rest } = body;
    expect(rest).toEqual({
      id: me.id,
      firstName: null,
      lastName: null,
      username: null,
      avatar: null,
      github: null,
      connectedServices: [],
    });
    expect(timestamp).toBeGreaterThanOrEqual(before);
    expect(timestamp).toBeLessThanOrEqual(Date.now());
  });

  test("avatar, GitHub profile and connected services come from what is stored, and of nobody else", async () => {
    const [me, other] = [await account(), await account()];
    const profile = {
      id: 7,
      login: "octo",
      name: null,
      email: null,
      bio: null,
      avatar_url: "https://a",
      plan: { name: "free" },
    };
    database
      .query("INSERT INTO github_users (id, profile, created_at, updated_at) VALUES ('7', $profile, 1, 1)")
      .run({ profile: JSON.stringify(profile) });
    const avatar = {
      width: 100,
      height: 50,
      thumbhash: "AAEC",
      path: `public/users/${me.id}/avatars/github_x.png`,
    };
    database
      .query(
        "UPDATE accounts SET github_user_id = '7', username = 'octo', first_name = 'Octo', avatar = $avatar WHERE id = $id",
      )
      .run({ avatar: JSON.stringify(avatar), id: me.id });
    for (const vendor of ["openai", "anthropic"]) {
      database
        .query(
          `INSERT INTO service_account_tokens (id, account_pk, vendor, token, created_at, updated_at)
           SELECT $token, pk, $vendor, x'00', 1, 1 FROM accounts WHERE id = $id`,
        )
        .run({ token: `${me.id}-${vendor}`, vendor, id: me.id });
    }
    const { body } = await me.call("GET", "/v1/account/profile");
    expect(body).toEqual({
      id: me.id,
      timestamp: expect.any(Number),
      firstName: "Octo",
      lastName: null,
      username: "octo",
      avatar: { ...avatar, url: `https://roost.example/files/${avatar.path}` },
      github: {
        id: 7,
        login: "octo",
        name: "octo",
        bio: null,
        avatar_url: "https://a",
        plan: { name: "free" },
      },
      connectedServices: ["openai", "anthropic"],
    });
    const theirs = await other.call("GET", "/v1/account/profile");
    expect(theirs.body).toMatchObject({ github: null, avatar: null, connectedServices: [] });
  });

  test.each([
    ["GET", "/v1/account/profile", undefined, "generic"],
    ["GET", "/v1/account", undefined, "generic"],
    ["GET", "/v1/account/settings", undefined, { error: "Failed to get account settings" }],
    [
      "POST",
      "/v1/account/settings",
      { settings: "x", expectedVersion: 0 },
      { success: false, error: "Failed to update account settings" },
    ],
    [
      "PUT",
      "/v1/account",
      { firstName: "x" },
      { success: false, error: "Failed to update account settings" },
    ],
  ] as const)(
    "%s %s of an account that is not here is that route's own 500",
    async (method, path, body, expected) => {
      const answer = await (await ghost()).call(method, path, body);
      expect(answer.status).toBe(500);
      expect(answer.body).toEqual(
        expected === "generic"
          ? { error: "Internal Server Error", message: "An unexpected error occurred", statusCode: 500 }
          : expected,
      );
    },
  );
});

describe("settings", () => {
  const write = (settings: string | null, expectedVersion: number) => ({ settings, expectedVersion });

  test("start empty, change only from the current version, and every change is announced to user sockets alone", async () => {
    const [me, other] = [await account(), await account()];
    const [phone, session, stranger] = [
      await me.connect(),
      await me.connect({ clientType: "session-scoped", sessionId: "s" }),
      await other.connect(),
    ];
    const read = async () => (await me.call("GET", "/v1/account/settings")).body;
    const post = async (body: unknown) => {
      const answer = await me.call("POST", "/v1/account/settings", body);
      return [answer.status, answer.body];
    };
    expect(await read()).toEqual({ settings: null, settingsVersion: 0 });
    expect(await post(write("one", 0))).toEqual([200, { success: true, version: 1 }]);
    expect(await post(write("late", 0))).toEqual([
      200,
      { success: false, error: "version-mismatch", currentVersion: 1, currentSettings: "one" },
    ]);
    expect(await post(write("early", 2))).toEqual([
      200,
      { success: false, error: "version-mismatch", currentVersion: 1, currentSettings: "one" },
    ]);
    expect(await read()).toEqual({ settings: "one", settingsVersion: 1 });
    expect(await post(write(null, 1))).toEqual([200, { success: true, version: 2 }]);
    expect(await post(write("late", 1))).toEqual([
      200,
      { success: false, error: "version-mismatch", currentVersion: 2, currentSettings: null },
    ]);
    expect(await fired(phone)).toEqual([
      [1, { t: "update-account", id: me.id, settings: { value: "one", version: 1 } }],
      [2, { t: "update-account", id: me.id, settings: { value: null, version: 2 } }],
    ]);
    expect(await fired(session)).toEqual([]);
    expect(await fired(stranger)).toEqual([]);
    const theirs = await other.call("GET", "/v1/account/settings");
    expect(theirs.body).toEqual({ settings: null, settingsVersion: 0 });
    for (const listener of [phone, session, stranger]) listener.close();
  });

  test("of several writers with the same version exactly one wins", async () => {
    const me = await account();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, n) => me.call("POST", "/v1/account/settings", write(`w${n}`, 0))),
    );
    const winners = answers.filter(({ body }) => body.success);
    expect(winners).toHaveLength(1);
    expect((await me.call("GET", "/v1/account/settings")).body).toEqual({
      settings: `w${answers.findIndex(({ body }) => body.success)}`,
      settingsVersion: 1,
    });
  });

  test.each([
    [{ expectedVersion: 0 }, "body/settings Invalid input: expected string, received undefined"],
    [{ settings: "x" }, "body/expectedVersion Invalid input: expected number, received undefined"],
    [write("x", -1), "body/expectedVersion Too small: expected number to be >=0"],
    [write("x", 0.5), "body/expectedVersion Invalid input: expected int, received number"],
    [
      { settings: 1, expectedVersion: "0" },
      "body/settings Invalid input: expected string, received number, body/expectedVersion Invalid input: expected number, received string",
    ],
  ])("%j is refused before anybody asks who it is", async (body, message) => {
    const answer = await call(server.url, undefined, "POST", "/v1/account/settings", body);
    expect(answer.status).toBe(400);
    expect(answer.body).toEqual({ error: "Error", message, statusCode: 400 });
  });

  test.each(["/v1/account/profile", "/v1/account/settings", "/v1/account"])(
    "GET %s without a token is 401",
    async (path) => {
      const answer = await call(server.url, undefined, "GET", path);
      expect([answer.status, answer.body]).toEqual([401, { error: "Missing authorization header" }]);
    },
  );
});

describe("GET and PUT /v1/account", () => {
  test("names and settings change together, in one announcement that holds what changed", async () => {
    const me = await account();
    const phone = await me.connect();
    const put = async (body: unknown) => (await me.call("PUT", "/v1/account", body)).body;
    expect(await put({ settings: "s", expectedVersion: 0 })).toEqual({ success: true, version: 1 });
    expect(await put({ firstName: "Ada", lastName: "L" })).toEqual({ success: true });
    expect(await put({ lastName: null, settings: null, expectedVersion: 1 })).toEqual({
      success: true,
      version: 2,
    });
    // A stale version keeps the names too.
    expect(await put({ firstName: "Eve", settings: "x", expectedVersion: 0 })).toEqual({
      success: false,
      error: "version-mismatch",
      currentVersion: 2,
      currentSettings: null,
    });
    expect(await put({ firstName: "Ada", username: "root" })).toEqual({ success: true });
    const { timestamp: _, ...whole } = (await me.call("GET", "/v1/account")).body;
    expect(whole).toEqual({
      id: me.id,
      firstName: "Ada",
      lastName: null,
      username: null,
      avatar: null,
      github: null,
      connectedServices: [],
      settings: null,
      settingsVersion: 2,
    });
    const change = { t: "update-account", id: me.id };
    expect(await fired(phone)).toEqual([
      [1, { ...change, settings: { value: "s", version: 1 } }],
      [2, { ...change, firstName: "Ada", lastName: "L" }],
      [3, { ...change, settings: { value: null, version: 2 }, lastName: null }],
      [4, { ...change, firstName: "Ada" }],
    ]);
    phone.close();
  });

  test.each([
    [
      {},
      "body/settings Invalid input: expected string, received undefined, body/expectedVersion Invalid input: expected number, received undefined",
    ],
    [
      { settings: "x", firstName: "x" },
      "body/expectedVersion Invalid input: expected number, received undefined",
    ],
    [{ expectedVersion: 0 }, "body/settings Invalid input: expected string, received undefined"],
    [{ firstName: "x".repeat(201) }, "body/firstName Too big: expected string to have <=200 characters"],
    [{ lastName: 1 }, "body/lastName Invalid input: expected string, received number"],
  ])("%j is refused", async (body, message) => {
    const me = await account();
    const answer = await me.call("PUT", "/v1/account", body);
    expect([answer.status, answer.body]).toEqual([400, { error: "Error", message, statusCode: 400 }]);
  });
});

// A handshake may claim any id, of any shape: it is accepted, and reaches nothing but what the account has under that very name. Only
// what can be no name is refused.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Account, newAccount } from "../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";

let server: TestServer;
let account: Account;
let sid: string;
beforeAll(async () => {
  server = await testServer();
  account = await newAccount(server.url);
  const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "" });
  sid = opened.body.session.id;
});
afterAll(() => server.stop());

test.each<unknown>([
  5,
  true,
  [1, 2],
  { toString: 1 },
  { id: "x" },
  "x".repeat(100_000),
  "a:session:b",
  "\u0000",
])("number %# as the id of a session or machine", async (id) => {
  const session = await account.connect({ clientType: "session-scoped", sessionId: id });
  const machine = await account.connect({ clientType: "machine-scoped", machineId: id });
  await account.call("POST", `/v3/sessions/${sid}/messages`, {
    messages: [{ content: "c", localId: crypto.randomUUID() }],
  });
  for (const listener of [session, machine]) {
    await listener.settled();
    expect(listener.heard).toEqual([]);
    listener.close();
  }
});

test.each([
  [{ clientType: "user-scoped" }, true],
  [{}, true],
  [{ clientType: "of a kind that nobody knows", sessionId: "x" }, true],
  [{ clientType: ["session-scoped"], sessionId: "x" }, true],
  [{ clientType: "session-scoped", sessionId: "another" }, false],
])("%j hears of every session: %p", async (auth, hears) => {
  const listener = await account.connect(auth);
  await account.call("POST", `/v3/sessions/${sid}/messages`, {
    messages: [{ content: "c", localId: crypto.randomUUID() }],
  });
  await listener.settled();
  expect(listener.updates.length).toBe(hears ? 1 : 0);
  listener.close();
});

test.each(["\ud800", "a\udfff"])(
  "%j is no id of a session or machine, and the handshake is refused",
  async (id) => {
    await expect(account.connect({ clientType: "session-scoped", sessionId: id })).rejects.toThrow(
      "Invalid session ID",
    );
    await expect(account.connect({ clientType: "machine-scoped", machineId: id })).rejects.toThrow(
      "Invalid machine ID",
    );
  },
);

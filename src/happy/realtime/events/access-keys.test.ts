// `access-key-get`: every answer of its table, whichever kind of socket asks.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Account, newAccount } from "../../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../../test/support/server.ts";
import { withoutTable } from "../../../../test/support/without-table.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

async function place(owner: Account): Promise<{ sessionId: string; machineId: string }> {
  const { body } = await owner.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
  const machineId = crypto.randomUUID();
  await owner.call("POST", "/v1/machines", { id: machineId, metadata: "m" });
  return { sessionId: body.session.id, machineId };
}

test("gives the key, null where there is none, and nothing of somebody else's", async () => {
  const [me, other] = [await newAccount(server.url), await newAccount(server.url)];
  const [mine, theirs] = [await place(me), await place(other)];
  const daemon = await me.connect({ clientType: "machine-scoped", machineId: mine.machineId });
  expect(await daemon.ask("access-key-get", mine)).toEqual({ ok: true, accessKey: null });
  const path = `/v1/access-keys/${mine.sessionId}/${mine.machineId}`;
  const { body } = await me.call("POST", path, { data: "one" });
  expect(await daemon.ask("access-key-get", mine)).toEqual({ ok: true, accessKey: body.accessKey });
  await me.call("PUT", path, { data: "two", expectedVersion: 1 });
  expect(await daemon.ask("access-key-get", mine)).toEqual({
    ok: true,
    accessKey: {
      data: "two",
      dataVersion: 2,
      createdAt: body.accessKey.createdAt,
      updatedAt: expect.any(Number),
    },
  });
  const notFound = { ok: false, error: "Session or machine not found" };
  for (const target of [
    theirs,
    { ...mine, sessionId: theirs.sessionId },
    { ...mine, machineId: theirs.machineId },
    { sessionId: "no", machineId: "no" },
  ]) {
    expect(await daemon.ask("access-key-get", target)).toEqual(notFound);
  }
  await withoutTable(server, "access_keys", async () => {
    expect(await daemon.ask("access-key-get", mine)).toEqual({ ok: false, error: "Internal error" });
  });
  daemon.close();
});

test.each([
  [null, "Internal error"],
  [{}, "Invalid parameters: sessionId and machineId are required"],
  [{ sessionId: "s" }, "Invalid parameters: sessionId and machineId are required"],
  [{ sessionId: "", machineId: "m" }, "Invalid parameters: sessionId and machineId are required"],
  [{ sessionId: "s", machineId: 5 }, "Invalid parameters: sessionId and machineId are required"],
  ["text", "Invalid parameters: sessionId and machineId are required"],
])("%j is refused", async (payload, error) => {
  const me = await newAccount(server.url);
  const socket = await me.connect();
  expect(await socket.ask("access-key-get", payload)).toEqual({ ok: false, error });
  socket.close();
});

// The first things every client does: sign in, open a session, exchange messages, with the events that each call fires.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { newAccount } from "../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

test("a session is created once, announced once, and carries messages both ways", async () => {
  const account = await newAccount(server.url);
  const phone = await account.connect();
  const opened = await account.call("POST", "/v1/sessions", {
    tag: "t",
    metadata: "bWV0YQ==",
    dataEncryptionKey: "AAEC",
  });
  expect(opened.status).toBe(200);
  const again = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "other" });
  expect(again.body.session.id).toBe(opened.body.session.id);
  const sid = opened.body.session.id;
  const cli = await account.connect({ clientType: "session-scoped", sessionId: sid });
  const posted = await account.call("POST", `/v3/sessions/${sid}/messages`, {
    messages: [
      { content: "one", localId: "a" },
      { content: "two", localId: "b" },
      { content: "again", localId: "a" },
    ],
  });
  expect(
    posted.body.messages.map(({ seq, localId }: { seq: number; localId: string }) => [seq, localId]),
  ).toEqual([
    [1, "a"],
    [2, "b"],
  ]);
  cli.socket.emit("message", { sid, message: "three", localId: "c" });
  await phone.until(({ body }) => body?.body?.message?.seq === 3);
  await cli.settled();
  expect(phone.updates.map(({ seq, body }) => [seq, body.t])).toEqual([
    [1, "new-session"],
    [2, "new-message"],
    [3, "new-message"],
    [4, "new-message"],
  ]);
  expect(cli.updates.map(({ body }) => body.message.seq)).toEqual([1, 2]);
  const page = await account.call("GET", `/v3/sessions/${sid}/messages?after_seq=1`);
  expect(page.body.messages.map(({ content }: { content: unknown }) => content)).toEqual([
    { t: "encrypted", c: "two" },
    { t: "encrypted", c: "three" },
  ]);
  phone.close();
  cli.close();
});

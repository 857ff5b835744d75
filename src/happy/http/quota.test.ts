// Holds a server at its storage maximum to: uploads refused first, then new things, then messages; known ones and deletes always work,
// and what was deleted makes room without a restart.
import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { type Account, type Answer, newAccount } from "../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";
import { until } from "../../../test/support/until.ts";

const servers: TestServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

interface Limited {
  readonly account: Account;
  /** Sets the maximum, as a reload of the configuration does it, so that this share of it is in use. */
  fill(share: number): void;
}

async function limited(): Promise<Limited> {
  // Asked again and again until the storage was measured.
  const server = await testServer({ maxStorageBytes: 2 ** 50, rateLimits: false });
  servers.push(server);
  const bytesOf = (name: string) => {
    using sqlite = new Database(join(server.dataDir, name), { readwrite: true });
    const pragma = (of: string) => Number(sqlite.query(`PRAGMA ${of}`).values()[0]?.[0]);
    return (pragma("page_count") - pragma("freelist_count")) * pragma("page_size");
  };
  const fill = (share: number) => {
    // Every database counts.
    const used = bytesOf("happy.db") + bytesOf("hapi/hapi.db");
    Object.assign(server.config, { maxStorageBytes: Math.round(used / share) });
  };
  return { account: await newAccount(server.url), fill };
}

const sessionOf = async (account: Account, tag = "t") =>
  (await account.call("POST", "/v1/sessions", { tag, metadata: "m" })).body.session.id as string;
const post = (account: Account, session: string, localId: string, content = "c") =>
  account.call("POST", `/v3/sessions/${session}/messages`, { messages: [{ content, localId }] });
const ask = (account: Account, session: string) =>
  account.call("POST", `/v1/sessions/${session}/attachments/request-upload`, { filename: "a", size: 10 });

const refusedWith = (answer: Answer, start: string) => {
  expect(answer.status).toBe(507);
  expect(answer.body).toEqual({
    error: "Insufficient Storage",
    message: expect.stringMatching(new RegExp(`^The server's storage is ${start}`)),
    statusCode: 507,
  });
};

test("at the maximum uploads are refused first, new things next, messages last; what is there goes on", async () => {
  const { account, fill } = await limited();
  const session = await sessionOf(account);
  // Enough that a page more or less does not matter.
  for (let n = 0; n < 4; n++) await post(account, session, `big-${n}`, "x".repeat(1_000_000));
  expect((await ask(account, session)).status).toBe(200);

  fill(0.925);
  await until("uploads to be refused", async () => (await ask(account, session)).status === 507);
  refusedWith(await ask(account, session), "almost full: files");
  const second = await sessionOf(account, "second");
  expect((await post(account, session, "a")).status).toBe(200);

  fill(0.975);
  const refused = await account.call("POST", "/v1/sessions", { tag: "third", metadata: "m" });
  refusedWith(refused, "almost full: nothing new");
  refusedWith(
    await account.call("POST", "/v1/machines", { id: "m1", metadata: "m" }),
    "almost full: nothing new",
  );
  expect(await sessionOf(account, "second")).toBe(second);
  expect((await post(account, session, "b")).status).toBe(200);

  fill(1.05);
  refusedWith(await post(account, session, "c"), "full: nothing was stored");
  const listener = await account.connect({ clientType: "session-scoped", sessionId: session });
  const gone = new Promise<string>((resolve) => listener.socket.once("disconnect", resolve));
  listener.socket.emit("message", { sid: session, message: "m", localId: "over-a-socket" });
  expect(await gone).toBe("transport close");

  // A retry of what is stored already is answered, and nothing that only reads or ends notices anything.
  expect((await post(account, session, "b")).body.messages).toMatchObject([{ localId: "b" }]);
  for (const path of [
    "/v1/sessions",
    "/v1/machines",
    "/v1/account/profile",
    `/v3/sessions/${session}/messages`,
  ])
    expect((await account.call("GET", path)).status).toBe(200);
  expect((await account.call("POST", `/v1/sessions/${second}/archive`)).status).toBe(200);
  expect((await account.call("DELETE", `/v1/sessions/${session}`)).status).toBe(200);

  // The room of what was deleted is found without a restart.
  await until(
    "messages to be taken again",
    async () => (await post(account, second, "after")).status === 200,
  );
  expect((await ask(account, second)).status).toBe(200);
  const { body } = await account.call("GET", `/v3/sessions/${second}/messages`);
  expect(body.messages).toMatchObject([{ localId: "after" }]);
}, 30_000);

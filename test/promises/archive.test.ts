// A person's archive outlives heartbeats and restarts. It ends when the session is opened again, or when a process that connected after
// it writes the session's metadata; a process's own end is none (HTTP contract 6.6, realtime contract 10.2, decisions).
import { Database as Sqlite } from "bun:sqlite";
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type Account, type Listener, newAccount } from "../support/happy-client.ts";
import { type TestServer, testServer } from "../support/server.ts";

setDefaultTimeout(30_000);

let server: TestServer;
let account: Account;
let phone: Listener;
let tag: string;
let id: string;
beforeEach(async () => {
  server = await testServer();
  account = await newAccount(server.url);
  tag = crypto.randomUUID();
  id = await open();
  phone = await account.connect();
});
afterEach(async () => {
  phone.close();
  await server.stop();
});

const open = async (name = tag): Promise<string> =>
  (await account.call("POST", "/v1/sessions", { tag: name, metadata: "m" })).body.session.id;

async function archive(client?: string): Promise<void> {
  const answer = await fetch(`${server.url}/v1/sessions/${id}/archive`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${account.token}`,
      ...(client !== undefined && { "x-happy-client": client }),
    },
  });
  expect([answer.status, await answer.json()]).toEqual([200, { success: true }]);
}

const process = (sessionId = id) => account.connect({ clientType: "session-scoped", sessionId });

/** Whether a heartbeat of that socket is told to the phone. */
async function isHeard(socket: Listener, sid = id): Promise<boolean> {
  const before = phone.ephemerals.length;
  socket.socket.emit("session-alive", { sid, time: Date.now() });
  await socket.settled();
  await phone.settled();
  return phone.ephemerals.slice(before).some((body) => body.id === sid && body.active);
}

async function session() {
  const { body } = await account.call("GET", "/v1/sessions");
  return body.sessions.find((row: { id: string }) => row.id === id);
}

/** Without the minute in which every ended session is not heard. */
async function restart(): Promise<void> {
  phone.close();
  await server.restart();
  phone = await account.connect();
}

async function writeMetadata(socket: Listener, sid = id) {
  const { metadataVersion } = await session();
  return socket.ask("update-metadata", { sid, metadata: "n", expectedVersion: metadataVersion });
}

test("heartbeats do not end it, neither at once nor after a restart, and nothing of it is stored", async () => {
  const agent = await process();
  expect(await isHeard(agent)).toBe(true);
  await archive("ios/1.7.0");
  expect(await isHeard(agent)).toBe(false);
  const archived = await session();
  expect(archived.active).toBe(false);
  agent.close();
  await restart();
  const back = await process();
  for (let beat = 0; beat < 3; beat++) expect(await isHeard(back)).toBe(false);
  // A stop stores every heartbeat that waits.
  await restart();
  expect(await session()).toEqual(archived);
  expect((await account.call("GET", "/v2/sessions/active")).body.sessions).toEqual([]);
  back.close();
});

test.each([undefined, "", "ios/1.7.0", "web/1", "cli/1.2.0", "my-cli-thing/1"])(
  "an archive of the client %p is a person's",
  async (client) => {
    await archive(client);
    await restart();
    const agent = await process();
    expect(await isHeard(agent)).toBe(false);
    agent.close();
  },
);

test.each(["cli-coding-session/1.2.0", "cli-daemon/1.2.0", "cli-control-plane/0.1.0"])(
  "an archive of %s is only its own end, and does not end an archive that holds",
  async (client) => {
    await archive(client);
    const ended = await process();
    expect(await isHeard(ended)).toBe(false);
    await restart();
    const agent = await process();
    expect(await isHeard(agent)).toBe(true);
    await archive();
    await archive(client);
    await restart();
    const last = await process();
    expect(await isHeard(last)).toBe(false);
    for (const listener of [ended, agent, last]) listener.close();
  },
);

test("opening the session again ends it, live and after a restart, and changes nothing else", async () => {
  const agent = await process();
  await archive();
  const archived = await session();
  expect(await open()).toBe(id);
  expect(await session()).toEqual(archived);
  expect(await isHeard(agent)).toBe(true);
  await archive();
  await restart();
  expect(await open()).toBe(id);
  const back = await process();
  expect(await isHeard(back)).toBe(true);
  for (const listener of [agent, back]) listener.close();
});

test("metadata of a process that connected after it ends it, also within the minute after", async () => {
  await archive();
  const resumed = await process();
  expect(await isHeard(resumed)).toBe(false);
  expect(await writeMetadata(resumed)).toMatchObject({ result: "success" });
  expect(await isHeard(resumed)).toBe(true);
  await restart();
  expect((await session()).active).toBe(true);
  resumed.close();
});

test("after a restart every process has connected after it", async () => {
  // Several connections and archives before, so that their numbers are not small.
  for (let round = 0; round < 5; round++) {
    (await process()).close();
    await archive();
  }
  await restart();
  const resumed = await process();
  expect(await writeMetadata(resumed)).toMatchObject({ result: "success" });
  expect(await isHeard(resumed)).toBe(true);
  resumed.close();
});

test("a process resumed right after its own end is heard at once", async () => {
  const agent = await process();
  await archive("cli-coding-session/1.2.0");
  expect(await writeMetadata(agent)).toMatchObject({ result: "success" });
  expect(await isHeard(agent)).toBe(false);
  const resumed = await process();
  await writeMetadata(resumed);
  expect(await isHeard(resumed)).toBe(true);
  for (const listener of [agent, resumed]) listener.close();
});

test("nothing else that is written ends it", async () => {
  const [before, other] = [await process(), await open("another")];
  await archive();
  const [user, elsewhere, machine] = [
    await account.connect(),
    await process(other),
    await account.connect({ clientType: "machine-scoped", machineId: id }),
  ];
  for (const socket of [before, user, elsewhere, machine])
    expect(await writeMetadata(socket)).toMatchObject({ result: "success" });
  const after = await process();
  const stale = { sid: id, metadata: "old", expectedVersion: 0 };
  expect(await after.ask("update-metadata", stale)).toMatchObject({ result: "version-mismatch" });
  expect(await after.ask("update-metadata", { ...stale, metadata: 5 })).toEqual({ result: "error" });
  expect(await after.ask("update-state", { sid: id, agentState: "s", expectedVersion: 0 })).toMatchObject({
    result: "success",
  });
  const { metadataVersion } = await session();
  const put = { metadata: "put", expectedMetadataVersion: metadataVersion };
  expect((await account.call("PUT", `/v1/sessions/${id}`, put)).body.success).toBe(true);
  const post = { messages: [{ content: "c", localId: "l" }] };
  expect((await account.call("POST", `/v3/sessions/${id}/messages`, post)).status).toBe(200);
  after.socket.emit("session-end", { sid: id, time: Date.now() });
  await after.settled();
  await restart();
  const last = await process();
  expect(await isHeard(last)).toBe(false);
  // And the one thing that does.
  expect(await writeMetadata(last)).toMatchObject({ result: "success" });
  expect(await isHeard(last)).toBe(true);
  for (const socket of [before, user, elsewhere, machine, after, last]) socket.close();
});

test("a process that connected between two archives came before the second", async () => {
  await archive();
  const between = await process();
  await archive();
  expect(await writeMetadata(between)).toMatchObject({ result: "success" });
  expect(await isHeard(between)).toBe(false);
  const after = await process();
  expect(await writeMetadata(after)).toMatchObject({ result: "success" });
  // The session is resumed, so whatever speaks for it is heard.
  expect(await isHeard(between)).toBe(true);
  for (const socket of [between, after]) socket.close();
});

test("of opening and archiving at once the last word counts, in memory and in the database alike", async () => {
  const agent = await process();
  for (let round = 0; round < 20; round++) {
    const both = [archive(), open()];
    if (round % 2 === 1) both.reverse();
    await Promise.all(both);
    const heard = await isHeard(agent);
    const stored = new Sqlite(join(server.dataDir, "happy.db"), { readonly: true });
    const row = stored.query("SELECT archived_seq FROM sessions WHERE id = ?").get(id);
    stored.close();
    expect([round, row]).toEqual([round, { archived_seq: heard ? null : expect.any(Number) }]);
  }
  agent.close();
});

test("an archived session can be deleted, and a deleted one not archived", async () => {
  await archive();
  expect((await account.call("DELETE", `/v1/sessions/${id}`)).status).toBe(200);
  const again = await account.call("POST", `/v1/sessions/${id}/archive`);
  expect([again.status, again.body]).toEqual([404, { error: "Session not found" }]);
  const next = await open();
  expect(next).not.toBe(id);
  const agent = await process(next);
  expect(await isHeard(agent, next)).toBe(true);
  agent.close();
});

test("another account can neither archive it nor end its archive", async () => {
  const stranger = await newAccount(server.url);
  expect((await stranger.call("POST", `/v1/sessions/${id}/archive`)).status).toBe(404);
  const agent = await process();
  expect(await isHeard(agent)).toBe(true);
  await archive();
  const intruder = await stranger.connect({ clientType: "session-scoped", sessionId: id });
  const { metadataVersion } = await session();
  const change = { sid: id, metadata: "x", expectedVersion: metadataVersion };
  expect(await intruder.ask("update-metadata", change)).toEqual({ result: "error" });
  await stranger.call("POST", "/v1/sessions", { tag, metadata: "m" });
  await restart();
  const back = await process();
  expect(await isHeard(back)).toBe(false);
  for (const socket of [agent, intruder, back]) socket.close();
});

// Two whole servers and an etcd: what clients of every protocol hear of the other node, and what a server says about its bus.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ServerProcess, startProcess } from "../faults/server-process.ts";
import { type Etcd, startEtcd, withEtcd, withoutEtcd } from "../support/etcd.ts";
import { FramesClient } from "../support/frames-client.ts";
import { freePort } from "../support/free-port.ts";
import { accountWith, listen, newAccount } from "../support/happy-client.ts";
import { until } from "../support/until.ts";

let etcd: Etcd | undefined;
let prefixes = 0;
const cleanup: (() => Promise<unknown> | unknown)[] = [];

beforeAll(async () => {
  if (!withoutEtcd) etcd = await startEtcd();
}, 20_000);
afterAll(async () => await etcd?.stop());
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

async function server(env: Record<string, string> = {}): Promise<ServerProcess> {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-cluster-"));
  const started = await startProcess({
    dataDir,
    env: {
      ROOST_MASTER_SECRET: "one secret for all nodes",
      ROOST_METRICS_TOKEN: "scrape",
      ROOST_REGISTRATION: "open",
      GOHUB_HUB_ENABLED: "true",
      ...env,
    },
  });
  cleanup.push(
    () => rmSync(dataDir, { recursive: true, force: true }),
    () => started.end("SIGTERM"),
  );
  return started;
}

/** Two servers of one cluster that hear each other. */
async function twoServers(env: Record<string, string> = {}): Promise<[ServerProcess, ServerProcess]> {
  const settings = {
    GOHUB_CLUSTER_ENABLED: "true",
    GOHUB_CLUSTER_ETCD_ENDPOINTS: etcd?.url ?? "",
    GOHUB_CLUSTER_ETCD_KEY_PREFIX: `/servers${++prefixes}`,
    ...env,
  };
  const [one, two] = [await server(settings), await server(settings)];
  for (const { url } of [one, two])
    await until("the bus", async () => (await health(url)).checks.bus === "ok");
  return [one, two];
}

// biome-ignore lint/suspicious/noExplicitAny: what comes from the wire is looked at field by field
const health = async (url: string): Promise<any> => await (await fetch(`${url}/ws/health`)).json();
const metrics = async (url: string): Promise<string> =>
  await (await fetch(`${url}/metrics`, { headers: { authorization: "Bearer scrape" } })).text();

test("H13 a server alone: health with version and time, and the number of clients among its figures", async () => {
  const { url } = await server();
  const client = await FramesClient.connect(url);
  const answer = await fetch(`${url}/ws/health`);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({
    status: "ok",
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    checks: { hub: "ok" },
  });
  expect(await metrics(url)).toContain("gohub_connected_clients 1\n");
  expect((await fetch(`${url}/ws/health`, { method: "POST" })).status).toBe(405);
  expect((await fetch(`${url}/ws/health/more`)).status).toBe(404);
  await client.close();
  await until("the figure", async () => (await metrics(url)).includes("gohub_connected_clients 0\n"));
}, 30_000);

test("the hub may be moved to the contract's own paths, or switched off", async () => {
  const moved = await server({ GOHUB_SERVER_WS_PATH: "/hub", GOHUB_HUB_HEALTH_PATH: "/health" });
  expect(await (await fetch(`${moved.url}/health`)).json()).toHaveProperty("version");
  expect((await fetch(`${moved.url}/hub`)).status).toBe(426);
  const off = await server({ GOHUB_HUB_ENABLED: "false" });
  expect((await fetch(`${off.url}/ws`)).status).toBe(404);
  expect((await fetch(`${off.url}/ws/health`)).status).toBe(404);
  expect(await (await fetch(`${off.url}/health`)).json()).toHaveProperty("service", "happy-server");
  expect(await metrics(off.url)).not.toContain("gohub_");
}, 30_000);

test("a stop is 1001 for the hub's clients", async () => {
  const one = await server();
  const client = await FramesClient.connect(one.url);
  const stopped = one.end("SIGTERM");
  expect(await client.closed).toEqual({ code: 1001, reason: "shutdown" });
  expect(await stopped).toBe(0);
}, 30_000);

test("tokens are asked for when the configuration says so, and their secret is in no log", async () => {
  const secret = "the-hub-secret-that-nobody-sees";
  const one = await server({
    GOHUB_AUTH_ENABLED: "true",
    GOHUB_AUTH_ALLOW_ANONYMOUS: "false",
    GOHUB_AUTH_SECRET_KEY: secret,
    ROOST_LOG_LEVEL: "trace",
  });
  await expect(FramesClient.connect(one.url)).rejects.toThrow("refused");
  await expect(FramesClient.connect(one.url, { token: "garbage" })).rejects.toThrow("refused");
  expect(await metrics(one.url)).toContain("gohub_auth_failure 2\n");
  expect(one.output.stdout + one.output.stderr).not.toContain(secret);
}, 30_000);

withEtcd.describe("two servers", () => {
  test("H08 H12 T12 direct messages, rooms and values written by hand cross", async () => {
    const [one, two] = await twoServers({ GOHUB_HUB_AUTO_CREATE_ROOMS: "true" });
    const [a, b] = [
      await FramesClient.connect(one.url, { client_id: "a" }),
      await FramesClient.connect(two.url, { client_id: "b" }),
    ];
    a.send({ message_id: 1, message_type: "direct_message", data: { target_id: "b", content: "hi" } });
    await b.until(({ messages }) => messages.length === 1);
    expect(b.messages[0]).toMatchObject({
      message_type: "direct_message",
      data: { content: "hi", sender_id: "a" },
    });
    for (const client of [a, b])
      await client.ask({ message_id: 2, message_type: "join_room", data: { room_id: "r" } });
    b.send({ message_id: 3, message_type: "room_message", data: { room_id: "r", content: [1] } });
    await a.until(({ messages }) => messages.at(-1)?.data.sender_id === "b");
    await etcd?.put(`/servers${prefixes}/broadcast`, "by hand");
    for (const client of [a, b])
      await client.until(({ frames }) => frames.filter((frame) => frame === "by hand").length === 1);
  }, 30_000);

  test("Happy: an update and an ephemeral of one node are heard once by the account's sockets on both", async () => {
    const [one, two] = await twoServers();
    const account = await newAccount(one.url);
    const here = await account.connect();
    const there = await listen(two.url, { token: account.token, clientType: "user-scoped" });
    const stranger = await (await newAccount(two.url)).connect();
    const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "bWV0YQ==" });
    expect(opened.status).toBe(200);
    const [mine, theirs] = [await here.untilUpdate("new-session"), await there.untilUpdate("new-session")];
    expect(theirs).toEqual(mine);
    const machine = await listen(one.url, {
      token: account.token,
      clientType: "machine-scoped",
      machineId: "m1",
    });
    await there.untilEphemeral("machine-activity", (body) => body.id === "m1" && body.active);
    for (let index = 0; index < 20; index++)
      await account.call("POST", `/v3/sessions/${opened.body.session.id}/messages`, {
        messages: [{ content: `bWVz${index}`, localId: `l${index}` }],
      });
    const messages = (heard: typeof here) => heard.updates.filter(({ body }) => body.t === "new-message");
    await until(
      "all messages on both nodes",
      () => messages(there).length === 20 && messages(here).length === 20,
    );
    expect(messages(there)).toEqual(messages(here));
    expect(stranger.updates).toEqual([]);
    // What is stored stays on its node.
    expect(
      (await accountWith(two.url, account.token).call("GET", "/v1/sessions")).body.sessions ?? [],
    ).toEqual([]);
    for (const listener of [here, there, stranger, machine]) listener.close();
  }, 30_000);

  test("while etcd is away a server is degraded and serves its own clients; it starts without etcd, too", async () => {
    // By name, so that the log line about it is not taken for the server's own address.
    const nowhere = `http://localhost:${freePort()}`;
    const one = await server({
      GOHUB_CLUSTER_ENABLED: "true",
      GOHUB_CLUSTER_ETCD_ENDPOINTS: nowhere,
      GOHUB_HUB_AUTO_CREATE_ROOMS: "true",
    });
    expect(await health(one.url)).toMatchObject({ status: "degraded", checks: { hub: "ok", bus: "away" } });
    const [a, b] = [
      await FramesClient.connect(one.url, { client_id: "a" }),
      await FramesClient.connect(one.url, { client_id: "b" }),
    ];
    for (const client of [a, b])
      await client.ask({ message_id: 2, message_type: "join_room", data: { room_id: "r" } });
    a.send({ message_id: 3, message_type: "room_message", data: { room_id: "r", content: "hi" } });
    await b.until(({ messages }) => messages.at(-1)?.message_type === "room_message");
    const refused = await a.ask({
      message_id: 4,
      message_type: "direct_message",
      data: { target_id: "c", content: "hi" },
    });
    expect(refused.data.code).toBe(4000);
    const account = await newAccount(one.url);
    const listener = await account.connect();
    await account.call("POST", "/v1/sessions", { tag: "t", metadata: "bWV0YQ==" });
    await listener.untilUpdate("new-session");
    listener.close();
    expect(one.logged(40).some(({ msg }) => msg.includes("the bus is away"))).toBe(true);
    expect(one.logged(50)).toEqual([]);
  }, 30_000);
});

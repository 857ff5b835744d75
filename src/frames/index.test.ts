// The hub as a protocol of the server: its paths, its settings, what changes while it runs, and that it costs nothing when it is off.
import { afterEach, describe, expect, test } from "bun:test";
import {
  parseConfig,
  parseConfigFile,
  readEnvironment,
  settings,
  UsageError,
} from "../../test/support/config.ts";
import { FramesClient, rawPeer } from "../../test/support/frames-client.ts";
import { hubNode } from "../../test/support/hub-node.ts";
import { testLimits } from "../../test/support/limits.ts";
import { testServer } from "../../test/support/server.ts";
import { MemoryExchange } from "../bus/memory.ts";
import { LiveConfig } from "../config/live.ts";
import { createLog } from "../observability/log.ts";
import { Metrics } from "../observability/metrics.ts";
import { openFrontDoor } from "../server/front-door.ts";
import { hubSettings } from "./hub-settings.ts";
import { framesProtocol } from "./index.ts";

const log = createLog("silent");
const cleanup: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

/** On by a variable of the hub's own: with the hub's defaults. */
const configured = (environment: Record<string, string> = {}) =>
  parseConfig(readEnvironment({ GOHUB_HUB_ENABLED: "true", ...environment }));

/** The hub behind a real door. */
function served(environment: Record<string, string> = {}, bus = false) {
  const live = new LiveConfig(settings, configured(environment));
  const metrics = new Metrics();
  const limits = testLimits();
  const counters = { publishError() {}, gap() {}, duplicate() {}, reconnect() {} };
  const cluster = bus ? { bus: new MemoryExchange().join(log), counters, timeoutMs: 1_000 } : undefined;
  const protocol = framesProtocol({ config: live.config, metrics, limits, cluster, log });
  const door = openFrontDoor({
    host: "127.0.0.1",
    listeners: [{ port: 0, served: [protocol] }],
    trustedProxies: [],
    limits,
    log,
  });
  protocol.start();
  cleanup.push(
    () => cluster?.bus.close(),
    () => protocol.stop(),
    () => door.close(1_000),
  );
  return { url: `http://127.0.0.1:${door.port}`, live, protocol, metrics, cluster };
}

describe("health", () => {
  test("says version, time and what it is made of; HEAD has no body, other methods are refused", async () => {
    const { url } = served();
    const answer = await fetch(`${url}/ws/health`);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(await answer.json()).toEqual({
      status: "ok",
      version: expect.any(String),
      time: expect.stringMatching(/Z$/),
      checks: { hub: "ok" },
    });
    const head = await fetch(`${url}/ws/health`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    expect((await fetch(`${url}/ws/health`, { method: "DELETE" })).status).toBe(405);
    expect((await fetch(`${url}/ws/healthy`)).status).toBe(404);
  });

  test("with the bus away it is degraded, and still 200", async () => {
    const { url, cluster } = served({}, true);
    expect(await (await fetch(`${url}/ws/health`)).json()).toMatchObject({
      status: "ok",
      checks: { bus: "ok" },
    });
    await cluster?.bus.close();
    const degraded = await fetch(`${url}/ws/health`);
    expect(degraded.status).toBe(200);
    expect(await degraded.json()).toMatchObject({ status: "degraded", checks: { hub: "ok", bus: "away" } });
  });
});

describe("settings", () => {
  test("the defaults are the contract's", () => {
    expect(hubSettings(configured())).toEqual({
      readTimeoutMs: 180_000,
      writeTimeoutMs: 180_000,
      readBufferSize: 4_096,
      messageBufferCap: 256,
      serverPing: true,
      errorReplies: true,
      onFull: "error",
      presence: false,
      autoCreateRooms: false,
      maxClients: 10_000,
      maxQueuedBytes: 64 * 1024 * 1024,
      maxClientsPerAddress: 2_000,
      maxConnectionsPerSecond: 200,
      maxMessagesPerSecond: 2_000,
      auth: undefined,
      closeOnExpiry: true,
      origins: undefined,
    });
    const config = configured();
    expect([config.framesHubEnabled, config.clusterEnabled, config.clusterBusType]).toEqual([
      true,
      false,
      "etcd",
    ]);
    expect([config.clusterBusTimeout, config.clusterEtcdDialTimeout, config.clusterEtcdLeaseTtl]).toEqual([
      5_000, 5_000, 30_000,
    ]);
    expect([config.clusterEtcdEndpoints, config.clusterEtcdKeyPrefix]).toEqual([
      ["http://etcd:2379"],
      "/gohub",
    ]);
  });

  test("the hub's own variables are understood, also under server.hub; the flat key wins", () => {
    const config = configured({
      GOHUB_SERVER_HUB_READ_TIMEOUT: "10s",
      GOHUB_SERVER_WRITE_TIMEOUT: "1m30s",
      GOHUB_SERVER_HUB_WRITE_TIMEOUT: "1s",
      GOHUB_SERVER_BUS_TIMEOUT: "-1s",
      GOHUB_SERVER_ADDR: "127.0.0.1:9000",
      GOHUB_AUTH_ENABLED: "true",
      GOHUB_AUTH_SECRET_KEY: "s",
      GOHUB_AUTH_ANONYMOUS_PERMISSIONS: "join:room, send:message",
      GOHUB_HUB_ON_FULL: "disconnect",
    });
    const settings = hubSettings(config);
    expect([settings.readTimeoutMs, settings.writeTimeoutMs, config.clusterBusTimeout]).toEqual([
      10_000, 90_000, 5_000,
    ]);
    expect([config.host, config.port]).toEqual(["127.0.0.1", 9_000]);
    expect(settings.auth).toEqual({
      secret: "s",
      issuer: "gohub",
      allowAnonymous: true,
      anonymousPermissions: ["join:room", "send:message"],
    });
    expect(settings.onFull).toBe("disconnect");
  });

  test("the hub's own YAML is understood, in either order of the flat and the nested key", () => {
    const yaml = (server: string) =>
      parseConfig(
        parseConfigFile(
          `server:\n${server}cluster:\n  etcd:\n    endpoints: ["http://a:1", "http://b:2"]\n`,
          "x",
        ),
      );
    const flat = "  write_timeout: 5s\n";
    const nested = "  hub:\n    read_timeout: 10s\n    write_timeout: 9s\n";
    for (const server of [flat + nested, nested + flat]) {
      const config = yaml(server);
      expect([config.framesServerReadTimeout, config.framesServerWriteTimeout]).toEqual([10_000, 5_000]);
      expect(config.clusterEtcdEndpoints).toEqual(["http://a:1", "http://b:2"]);
    }
    expect(() => yaml(`${flat}  writeTimeout: 6s\n`)).toThrow("was given before");
  });

  test("origins are as browsers write them, and Roost's own list wins", () => {
    const hubs = {
      GOHUB_SERVER_ALLOWED_ORIGINS: "https://App.example/, *, https://null.example, tauri://localhost",
    };
    expect(hubSettings(configured(hubs)).origins).toEqual([
      "https://app.example",
      "*",
      "https://null.example",
      "tauri://localhost",
    ]);
    const both = { ...hubs, ROOST_FRAMES_ORIGINS: "http://other.example:80" };
    expect(hubSettings(configured(both)).origins).toEqual(["http://other.example"]);
  });

  test.each([
    [{ GOHUB_SERVER_READ_TIMEOUT: "180" }, "unit"],
    [{ GOHUB_SERVER_ADDR: "nowhere" }, "host:port"],
    [{ GOHUB_CLUSTER_ETCD_ENDPOINTS: "etcd:2379" }, "not usable"],
    [{ GOHUB_CLUSTER_ETCD_KEY_PREFIX: "/gohub/" }, "slash"],
    [{ GOHUB_SERVER_WS_PATH: "ws" }, "path"],
  ])("%p is refused with a sentence", (environment, words) => {
    expect(() => configured(environment as Record<string, string>)).toThrow(words);
  });

  test("asking for tokens without a secret is a usage error", () => {
    const config = configured({ GOHUB_AUTH_ENABLED: "true" });
    expect(() => framesProtocol({ config, metrics: new Metrics(), limits: testLimits(), log })).toThrow(
      UsageError,
    );
  });

  test("a deadline and the answer to a full queue change while it runs, for clients that come then", async () => {
    const { url, live } = served();
    const before = await FramesClient.connect(url);
    live.update({
      ...live.config,
      framesServerReadTimeout: 200,
      framesHubServerPing: true,
      framesHubOnFull: "disconnect",
    });
    const settings = hubSettings(live.config);
    expect([settings.readTimeoutMs, settings.onFull]).toEqual([200, "disconnect"]);
    const silent = await rawPeer(url);
    silent.resume();
    await new Promise((resolve) => silent.once("close", resolve));
    expect(before.ending).toBeUndefined();
  });
});

test("its paths may be others, and nobody else's answers change", async () => {
  const { url } = served({ GOHUB_SERVER_WS_PATH: "/hub", GOHUB_HUB_HEALTH_PATH: "/hub-health" });
  expect((await fetch(`${url}/hub`)).status).toBe(426);
  expect((await fetch(`${url}/hub-health`)).status).toBe(200);
});

test("server code reaches the room's clients through its SDK; figures stand with those of the whole server", async () => {
  const { url, protocol, metrics } = served();
  const client = await FramesClient.connect(url, { client_id: "a" });
  await protocol.sdk.sendToClient("a", { data: "hello" });
  await client.until(({ frames }) => frames.includes("hello"));
  expect(metrics.render()).toContain("gohub_connected_clients 1\n");
  await protocol.stop();
  expect(await client.closed).toEqual({ code: 1001, reason: "shutdown" });
});

test("switched off there is no path, and nothing of it on the figures' page", async () => {
  const server = await testServer({ framesHubEnabled: false, metricsToken: "t" });
  try {
    for (const path of ["/ws", "/ws/health"]) expect((await fetch(`${server.url}${path}`)).status).toBe(404);
    const figures = await fetch(`${server.url}/metrics`, { headers: { authorization: "Bearer t" } });
    expect(await figures.text()).not.toContain("gohub_");
  } finally {
    await server.stop();
  }
});

test("a failure of the hub itself costs one connection, is logged and counted as critical", async () => {
  const node = await hubNode();
  cleanup.push(() => node.stop());
  const [unlucky, other] = [await node.connect("unlucky"), await node.connect("other")];
  const receive = node.hub.receive.bind(node.hub);
  node.hub.receive = (client, frame) => {
    if (client.id === "unlucky") throw new Error("a defect");
    receive(client, frame);
  };
  unlucky.send({ message_id: 1 });
  expect((await unlucky.closed).code).toBe(1011);
  expect((await other.settled()).ending).toBeUndefined();
  expect(node.metrics.render()).toContain("gohub_critical_errors_total 1\n");
  expect(node.lines.some((line) => line.includes("the hub failed on a message"))).toBe(true);
});

// The document of a running server: where it is written, that a change of it acts within two seconds, and that a bad one does not.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningServer, startServer } from "../src/context.ts";
import { createLog } from "../src/observability/log.ts";
import type { ProtocolManifest } from "../src/protocol/manifest.ts";
import { rpc } from "../src/rpc/protocol.ts";
import { type Config, parseConfig, parseConfigFile } from "./support/config.ts";
import { startEtcd, withEtcd } from "./support/etcd.ts";
import { nacosServer } from "./support/nacos.ts";
import { until } from "./support/until.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(60_000);

const cleanup: (() => unknown)[] = [];
afterAll(async () => {
  for (const step of cleanup.reverse()) await step();
});

/** A change counts after at most two seconds (contract 16); a busy machine may take longer to show it. */
const SOON_MS = 20_000;
const ECHO_AS_MESSAGE_PACK =
  "84a961647569625f727063a3322e30a26964d92435353065383430302d653239622d343164342d613731362d343436363535343430303030a66d6574686f64b77270632e76322f4563686f536572766963652f4563686fa46461746181a474657874a26869";

interface Room {
  readonly server: RunningServer;
  readonly file: string;
  readonly logged: string[];
  readonly config: Config;
  write(content: string): void;
  echo(): Promise<number>;
  echoAsMessagePack(): Promise<{ status: number; code: number | undefined }>;
  /** Of the page of figures. */
  figure(name: string): Promise<number>;
}

async function room(content: string | undefined, overrides: Partial<Config> = {}): Promise<Room> {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-rpc-document-"));
  cleanup.push(() => rmSync(dataDir, { recursive: true, force: true }));
  mkdirSync(dataDir, { recursive: true });
  const file = join(dataDir, "rpc.yaml");
  if (content !== undefined) writeFileSync(file, content, { mode: 0o600 });
  const config: Config = {
    ...parseConfig({}),
    port: 0,
    host: "127.0.0.1",
    masterSecret: "test-master-secret",
    metricsToken: "figures",
    rpcEnabled: true,
    rpcFixtures: true,
    ...overrides,
    dataDir,
  };
  const logged: string[] = [];
  const log = createLog("trace", { write: (line) => logged.push(line) });
  const server = await startServer(config, log, [rpc as unknown as ProtocolManifest<Config>]);
  cleanup.push(() => server.stop());
  const base = `http://127.0.0.1:${server.port}`;
  const post = (body: string | Uint8Array<ArrayBuffer>, type: string) =>
    fetch(`${base}/aduib_rpc/v2/rpc`, { method: "POST", headers: { "content-type": type }, body });
  return {
    server,
    file,
    logged,
    config,
    write: (text) => writeFileSync(file, text, { mode: 0o600 }),
    echo: async () => {
      const message = { aduib_rpc: "2.0", id: "1", method: "rpc.v2/EchoService/Echo" };
      return (await post(JSON.stringify(message), "application/json")).status;
    },
    echoAsMessagePack: async () => {
      const answer = await post(Buffer.from(ECHO_AS_MESSAGE_PACK, "hex"), "application/msgpack");
      if (answer.status === 200) return { status: 200, code: undefined };
      return {
        status: answer.status,
        code: ((await answer.json()) as { error: { code: number } }).error.code,
      };
    },
    figure: async (name) => {
      const page = await fetch(`${base}/metrics`, { headers: { authorization: "Bearer figures" } });
      const [, value] = new RegExp(`^${name} (.*)$`, "m").exec(await page.text()) ?? [];
      return Number(value);
    },
  };
}

describe("rpc.yaml in the data folder", () => {
  test("formats change while the server runs, and change back (V40)", async () => {
    const { write, echoAsMessagePack } = await room(
      "aduib_rpc: { protocol: { protocol_versions: ['2.0'] } }",
    );
    expect(await echoAsMessagePack()).toEqual({ status: 200, code: undefined });
    write("protocol: { content_types: [application/json] }");
    await until("MessagePack to be refused", async () => (await echoAsMessagePack()).status === 400, SOON_MS);
    expect(await echoAsMessagePack()).toEqual({ status: 400, code: 1003 });
    write("protocol: {}");
    await until("MessagePack to be served", async () => (await echoAsMessagePack()).status === 200, SOON_MS);
  });

  test("limits change while the server runs; a bad document changes nothing and is counted (V57)", async () => {
    const { write, echo, figure, logged } = await room(undefined);
    expect([await echo(), await echo()]).toEqual([200, 200]);
    const on = "resilience: { rate_limit: { enabled: true, rate: 1, burst: 1, algorithm: fixed_window } }";
    write(on);
    await until("the second of two calls to be refused", async () => {
      const answers = [await echo(), await echo()];
      return answers.includes(429);
    });
    expect(await figure("config_reload_errors_total")).toBe(0);
    write("resilience: { rate_limit: { rate: x } }");
    await until(
      "the bad document to be counted",
      async () => (await figure("config_reload_errors_total")) === 1,
    );
    expect([await echo(), await echo()]).toContain(429);
    const line = logged.find((one) => one.includes("resilience.rate_limit.rate"));
    expect(line).toContain("the one that counted before stays");
    write("security: { rbac_enabled: true }");
    await until(
      "the refused one to be counted",
      async () => (await figure("config_reload_errors_total")) === 2,
    );
    expect(logged.join("")).toContain("nothing proves who calls");
  });

  test("a start with a document that is wrong, or open to everybody, is refused with a sentence", async () => {
    await expect(room("protocol: { content_type: [] }")).rejects.toThrow(
      /rpc\.yaml: there is no protocol\.content_type\. Did you mean protocol\.content_types\?/,
    );
    await expect(room("security: { rbac_enabled: true }")).rejects.toThrow("nothing proves who calls");
    await expect(room("a: [")).rejects.toThrow(/rpc\.yaml: line 1: it is neither YAML nor JSON/);
    await expect(room(undefined, { rpcConfig: "/nowhere/rpc.yaml" })).rejects.toThrow(
      "/nowhere/rpc.yaml: it is not there",
    );
    await expect(room("config: { etcd: {} }")).rejects.toThrow("config.etcd needs a cluster over etcd");
  });
});

describe("rpc.document in roost.yaml", () => {
  test("is the same map, and is followed", async () => {
    const raw = parseConfigFile(
      "rpc:\n  enabled: true\n  document:\n    protocol: { content_types: [application/json] }\n",
      "roost.yaml",
    );
    const { rpcEnabled, rpcDocument } = parseConfig(raw);
    expect(rpcEnabled).toBe(true);
    const one = await room(undefined, { rpcDocument });
    expect(await one.echoAsMessagePack()).toEqual({ status: 400, code: 1003 });
    // As the server's own follower of the file does.
    Object.assign(one.config, { rpcDocument: { protocol: { content_types: ["application/msgpack"] } } });
    await until(
      "MessagePack to be served",
      async () => (await one.echoAsMessagePack()).status === 200,
      SOON_MS,
    );
  });

  test("beside a file it is one too many", async () => {
    await expect(room("{}", { rpcDocument: {} })).rejects.toThrow("keep one of the two");
  });
});

test("Nacos says the rest, below the environment and above the file", async () => {
  const nacos = nacosServer();
  cleanup.push(() => nacos.stop());
  nacos.set("protocol: { content_types: [application/json] }");
  const { echoAsMessagePack, logged } = await room(
    `config: { nacos: { server_addresses: "${nacos.address}", data_id: rpc } }\nprotocol: { content_types: [application/msgpack] }`,
  );
  expect(await echoAsMessagePack()).toEqual({ status: 400, code: 1003 });
  nacos.set("{}");
  await until("the file to count again", async () => (await echoAsMessagePack()).status === 200, SOON_MS);
  nacos.set("config: { etcd: {} }");
  await until("the key to be refused", () =>
    logged.some((line) => line.includes("config cannot be said there")),
  );
  nacos.set("security: { tls: { http: { server_key_path: /etc/shadow } } }");
  await until("the word about a file of this machine", () =>
    logged.some((line) => line.includes("security.tls.http.server_key_path cannot be said there")),
  );
});

test("a start without what Nacos says is refused: it could let in everybody", async () => {
  const nacos = nacosServer();
  await nacos.stop();
  await expect(
    room(`config: { nacos: { server_addresses: "${nacos.address}", data_id: rpc } }`),
  ).rejects.toThrow("nacos: it does not answer");
});

withEtcd.describe("a key of the cluster's etcd", () => {
  test("is followed by the nodes, also after etcd was away", async () => {
    const etcd = await startEtcd();
    cleanup.push(() => etcd.stop());
    const key = "/roost/rpc/config";
    await etcd.put(key, "protocol: { content_types: [application/json] }");
    const { echoAsMessagePack, figure, logged } = await room("config: { etcd: {} }", {
      clusterEnabled: true,
      clusterBusType: "etcd",
      clusterEtcdEndpoints: [etcd.url],
    });
    expect(await echoAsMessagePack()).toEqual({ status: 400, code: 1003 });
    await etcd.put(key, "{}");
    await until("the change", async () => (await echoAsMessagePack()).status === 200, SOON_MS);
    await etcd.put(key, "protocol: { content_types: 5 }");
    await until("the bad one to be counted", async () => (await figure("config_reload_errors_total")) === 1);
    expect((await echoAsMessagePack()).status).toBe(200);
    await etcd.call("/v3/kv/deleterange", { key: btoa(key) });
    await until("the loss to be told", () => logged.some((line) => line.includes("the key is gone")));
    expect((await echoAsMessagePack()).status).toBe(200);
    await etcd.kill();
    await until("etcd to be missed", () => logged.some((line) => line.includes("etcd does not answer")));
    await etcd.start();
    await etcd.put(key, "protocol: { content_types: [application/json] }");
    await until(
      "what was written meanwhile",
      async () => (await echoAsMessagePack()).status === 400,
      SOON_MS,
    );
  });

  test("a start while etcd is away is refused", async () => {
    const etcd = await startEtcd();
    cleanup.push(() => etcd.stop());
    await etcd.kill();
    await expect(
      room("config: { etcd: {} }", {
        clusterEnabled: true,
        clusterBusType: "etcd",
        clusterEtcdEndpoints: [etcd.url],
        clusterEtcdDialTimeout: 200,
      }),
    ).rejects.toThrow("etcd /roost/rpc/config: etcd does not answer");
  });
});

test("what was audited last is written when the server stops", async () => {
  const { server, echo, config } = await room(undefined);
  expect(await echo()).toBe(200);
  await server.stop();
  const lines = readFileSync(join(config.dataDir, "rpc-audit.jsonl"), "utf8").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).event_type)).toEqual(["rpc_request", "rpc_response"]);
});

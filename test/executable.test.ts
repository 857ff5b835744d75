// The compiled file alone on a machine: nothing beside it, nothing in the environment. Skipped by name when it was not built.
import { afterEach, beforeEach, expect } from "bun:test";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testCertificates, withOpenssl } from "./support/certificates.ts";
import { executable, Folder } from "./support/executable.ts";
import { freePort } from "./support/free-port.ts";
import { DeskCli } from "./support/hapi-desk.ts";
import { asking } from "./support/hapi-hub-on.ts";
import { newAccount } from "./support/happy-client.ts";
import { needs } from "./support/needs.ts";
import { rpcClient } from "./support/rpc-document-server.ts";
import { TlsRpcClient } from "./support/rpc-tls-client.ts";
import { login } from "./support/topics-client.ts";
import { until } from "./support/until.ts";
import { KEYS, VoiceVendors } from "./support/voice-vendors.ts";
import { WebPushService } from "./support/web-push-service.ts";

const file = executable() ?? "";
const built = needs.executable(file).test;

let folder: Folder;
beforeEach(() => {
  folder = new Folder();
});
afterEach(() => folder.remove());

/** The server on a free port. @returns its URL and how to end it. */
async function serving(env: Record<string, string> = {}) {
  const launched = folder.start([file, "--port", "0", "--host", "127.0.0.1"], env);
  const url = await launched.printed(/(http:\/\/127\.0\.0\.1:\d+)/);
  return { url, ...launched };
}

built(
  "is at most 125 MB and packs to 50 MB or less",
  async () => {
    expect(statSync(file).size).toBeLessThanOrEqual(125_000_000);
    // As build.ts packs what level 9 leaves too large.
    const packed = await Bun.zstdCompress(await Bun.file(file).bytes(), { level: 17 });
    expect(packed.byteLength).toBeLessThanOrEqual(50_000_000);
  },
  // It takes a minute alone.
  600_000,
);

built("says version, commit, Bun version and build date", async () => {
  const { code, stdout } = await folder.run([file, "--version"]);
  expect(stdout).toMatch(
    /^roost \d+\.\d+\.\d+ \(commit [0-9a-f]{7,}(-dirty)?, Bun \d+\.\d+\.\d+, built 20\d\d-\d\d-\d\dT[\d:.]+Z\)\n$/,
  );
  expect(code).toBe(0);
  expect(readdirSync(folder.path)).toEqual([]);
});

built("makes and migrates its database", async () => {
  const first = await folder.run([file, "migrate"]);
  expect(first).toMatchObject({ code: 0, stderr: "" });
  expect(first.stdout).toContain("from version 0 to");
  const second = await folder.run([file, "migrate"]);
  expect(second.code).toBe(0);
  expect(second.stdout).toContain("which is current");
});

built(
  "serves, keeps what it was told across a restart, and stops within five seconds",
  async () => {
    const first = await serving();
    const account = await newAccount(first.url);
    const listener = await account.connect();
    const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "bWV0YQ==" });
    await listener.untilUpdate("new-session");
    listener.close();
    const begun = performance.now();
    expect(await first.end()).toMatchObject({ code: 0, stderr: "" });
    expect(performance.now() - begun).toBeLessThan(5_000);
    const second = await serving();
    const listed = await fetch(`${second.url}/v1/sessions`, {
      headers: { authorization: `Bearer ${account.token}` },
    });
    expect(await listed.json()).toMatchObject({ sessions: [{ id: opened.body.session.id }] });
    expect(await second.end()).toMatchObject({ code: 0 });
  },
  30_000,
);

built("judges the documents of a topic by its schema: the compiler of schemas is embedded", async () => {
  const topics = [
    { name: "nodes", schema: { type: "object", properties: { at: { format: "date", type: "string" } } } },
  ];
  const { url, end } = await serving({
    ROOST_TOPICS: JSON.stringify(topics),
    ADMIN_USERNAME: "admin",
    ADMIN_PASSWORD: "admin123",
  });
  const admin = await login(url);
  const create = async (at: unknown) => {
    const { status, body } = await admin.post("/topics/nodes/create", { document: { at } });
    return [status, body.code, body.message];
  };
  expect(await create("2020-02-29")).toEqual([200, 0, "success"]);
  expect(await create("2020-02-30")).toEqual([400, 2002, 'document.at: must match format "date"']);
  expect(await create(1)).toEqual([400, 2002, "document.at: must be string"]);
  expect(await end()).toMatchObject({ code: 0, stderr: "" });
});

built(
  "pushes to browsers, forgets one that is gone and comes back to one that is busy; and has a recording written down",
  async () => {
    let publicKey = "";
    const service = new WebPushService(() => publicKey);
    const vendors = new VoiceVendors();
    try {
      const { url, end } = await serving({
        ROOST_HAPI_ENABLED: "true",
        ROOST_HAPI_PORT: "none",
        ROOST_HAPI_WEB_PUSH_INSIDE: "true",
        ROOST_HAPI_OPENAI_URL: vendors.url,
        ROOST_HAPI_OPENAI_KEY: KEYS.openai,
      });
      const kept = await Bun.file(join(folder.path, "data", "hapi", "settings.json")).json();
      publicKey = kept.vapidKeys.publicKey;
      const hub = await asking(url, kept.cliApiToken);
      expect((await hub.ask("GET", "/api/push/vapid-public-key")).body).toEqual({ publicKey });
      for (const name of ["here", "gone", "busy"]) {
        const { endpoint, p256dh, auth } = service.subscribe(name);
        const { body } = await hub.ask("POST", "/api/push/subscribe", { endpoint, keys: { p256dh, auth } });
        expect(body).toEqual({ ok: true });
      }
      service.gone.set("gone", 410);
      service.broken.set("busy", { status: 429, headers: { "retry-after": "1" } });
      const metadata = { path: "/home/u/demo", host: "devbox", flavor: "claude" };
      const opened = await hub.ask("POST", "/cli/sessions", { tag: "t", metadata, agentState: null });
      const { session } = opened.body as { session: { id: string; agentStateVersion: number } };
      const cli = await DeskCli.open(url, kept.cliApiToken, "session", session.id, {});
      try {
        cli.alive();
        await cli.flush();
        let expectedVersion = session.agentStateVersion;
        const asks = async (...names: string[]) => {
          const requests = Object.fromEntries(names.map((name) => [name, { tool: "Bash", arguments: {} }]));
          const state = { sid: session.id, expectedVersion, agentState: { requests } };
          const { result, version } = await cli.socket.emitWithAck("update-state", state);
          expect(result).toBe("success");
          expectedVersion = version;
        };
        const at = (name: string) => service.arrived.filter(({ browser }) => browser === name);
        await asks("r1");
        await until("all to be asked", () => service.requests === 3);
        await until("the push", () => at("here").length === 1);
        service.broken.delete("busy");
        await until("the one that was busy", () => at("busy").length === 1);
        expect(JSON.parse(at("busy")[0]?.payload ?? "")).toMatchObject({ title: "Permission Request" });
        const before = service.requests;
        await asks("r1", "r2");
        await until("the second push", () => at("here").length === 2 && at("busy").length === 2);
        expect(service.requests).toBe(before + 2);
      } finally {
        cli.socket.close();
      }
      const form = new FormData();
      form.append("provider", "openai");
      form.append("file", new Blob([new Uint8Array(3_000)], { type: "audio/webm" }), "speech.webm");
      const loggedIn = await fetch(`${url}/api/auth`, {
        method: "POST",
        body: JSON.stringify({ accessToken: kept.cliApiToken }),
      });
      const { token } = (await loggedIn.json()) as { token: string };
      const heard = await fetch(`${url}/api/voice/transcription`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}` },
        body: form,
      });
      expect([heard.status, await heard.json()]).toMatchObject([200, { text: expect.any(String) }]);
      expect(vendors.asked.map(({ path }) => path)).toEqual(["/v1/audio/transcriptions"]);
      expect(await end()).toMatchObject({ code: 0, stderr: "" });
    } finally {
      await Promise.all([service.stop(), vendors.stop()]);
    }
  },
  60_000,
);

built(
  "ends an RPC method that blocks at its deadline: its thread is embedded",
  async () => {
    const server = await serving({ ROOST_RPC_ENABLED: "true", ROOST_RPC_FIXTURES: "true" });
    const { call } = rpcClient(server.url);
    const burn = (ms: number) => call("DemoService/Burn", { ms }, { qos: { timeout_ms: 5_000 } });
    expect((await burn(1)).body).toMatchObject({ status: "success", result: { burnt: 1, is_main: false } });
    const began = performance.now();
    const blocking = burn(60_000);
    expect((await call("EchoService/Echo", { a: 1 })).body.result).toEqual({ a: 1 });
    expect(performance.now() - began).toBeLessThan(4_000);
    expect((await blocking).body.error).toMatchObject({ code: 5003 });
    expect((await burn(1)).status).toBe(200);
    expect(await server.end()).toMatchObject({ code: 0, stderr: "" });
  },
  60_000,
);

built(
  "moves the write-ahead log into the database while it runs: its worker thread is embedded",
  async () => {
    const server = await serving();
    const account = await newAccount(server.url);
    const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "bWV0YQ==" });
    const database = join(folder.path, "data", "happy.db");
    const before = statSync(database).size;
    const content = "x".repeat(64 * 1024);
    for (let index = 0; index < 100; index++) {
      const localId = `${index}`;
      const answer = await account.call("POST", `/v3/sessions/${body.session.id}/messages`, {
        messages: [{ content, localId }],
      });
      expect(answer.status).toBe(200);
    }
    // Only the worker writes the database file before the log has grown to 32 MiB, so growth is its doing.
    for (const bound = Date.now() + 10_000; statSync(database).size < before + 4 * 1024 * 1024; ) {
      if (Date.now() > bound) throw new Error("the database file did not grow");
      await Bun.sleep(20);
    }
    const { stdout, code } = await server.end();
    expect(stdout).not.toContain("checkpoint failed");
    expect(code).toBe(0);
  },
  30_000,
);

built("takes no setting from files that happen to lie where it was started", async () => {
  await Bun.write(join(folder.path, ".env"), "ROOST_PORT=not-a-port\nPORT=not-a-port\n");
  await Bun.write(join(folder.path, "bunfig.toml"), 'preload = ["./gone.ts"]\n');
  await Bun.write(join(folder.path, "package.json"), "{ not json");
  const server = await serving();
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
});

const builtWithOpenssl = needs.all(needs.executable(file), withOpenssl).test;

builtWithOpenssl("takes calls at a TLS port, and knows callers by their certificates", async () => {
  const { certificates, authority, server, alice, falseAlice } = await testCertificates();
  try {
    const port = freePort();
    const lines = [
      `rpc: { tls: { port: ${port}, host: 127.0.0.1 } }`,
      "security:",
      "  tls:",
      `    server_cert_path: ${server.paths.cert}`,
      `    server_key_path: ${server.paths.key}`,
      `    ca_cert_path: ${authority.paths.cert}`,
      "    client_cert_verification: required",
      "    required_for_rpc: true",
    ];
    writeFileSync(join(folder.path, "calls.yaml"), lines.join("\n"), { mode: 0o600 });
    const settings = {
      ROOST_RPC_ENABLED: "true",
      ROOST_RPC_FIXTURES: "true",
      ROOST_RPC_CONFIG: "calls.yaml",
    };
    const { url, end } = await serving(settings);
    const target = { port, authority };
    const client = await TlsRpcClient.open(target, alice);
    const { status, body } = await client.call("DemoService/WhoAmI");
    expect([status, body.result.principal.id]).toEqual([200, "spiffe://example/alice"]);
    client.close();
    for (const pair of [undefined, falseAlice])
      await expect(
        TlsRpcClient.open(target, pair).then((stranger) => stranger.call("DemoService/WhoAmI")),
      ).rejects.toThrow();
    const plain = await fetch(`${url}/aduib_rpc/v2/methods`);
    expect(plain.status).toBe(401);
    const second = [file, "--port", "0", "--host", "127.0.0.1", "--data-dir", "other"];
    const sentence = `Port ${port} is already in use. Stop the other program, or choose another port.`;
    expect(await folder.run(second, settings)).toMatchObject({ code: 1, stderr: `roost: ${sentence}\n` });
    expect(await end()).toMatchObject({ code: 0 });
  } finally {
    certificates[Symbol.dispose]();
  }
});

built("answers bad usage with one sentence and 2, and a failure with one sentence and 1", async () => {
  const usage = await folder.run([file, "serve", "--prot", "80"]);
  expect(usage).toEqual({
    code: 2,
    stdout: "",
    stderr: "roost: Unknown setting --prot. Did you mean --port?\n",
  });
  const server = await serving();
  const { port } = new URL(server.url);
  const taken = await folder.run([file, "--port", port, "--host", "127.0.0.1", "--data-dir", "other"]);
  expect(taken).toEqual({
    code: 1,
    stdout: "",
    stderr: `roost: Port ${port} is already in use. Stop the other program, or choose another port with --port.\n`,
  });
});

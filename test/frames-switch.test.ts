// Off, the frames hub costs nothing: no path, no figure, no code. On by Roost's own switch it asks for tokens, and the command makes
// one that it takes; on by the hub's own words it is open, and the log says so.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { refusedProcess, type ServerProcess, startProcess } from "./faults/server-process.ts";
import { FramesClient } from "./support/frames-client.ts";
import { run, runRoost } from "./support/process.ts";

let dataDir: string;
let server: ServerProcess | undefined;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "roost-frames-"));
});
afterEach(async () => {
  await server?.end("SIGTERM");
  server = undefined;
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(env: Record<string, string> = {}): Promise<ServerProcess> {
  server = await startProcess({ dataDir, env: { ROOST_METRICS_TOKEN: "scrape", ...env } });
  return server;
}

async function upgrade(url: string, query: Record<string, string> = {}): Promise<number> {
  const response = await fetch(`${url}/ws?${new URLSearchParams(query)}`, {
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    },
  });
  if (response.status !== 101) await response.text();
  return response.status;
}

const command = async (...words: string[]) => {
  const { code, stdout: out, stderr: err } = await runRoost(["frames", ...words, "--data-dir", dataDir]);
  return { code, out, err };
};

const lines = (level: number) => server?.logged(level).map(({ msg }) => msg) ?? [];

test("a fresh start has no hub: no path, no figure, no word in the log", async () => {
  const { url } = await start();
  expect(await upgrade(url)).toBe(404);
  for (const path of ["/ws", "/ws/health"]) expect((await fetch(`${url}${path}`)).status).toBe(404);
  const figures = await fetch(`${url}/metrics`, { headers: { authorization: "Bearer scrape" } });
  expect(await figures.text()).not.toContain("gohub_");
  expect(lines(0).join("\n")).not.toContain("hub");
});

test("switched off its code is not even loaded", async () => {
  const script = `
    const { startServer } = await import(${JSON.stringify(resolve(import.meta.dir, "../src/context.ts"))});
    const { parseConfig } = await import(${JSON.stringify(resolve(import.meta.dir, "../test/support/config.ts"))});
    const { createLog } = await import(${JSON.stringify(resolve(import.meta.dir, "../src/observability/log.ts"))});
    const settings = { ...parseConfig({}), port: 0, host: "127.0.0.1", masterSecret: "x", dataDir: ${JSON.stringify(dataDir)} };
    const server = await startServer({ ...settings, framesEnabled: process.argv[1] === "on" }, createLog("silent"));
    const loaded = Object.keys(require.cache).filter((path) => path.includes("/src/frames/")).map((path) => path.split("/src/frames/")[1]);
    console.log(JSON.stringify(loaded));
    await server.stop();
    process.exit(0);`;
  const loaded = async (word: string): Promise<string[]> => {
    return JSON.parse((await run([process.execPath, "-e", script, word])).stdout);
  };
  // The manifest, and what the configuration needs.
  expect((await loaded("off")).sort()).toEqual([
    "bounds.ts",
    "protocol.ts",
    "settings.ts",
    "settle.ts",
    "switch.ts",
  ]);
  expect((await loaded("on")).length).toBeGreaterThan(10);
}, 30_000);

test("switched on, it asks for a token; `roost frames token` makes one that works, also after a restart", async () => {
  const { url } = await start({ ROOST_FRAMES_ENABLED: "true" });
  expect([await upgrade(url), await upgrade(url, { token: "wrong" })]).toEqual([401, 401]);
  const { code, out: token } = await command("token", "alice", "--permissions", "send:message");
  expect([code, token.split(".").length]).toEqual([0, 3]);
  const client = await FramesClient.connect(url, { token, client_id: "ignored" });
  const reply = await client.ask({ message_id: 1, message_type: "join_room", data: { room_id: "r" } });
  expect(reply.data.code).toBe(2001);
  await client.close();
  await server?.end("SIGTERM");
  const again = await start({ ROOST_FRAMES_ENABLED: "true" });
  expect(await upgrade(again.url, { token })).toBe(101);
  expect(server?.output.stdout).not.toContain(token.split(".")[2]);
  await again.end("SIGTERM");
  const other = await start({ ROOST_FRAMES_ENABLED: "true", ROOST_AUTH_SECRET_KEY: "another" });
  expect(await upgrade(other.url, { token })).toBe(401);
}, 30_000);

test("the command says what it cannot do", async () => {
  expect(await command("token", "alice")).toMatchObject({
    code: 1,
    err: expect.stringContaining("no secret yet"),
  });
  expect(await command("token")).toMatchObject({ code: 2, err: expect.stringContaining("Usage") });
  expect(await command("token", "a\nb")).toMatchObject({
    code: 2,
    err: expect.stringContaining("128 characters"),
  });
  expect(await command("token", "a", "--permissions", "fly")).toMatchObject({
    code: 2,
    err: expect.stringContaining('no permission "fly"'),
  });
  expect(await command("token", "a", "--days", "0")).toMatchObject({
    code: 2,
    err: expect.stringContaining("--days"),
  });
  expect(await command("token", "a", "--auth-enabled", "false")).toMatchObject({ code: 2 });
}, 30_000);

test("on by the hub's own variables it is as the hub always was, and the start says that it is open", async () => {
  const { url } = await start({ GOHUB_SERVER_WS_PATH: "/ws" });
  expect(await upgrade(url, { client_id: "anybody" })).toBe(101);
  expect(
    lines(40).filter((line) => line.includes("whoever reaches this server can use the frames hub")),
  ).toHaveLength(1);
});

test("tokens in the hub's own words need the hub's own secret", async () => {
  const refused = await refusedProcess({ dataDir, env: { GOHUB_AUTH_ENABLED: "true" } });
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("--frames-auth-secret-key") });
});

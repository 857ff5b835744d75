// Off, topics cost nothing: no path, no file, no code. On, the first start says how to add a user.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServer } from "../src/context.ts";
import { createLog } from "../src/observability/log.ts";
import { topicsOn } from "../src/topics/switch.ts";
import type { Config } from "./support/config.ts";
import { parseConfig } from "./support/config.ts";
import { run as runProcess } from "./support/process.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "roost-switch-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const config = (overrides: Partial<Config> = {}): Config => ({
  ...parseConfig({}),
  port: 0,
  host: "127.0.0.1",
  masterSecret: "secret",
  ...overrides,
  dataDir,
});

/** Lines that the server logged from its start to its stop, and what `visit` found meanwhile. */
async function run<T>(
  settings: Config,
  visit: (url: string) => Promise<T>,
): Promise<{ lines: string[]; found: T }> {
  const lines: string[] = [];
  const server = await startServer(settings, createLog("info", { write: (line) => lines.push(line) }));
  try {
    return { found: await visit(`http://127.0.0.1:${server.port}`), lines };
  } finally {
    await server.stop();
  }
}

test("topics are on when they are switched on, or when something of them is configured, and never against the switch", () => {
  const on = (overrides: Partial<Config>) => topicsOn(config(overrides));
  expect(on({})).toBe(false);
  expect(on({ topicsEnabled: true })).toBe(true);
  expect(on({ topics: [{ name: "nodes", schema: true }] })).toBe(true);
  expect(on({ topicsJwtSecret: "x" })).toBe(true);
  expect(on({ topicsAdminUsername: "x" })).toBe(true);
  expect(on({ topicsEnabled: false, topicsJwtSecret: "x", topics: [{ name: "nodes", schema: true }] })).toBe(
    false,
  );
});

test("switched off there is no path, no database and no log line", async () => {
  const { found, lines } = await run(config({ topicsEnabled: false, hapiEnabled: false }), async (url) => {
    const answers = [];
    for (const path of ["/api/v1/ping", "/socket.io/?EIO=4&transport=polling"]) {
      const response = await fetch(`${url}${path}`);
      answers.push([response.status, (await response.text()).includes("pong")]);
    }
    return answers;
  });
  expect(found).toEqual([
    [404, false],
    [404, false],
  ]);
  expect(existsSync(join(dataDir, "topics.db"))).toBe(false);
  expect(lines.join()).not.toContain("topics");
});

test("switched off its code is not even loaded", async () => {
  const script = `
    const { startServer } = await import("./src/context.ts");
    const { parseConfig } = await import("./test/support/config.ts");
    const { createLog } = await import("./src/observability/log.ts");
    const settings = { ...parseConfig({}), port: 0, host: "127.0.0.1", masterSecret: "x", dataDir: ${JSON.stringify(dataDir)} };
    const loaded = () => [...require.cache ? Object.keys(require.cache) : []].filter((path) => path.includes("/src/topics/")).map((path) => path.split("/src/topics/")[1]);
    const server = await startServer({ ...settings, topicsEnabled: process.argv[1] === "on" }, createLog("silent"));
    console.log(JSON.stringify(loaded()));
    await server.stop();
    process.exit(0);`;
  const loaded = async (word: string): Promise<string[]> => {
    const cwd = join(import.meta.dir, "..");
    return JSON.parse((await runProcess([process.execPath, "-e", script, word], { cwd })).stdout);
  };
  // The manifest, and what the configuration needs.
  expect((await loaded("off")).sort()).toEqual([
    "declared-topic.ts",
    "protocol.ts",
    "settings.ts",
    "switch.ts",
  ]);
  expect((await loaded("on")).length).toBeGreaterThan(10);
}, 30_000);

test("the first start without a user says the command; with one it does not", async () => {
  const visit = async () => {};
  const first = await run(config({ topicsEnabled: true }), visit);
  expect(first.lines.filter((line) => line.includes("roost topics user add")).length).toBe(1);
  const admin = { topicsEnabled: true, topicsAdminUsername: "admin", topicsAdminPassword: "very-secret" };
  const second = await run(config(admin), visit);
  expect(second.lines.join()).not.toContain("roost topics user add");
  expect(second.lines.join()).not.toContain("very-secret");
  // Whoever is there stays: the configured user is only the first.
  const third = await run(config({ ...admin, topicsAdminPassword: "changed" }), async (url) =>
    fetch(`${url}/api/v1/auth/login`, {
      method: "POST",
      body: JSON.stringify({ username: "admin", password: "very-secret" }),
    }),
  );
  expect(third.found.status).toBe(200);
});

test("without a configured secret logins are signed with one of this server's own, which survives a restart", async () => {
  const admin = { topicsEnabled: true, topicsAdminUsername: "admin", topicsAdminPassword: "very-secret" };
  const { found: token } = await run(config(admin), async (url) => {
    const login = { method: "POST", body: JSON.stringify({ username: "admin", password: "very-secret" }) };
    const answer = (await (await fetch(`${url}/api/v1/auth/login`, login)).json()) as {
      data: { token: string };
    };
    return answer.data.token;
  });
  const me = async (overrides: Partial<Config>) =>
    (
      await run(config({ ...admin, ...overrides }), (url) =>
        fetch(`${url}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } }),
      )
    ).found.status;
  expect([await me({}), await me({ masterSecret: "another" })]).toEqual([200, 401]);
});

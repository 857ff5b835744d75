// The original's environment (HTTP contract 18) still configures a server: every variable does what it did, or is answered in the log.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../../test/support/config.ts";
import { catalogue, parseConfig, readEnvironment } from "../../test/support/config.ts";
import { Folder } from "../../test/support/executable.ts";
import { accountWith, call, newAccount } from "../../test/support/happy-client.ts";
import { roostCommand } from "../../test/support/process.ts";
import { s3Service } from "../../test/support/s3.ts";
import { type TestServer, testServer } from "../../test/support/server.ts";
import { ELEVEN_LABS_KEY, REVENUE_CAT_KEY, voiceServices } from "../../test/support/voice.ts";
import { unusedVariables } from "./unused-variables.ts";

/** Made by the original's own library with the secret `compat-probe-0` (HTTP contract 21). */
const ORIGINAL_TOKEN =
  "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJsZWdhY3ktbm9kZS11c2VyIiwicHJvdmVuYW5jZSI6InByaXZhY3kta2l0LTAuMC4yNS1ub2RlIiwiaWF0Ijo5NDY2ODQ4MDAsIm5iZiI6OTQ2Njg0ODAwLCJpc3MiOiJoYW5keSIsImp0aSI6ImM5YjFiMTNjLTk5MjUtNDBmYy1iMDE5LWFlMzRiNDg2NzUxNyJ9.fxMFx-QExdVNDwOMMXIo34aVn_YoWk9gH5w_AfAcE0yh6xxR2dsVfizBJ1zix6ZygEPgQpv_RIFE-5h9xf-OCw";

let folder: Folder;
let undo: (() => Promise<unknown>)[];
beforeEach(() => {
  folder = new Folder();
  undo = [() => folder.remove()];
});
afterEach(async () => {
  for (const step of undo.reverse()) await step();
});

/** A server that was told nothing but these variables. */
async function serverWith(environment: Record<string, string>): Promise<TestServer> {
  const raw = readEnvironment(environment);
  const config = parseConfig(raw);
  const names = Object.keys(raw) as (keyof Config)[];
  const server = await testServer(Object.fromEntries(names.map((name) => [name, config[name]])));
  undo.push(() => server.stop());
  return server;
}

test.each<[string, string, Partial<Config>]>([
  ["HANDY_MASTER_SECRET", " not trimmed ", { masterSecret: " not trimmed " }],
  ["PORT", "4000", { port: 4000 }],
  ["HOST", "::1", { host: "::1" }],
  ["PUBLIC_URL", "https://happy.example/", { publicUrl: "https://happy.example/" }],
  ["DATA_DIR", "/elsewhere", { dataDir: "/elsewhere" }],
  ["S3_HOST", "s3.example", { s3Host: "s3.example" }],
  ["S3_PORT", "9000", { s3Port: 9000 }],
  ["S3_USE_SSL", "false", { s3UseSsl: false }],
  ["S3_REGION", "eu-west-1", { s3Region: "eu-west-1" }],
  ["S3_ACCESS_KEY", "a", { s3AccessKey: "a" }],
  ["S3_SECRET_KEY", "b", { s3SecretKey: "b" }],
  ["S3_BUCKET", "c", { s3Bucket: "c" }],
  ["S3_PUBLIC_URL", "https://files.example", { s3PublicUrl: "https://files.example" }],
  ["HAPPY_STATIC_DIR", "/web", { happyStaticDir: "/web" }],
  ["HAPPY_INJECT_HTML_CONFIG", "{not json", { happyInjectHtmlConfig: "{not json" }],
  ["METRICS_ENABLED", "false", { metricsEnabled: false }],
  ["METRICS_PORT", "9191", { metricsPort: 9191 }],
  ["DANGEROUSLY_LOG_TO_SERVER_FOR_AI_AUTO_DEBUGGING", "0", { happyClientLogs: true }],
  ["GITHUB_CLIENT_ID", "d", { happyGithubClientId: "d" }],
  ["GITHUB_CLIENT_SECRET", "e", { happyGithubClientSecret: "e" }],
  ["GITHUB_REDIRECT_URL", "https://happy.example/cb", { happyGithubRedirectUrl: "https://happy.example/cb" }],
  ["GITHUB_APP_ID", "12345678901234567890", { happyGithubAppId: "12345678901234567890" }],
  ["GITHUB_PRIVATE_KEY", "line\nline", { happyGithubPrivateKey: "line\nline" }],
  ["GITHUB_WEBHOOK_SECRET", "f", { happyGithubWebhookSecret: "f" }],
  [
    "GITHUB_REDIRECT_URI",
    "https://happy.example/app",
    { happyGithubRedirectUri: "https://happy.example/app" },
  ],
  // Two originals go by it.
  ["ELEVENLABS_API_KEY", "g", { happyElevenLabsApiKey: "g", hapiElevenlabsKey: "g" }],
  ["REVENUECAT_API_KEY", "h", { happyRevenueCatApiKey: "h" }],
  ["NODE_ENV", "production", {}],
  ["ENV", "dev", {}],
])("%s=%j", (name, value, expected) => {
  expect(parseConfig(readEnvironment({ [name]: value }))).toEqual({ ...parseConfig({}), ...expected });
  expect(unusedVariables(catalogue, { [name]: value })).toEqual([]);
});

test("the defaults are the original's", () => {
  expect(parseConfig({})).toMatchObject({
    port: 3005,
    host: "0.0.0.0",
    dataDir: "./data",
    s3UseSsl: true,
    s3Region: "us-east-1",
    happyClientLogs: false,
  });
});

test.each([
  ["DB_PROVIDER", "pglite", "DB_PROVIDER is not used: Roost keeps everything in SQLite"],
  ["DATABASE_URL", "postgres://a:hush@b/c", "DATABASE_URL is not used: Roost keeps everything in SQLite"],
  ["PGLITE_DIR", "/x", "PGLITE_DIR is not used: Roost keeps everything in SQLite"],
  [
    "REDIS_URL",
    "redis://:hush@b",
    "REDIS_URL is not used: Roost keeps everything in SQLite and needs no Redis",
  ],
])("%s changes nothing, and one sentence says so without its value", (name, value, sentence) => {
  expect(parseConfig(readEnvironment({ [name]: value }))).toEqual(parseConfig({}));
  expect(unusedVariables(catalogue, { [name]: value, UNRELATED: "x" })).toEqual([sentence]);
  expect(unusedVariables(catalogue, { [name]: "" })).toEqual([]);
});

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const probe = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const { port = 0 } = probe;
  await probe.stop(true);
  return port;
}

test("as the launcher of the original starts it: migrate, then serve, all by variables", async () => {
  const web = join(folder.path, "web");
  const data = join(folder.path, "data of mine");
  mkdirSync(web);
  writeFileSync(join(web, "index.html"), "<html><head></head><body>app</body></html>");
  const port = await freePort();
  const environment = {
    DB_PROVIDER: "pglite",
    DATA_DIR: data,
    PGLITE_DIR: join(data, "pglite"),
    HANDY_MASTER_SECRET: "compat-probe-0",
    PORT: String(port),
    HOST: "127.0.0.1",
    HAPPY_STATIC_DIR: web,
    HAPPY_INJECT_HTML_CONFIG: '{"serverUrl":"http://127.0.0.1:1","disableAnalytics":true}',
    DATABASE_URL: "postgres://user:hush@db.example/happy",
    REDIS_URL: "redis://:hush@redis.example",
  };
  expect(await folder.run([...roostCommand(), "migrate"], environment)).toMatchObject({
    code: 0,
    stderr: "",
  });
  const server = folder.start([...roostCommand(), "serve"], environment);
  const url = await server.printed(/(http:\/\/127\.0\.0\.1:\d+)/);
  expect(url).toBe(`http://127.0.0.1:${port}`);

  const page = await fetch(url, { headers: { accept: "text/html" } });
  expect(await page.text()).toMatch(
    /<head><script>window\.__HAPPY_CONFIG__ ?= ?\{"serverUrl":"http:\/\/127\.0\.0\.1:1","disableAnalytics":true\};?<\/script><\/head>/,
  );
  const account = accountWith(url, ORIGINAL_TOKEN);
  expect((await account.call("GET", "/v1/sessions")).body).toEqual({ sessions: [] });
  expect(readdirSync(data)).toContain("happy.db");
  expect(readdirSync(data)).not.toContain("pglite");
  expect(readdirSync(data)).not.toContain("master-secret");

  const { code, stdout, stderr } = await server.end();
  expect([code, stderr]).toEqual([0, ""]);
  for (const name of ["DB_PROVIDER", "DATABASE_URL", "PGLITE_DIR", "REDIS_URL"])
    expect([name, stdout.match(new RegExp(`${name} is not used`, "g"))?.length]).toEqual([name, 1]);
  expect(stdout).not.toContain("hush");
}, 60_000);

describe("what they switch on", () => {
  test("PUBLIC_URL: the address that clients are given, when it is the place that they used", async () => {
    const server = await serverWith({ PUBLIC_URL: "https://happy.example" });
    const account = await newAccount(server.url);
    const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "" });
    const { id } = opened.body.session;
    const asked = await fetch(`${server.url}/v1/sessions/${id}/attachments/request-upload`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${account.token}`,
        "content-type": "application/json",
        "x-forwarded-host": "happy.example",
      },
      body: '{"filename":"f","size":1}',
    });
    expect(await asked.json()).toMatchObject({
      uploadUrl: expect.stringMatching(/^https:\/\/happy\.example\/v1\/sessions\//),
    });
  });

  test("S3_*: attachments go to the bucket, and /files/ is nobody's", async () => {
    const bucket = s3Service();
    undo.push(() => bucket.stop());
    const { s3Host, s3Port, s3Region, s3Bucket, s3AccessKey, s3SecretKey } = bucket.config;
    const server = await serverWith({
      S3_HOST: s3Host,
      S3_PORT: String(s3Port),
      S3_USE_SSL: "false",
      S3_REGION: s3Region,
      S3_BUCKET: s3Bucket,
      S3_ACCESS_KEY: s3AccessKey,
      S3_SECRET_KEY: s3SecretKey,
    });
    const account = await newAccount(server.url);
    const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "" });
    const path = `/v1/sessions/${opened.body.session.id}/attachments/request-upload`;
    const { body } = await account.call("POST", path, { filename: "f", size: 1 });
    expect([body.method, body.uploadUrl]).toEqual(["POST", `${bucket.url}/${s3Bucket}`]);
    expect((await account.call("GET", "/files/public/x")).body).toEqual({
      error: "Not found",
      path: "/files/public/x",
      method: "GET",
    });
  });

  test("DANGEROUSLY_LOG_TO_SERVER_FOR_AI_AUTO_DEBUGGING: the route for debug logs, under both of its names", async () => {
    const logs = join(folder.path, "logs");
    const server = await serverWith({
      DANGEROUSLY_LOG_TO_SERVER_FOR_AI_AUTO_DEBUGGING: "1",
      ROOST_CLIENT_LOGS_DIR: logs,
    });
    const record = { timestamp: "t", level: "info", message: "m", source: "cli" };
    const path = "/logs-combined-from-cli-and-mobile-for-simple-ai-debugging";
    expect((await call(server.url, undefined, "POST", path, record)).body).toEqual({ success: true });
    // The addition of contract 17 wants a token.
    expect((await call(server.url, undefined, "POST", "/v1/dev/logs", record)).status).toBe(401);
    const account = await newAccount(server.url);
    expect((await account.call("POST", "/v1/dev/logs", record)).body).toEqual({ success: true });
    expect(existsSync(logs)).toBe(true);
  });

  test("GITHUB_CLIENT_ID and GITHUB_REDIRECT_URL: connecting GitHub, both needed", async () => {
    const redirect = "https://happy.example/cb";
    const halves: Record<string, string>[] = [{ GITHUB_CLIENT_ID: "id" }, { GITHUB_REDIRECT_URL: redirect }];
    for (const environment of halves) {
      const server = await serverWith(environment);
      const account = await newAccount(server.url);
      const { status, body } = await account.call("GET", "/v1/connect/github/params");
      expect([status, body]).toEqual([400, { error: "GitHub OAuth not configured" }]);
    }
    const server = await serverWith({ GITHUB_CLIENT_ID: "id", GITHUB_REDIRECT_URL: redirect });
    const account = await newAccount(server.url);
    const { body } = await account.call("GET", "/v1/connect/github/params");
    expect(body.url).toStartWith(
      "https://github.com/login/oauth/authorize?client_id=id&redirect_uri=https%3A%2F%2Fhappy.example%2Fcb&",
    );
  });

  test("the six variables of the GitHub app: webhooks, all needed", async () => {
    const six = {
      GITHUB_APP_ID: "1",
      GITHUB_PRIVATE_KEY: "key",
      GITHUB_WEBHOOK_SECRET: "webhook secret",
      GITHUB_REDIRECT_URI: "https://happy.example/app",
      GITHUB_CLIENT_ID: "id",
      GITHUB_CLIENT_SECRET: "secret",
    };
    const hook = async (server: TestServer) => {
      const body = '{"zen":"x"}';
      const signature = createHmac("sha256", six.GITHUB_WEBHOOK_SECRET).update(body).digest("hex");
      const answer = await fetch(`${server.url}/v1/connect/github/webhook`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "x-hub-signature-256": `sha256=${signature}`,
          "x-github-event": "ping",
        },
        body,
      });
      return [answer.status, await answer.json()];
    };
    expect(await hook(await serverWith(six))).toEqual([200, { received: true }]);
    for (const missing of Object.keys(six)) {
      const server = await serverWith({ ...six, [missing]: "" });
      expect([missing, await hook(server)]).toEqual([missing, [500, { error: "Webhooks not configured" }]]);
    }
  });

  test("ELEVENLABS_API_KEY and REVENUECAT_API_KEY: voice, with exactly these keys", async () => {
    const voice = voiceServices();
    undo.push(() => voice.stop());
    voice.durations = [1_200];
    voice.entitlements = { pro: { expires_date: null } };
    const keys = { ELEVENLABS_API_KEY: ELEVEN_LABS_KEY, REVENUECAT_API_KEY: REVENUE_CAT_KEY };
    const ask = async (environment: Record<string, string>) => {
      const server = await serverWith({
        ...environment,
        ROOST_ELEVEN_LABS_URL: voice.url,
        ROOST_REVENUE_CAT_URL: voice.url,
      });
      const account = await newAccount(server.url);
      const { status, body } = await account.call("POST", "/v1/voice/conversations", { agentId: "a" });
      return [status, body.error ?? body.allowed];
    };
    expect(await ask(keys)).toEqual([200, true]);
    for (const missing of Object.keys(keys))
      expect(await ask({ ...keys, [missing]: "" })).toEqual([500, `${missing} not configured`]);
  });
});

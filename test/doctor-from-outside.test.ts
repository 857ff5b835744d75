// The doctor's look from outside, also through a real nginx: silent about good configurations, and for each broken one the right finding
// with the line that mends it. What waits for a ping waits at once.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CheckName, Finding, Result } from "../src/doctor/finding.ts";
import { fromOutside } from "../src/doctor/outside.ts";
import { outsideLook } from "../src/happy/doctor/from-outside.ts";
import { freePort } from "./support/free-port.ts";
import { type NginxConfig, startNginx, withNginx } from "./support/nginx.ts";
import { roostCommand, run } from "./support/process.ts";
import { type TestServer, testServer } from "./support/server.ts";

const QUICK_SECONDS = 17;
const UPGRADE =
  'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";';
/** What docs/reverse-proxy.md tells people to write, without its TLS lines. */
const documented = /```nginx\n[^`]*?( {2}client_max_body_size[^`]*)}\n```/.exec(
  readFileSync(join(import.meta.dir, "../docs/reverse-proxy.md"), "utf8"),
)?.[1];
function good(port: number): string {
  if (documented === undefined) throw new Error("docs/reverse-proxy.md shows no nginx configuration");
  return documented.replaceAll("127.0.0.1:3005", `127.0.0.1:${port}`);
}

let server: TestServer;
let port: number;
beforeAll(async () => {
  server = await testServer();
  port = Number(new URL(server.url).port);
});
afterAll(() => server?.stop());

async function lookAt(url: string, idleSeconds = 1): Promise<Map<CheckName, Finding>> {
  const findings = new Map<CheckName, Finding>();
  for await (const finding of fromOutside({ url: new URL(url), idleSeconds }, [outsideLook]))
    findings.set(finding.check, finding);
  return findings;
}

async function through(config: string, idleSeconds?: number, tls?: NginxConfig["tls"]) {
  const nginx = await startNginx({ server: config, ...(tls !== undefined && { tls }) });
  try {
    return await lookAt(nginx.url, idleSeconds);
  } finally {
    await nginx.stop();
  }
}

function resultsOf(findings: Map<CheckName, Finding>): Partial<Record<CheckName, Result>> {
  return Object.fromEntries([...findings].map(([check, { result }]) => [check, result]));
}

const FINE = {
  banner: "ok",
  websocket: "ok",
  slashes: "ok",
  upload: "ok",
  cors: "ok",
  certificate: "skipped",
  // 127.0.0.1, which no phone reaches.
  "plain-http": "warning",
  idle: "ok",
} as const;

test.concurrent("the command: a server without a proxy passes every check", async () => {
  const command = [...roostCommand(), "doctor", server.url, "--quick", "--json"];
  const { code, stdout } = await run(command);
  const found: { check: string; result: string }[] = JSON.parse(stdout);
  const { certificate: _, "plain-http": __, ...reached } = FINE;
  expect(Object.fromEntries(found.map(({ check, result }) => [check, result]))).toMatchObject(reached);
  expect(code).toBe(0);
}, 40_000);

withNginx.describe("through nginx", () => {
  test.concurrent("the configuration of the docs passes every check, also a silent connection across a ping", async () => {
    const findings = await through(good(port), QUICK_SECONDS);
    expect(resultsOf(findings)).toEqual(FINE);
    expect(findings.get("idle")?.says).toContain("1 pings");
  }, 40_000);

  test.concurrent("proxy_read_timeout 10s, shorter than the time between two pings", async () => {
    const findings = await through(good(port).replaceAll("3600s", "10s"), QUICK_SECONDS);
    expect(resultsOf(findings)).toEqual({ ...FINE, idle: "failure" });
    expect(findings.get("idle")?.says).toMatch(/cut after (9|10|11) s/);
    expect(findings.get("idle")?.proxy?.nginx).toContain("proxy_read_timeout 3600s;");
  }, 40_000);

  test("buffering, request buffering off, and merged slashes are no failure: nothing of the app suffers", async () => {
    for (const extra of [
      "proxy_buffering on; proxy_request_buffering on;",
      "proxy_buffering off; proxy_request_buffering off;",
    ]) {
      const findings = await through(`${extra}${good(port)}`);
      // Without buffering a busy machine is a slow way, on which the doctor does not try the rest of an upload: it says so.
      const upload = expect.stringMatching(/^(ok|warning)$/);
      expect(resultsOf(findings)).toEqual({ ...FINE, upload });
    }
    // With a path behind the port nginx sends its own form of the request's path, slashes merged.
    const merged = await through(good(port).replace(`:${port};`, `:${port}/;`));
    expect(resultsOf(merged)).toEqual(FINE);
  }, 30_000);

  test("upgrade headers that are not passed on", async () => {
    const findings = await through(
      `client_max_body_size 100m; location / { proxy_pass http://127.0.0.1:${port}; }`,
    );
    expect(resultsOf(findings)).toEqual({ ...FINE, websocket: "failure", idle: "skipped" });
    const { says, proxy } = findings.get("websocket") ?? {};
    expect(says).toMatch(/upgrade was answered 4\d\d/);
    expect(proxy?.nginx).toContain("proxy_set_header Upgrade $http_upgrade;");
  }, 20_000);

  test("client_max_body_size 1m, which is the default", async () => {
    const findings = await through(good(port).replace("100m", "1m"));
    expect(resultsOf(findings)).toEqual({ ...FINE, upload: "failure" });
    expect(findings.get("upload")?.says).toContain("refuses 10 MiB as too large (413 from nginx");
    expect(findings.get("upload")?.proxy?.nginx).toBe("client_max_body_size 100m;");
  }, 20_000);

  test("doubled slashes that miss their location, and ones that are sent elsewhere", async () => {
    const pass = `proxy_pass http://127.0.0.1:${port}; ${UPGRADE}`;
    const split = `merge_slashes off; client_max_body_size 100m;
      location = / { ${pass} } location /v1/ { ${pass} } location /health { ${pass} }
      location / { return 404; }`;
    const missed = await through(split);
    expect(resultsOf(missed)).toEqual({ ...FINE, slashes: "failure" });
    expect(missed.get("slashes")?.says).toContain("doubled slash does not reach Roost (404");

    const redirecting = `client_max_body_size 100m;
      if ($request_uri ~ "^[^?]*//") { rewrite ^ $uri permanent; }
      location / { ${pass} }`;
    const moved = await through(redirecting);
    expect(resultsOf(moved)).toEqual({ ...FINE, slashes: "failure" });
    expect(moved.get("slashes")?.says).toContain("301");

    const trimming = `client_max_body_size 100m; location / { ${pass} } location = /v1/updates/ { return 301 /v1/updates; }`;
    const trimmed = await through(trimming);
    expect(trimmed.get("slashes")?.says).toContain("slash at its end does not reach Roost (301");
    expect(trimmed.get("slashes")?.proxy?.nginx).toContain("one location");
  }, 30_000);

  test("CORS headers that the proxy adds to Roost's own", async () => {
    const findings = await through(`add_header Access-Control-Allow-Origin * always; ${good(port)}`);
    expect(resultsOf(findings)).toEqual({ ...FINE, cors: "failure" });
    expect(findings.get("cors")?.says).toContain("Two Access-Control-Allow-Origin");
    const answering = await through(
      `client_max_body_size 100m; location / { if ($request_method = OPTIONS) { return 405; } proxy_pass http://127.0.0.1:${port}; ${UPGRADE} }`,
    );
    expect(resultsOf(answering)).toEqual({ ...FINE, cors: "failure" });
  }, 20_000);

  test("a proxy that does not reach Roost, one that serves a page, and nobody at all", async () => {
    const unreached = await through("location / { proxy_pass http://127.0.0.1:1; }");
    expect(resultsOf(unreached)).toEqual({
      banner: "failure",
      certificate: "skipped",
      "plain-http": "warning",
    });
    expect(unreached.get("banner")?.says).toContain("does not reach Roost (502 from nginx");

    const page = await through(
      'location / { default_type text/html; return 200 "<h1>Welcome to nginx!</h1>"; }',
    );
    expect(page.get("banner")?.says).toContain("Something else than Roost answers");

    const elsewhere = await through("location / { return 302 https://login.example.org/; }");
    expect(elsewhere.get("banner")?.says).toContain("302 to https://login.example.org/");

    const nobody = await lookAt(`http://127.0.0.1:${freePort()}`);
    expect(nobody.get("banner")).toMatchObject({
      result: "failure",
      says: expect.stringContaining("Nothing answers"),
    });
  }, 20_000);

  test("a self-signed certificate: everything else is still looked at", async () => {
    const pem = (name: string) => join(import.meta.dir, "fixtures/tls", name);
    const tls = { cert: pem("first.crt"), key: pem("first.key") };
    const findings = await through(good(port), 1, tls);
    expect(resultsOf(findings)).toEqual({ ...FINE, certificate: "failure", "plain-http": "ok" });
    expect(findings.get("certificate")?.says).toContain("self-signed");
    expect(findings.get("certificate")?.proxy?.nginx).toContain("fullchain.pem");
  }, 20_000);
});

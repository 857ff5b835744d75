// The web app beside the API: what is a file, what is a page, what stays an API answer, and that nothing leaves the folder.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestServer, testServer } from "../../../test/support/server.ts";
import { createLog } from "../../observability/log.ts";
import { WebApp } from "./web-app.ts";

const INDEX = "<!doctype html><html><head><title>app</title></head><body>home</body></html>";
const INJECTED = `<!doctype html><html><head><script>window.__HAPPY_CONFIG__={"serverUrl":"http://127.0.0.1:1","note":"\\u003c/script>$&"};</script><title>app</title></head><body>home</body></html>`;
const NOT_FOUND = '{"error":"Not found"}';

let outside: string;
let folder: string;
let server: TestServer;
beforeAll(async () => {
  outside = mkdtempSync(join(tmpdir(), "roost-web-"));
  folder = join(outside, "app");
  mkdirSync(join(folder, "assets"), { recursive: true });
  mkdirSync(join(folder, "docs"));
  mkdirSync(join(folder, "dir.d"));
  mkdirSync(join(folder, ".well-known"));
  mkdirSync(join(folder, ".git"));
  writeFileSync(join(folder, "index.html"), INDEX);
  writeFileSync(join(folder, "assets", "main.js"), "export const answer = 42;\n");
  writeFileSync(join(folder, "assets", "my file.css"), "body{}");
  writeFileSync(join(folder, "v1"), "a file may even be called v1");
  writeFileSync(join(folder, "docs", "index.html"), "docs");
  writeFileSync(join(folder, ".well-known", "assetlinks.json"), "[]");
  writeFileSync(join(folder, ".env"), "SECRET=1");
  writeFileSync(join(folder, ".git", "config"), "SECRET=2");
  writeFileSync(join(outside, "secret.txt"), "SECRET=3");
  symlinkSync(join(outside, "secret.txt"), join(folder, "leak.txt"));
  symlinkSync(outside, join(folder, "leak"));
  symlinkSync(join(folder, "assets", "main.js"), join(folder, "alias.js"));
  utimesSync(join(folder, "assets", "main.js"), 1_700_000_000.5, 1_700_000_000.5);
  server = await testServer({
    // It has /socket.io/, and /health answers its pages too.
    hapiEnabled: false,
    happyStaticDir: folder,
    happyInjectHtmlConfig: '{"serverUrl":"http://127.0.0.1:1","note":"</script>$&"}',
  });
});
afterAll(async () => {
  await server.stop();
  rmSync(outside, { recursive: true, force: true });
});

async function get(path: string, init: RequestInit = {}) {
  const response = await fetch(`${server.url}${path}`, { redirect: "manual", ...init });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** The answer to a request target exactly as written: fetch would tidy it first. */
function raw(target: string): Promise<string> {
  const { hostname, port } = new URL(server.url);
  return new Promise((done, fail) => {
    let heard = "";
    const socket = connect(Number(port), hostname, () => {
      socket.write(`GET ${target} HTTP/1.1\r\nHost: roost\r\nConnection: close\r\n\r\n`);
    });
    socket.setTimeout(5_000, () => socket.destroy(new Error("no answer")));
    socket.on("data", (data) => {
      heard += data;
    });
    socket.on("close", () => done(heard));
    socket.on("error", fail);
  });
}

const PAGE = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };

describe("the root", () => {
  test.each([{ accept: "text/plain" }, { accept: "*/*" }])("is the banner for %p", async (headers) => {
    const answer = await get("/", { headers });
    expect([answer.status, answer.text]).toEqual([200, "Welcome to Happy Server!"]);
    expect(answer.headers.get("content-type")).toBe("text/plain; charset=utf-8");
  });

  test.each(["/", "/?source=qr", "/index.html"])("%s is the page with its configuration", async (path) => {
    const answer = await get(path, { headers: PAGE });
    expect([answer.status, answer.text]).toEqual([200, INJECTED]);
    expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(answer.headers.get("cache-control")).toBe("public, max-age=0");
    expect(answer.headers.get("etag")).toMatch(/^W\/".+"$/);
    expect(Date.parse(answer.headers.get("last-modified") ?? "")).toBeGreaterThan(0);
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    const again = await get(path, {
      headers: { ...PAGE, "if-none-match": answer.headers.get("etag") ?? "" },
    });
    expect([again.status, again.text]).toEqual([304, ""]);
  });

  test("HEAD has the page's headers and no body", async () => {
    const answer = await get("/", { method: "HEAD", headers: PAGE });
    expect([answer.status, answer.text]).toEqual([200, ""]);
    expect(answer.headers.get("content-length")).toBe(String(INJECTED.length));
  });
});

describe("files", () => {
  test("come with their type, their dates and their bytes", async () => {
    const answer = await get("/assets/main.js?v=1");
    expect([answer.status, answer.text]).toEqual([200, "export const answer = 42;\n"]);
    expect(answer.headers.get("content-type")).toStartWith("text/javascript");
    expect(answer.headers.get("cache-control")).toBe("public, max-age=0");
    expect(answer.headers.get("etag")).toBe('W/"1a-18bcfe569f4"');
    expect(answer.headers.get("last-modified")).toBe("Tue, 14 Nov 2023 22:13:20 GMT");
    expect(answer.headers.get("content-length")).toBe("26");
  });

  test.each([
    ["the tag", { "if-none-match": '"other", W/"1a-18bcfe569f4"' }, 304],
    ["any tag", { "if-none-match": "*" }, 304],
    [
      "another tag",
      { "if-none-match": '"other"', "if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT" },
      200,
    ],
    ["its date", { "if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT" }, 304],
    ["an older date", { "if-modified-since": "Tue, 14 Nov 2023 22:13:19 GMT" }, 200],
    ["no date at all", { "if-modified-since": "yesterday" }, 200],
  ])("asked again with %s", async (_name, headers, status) => {
    const answer = await get("/assets/main.js", { headers });
    expect(answer.status).toBe(status);
    expect(answer.text === "").toBe(status === 304);
  });

  test("a range is answered alone", async () => {
    const answer = await get("/assets/main.js", { headers: { range: "bytes=0-5" } });
    expect([answer.status, answer.text]).toEqual([206, "export"]);
  });

  test("HEAD has the length and no body", async () => {
    const answer = await get("/assets/main.js", { method: "HEAD" });
    expect([answer.status, answer.text, answer.headers.get("content-length")]).toEqual([200, "", "26"]);
  });

  test.each([
    ["/assets/my%20file.css", "body{}"],
    ["//assets///main.js", "export const answer = 42;\n"],
    ["/docs/", "docs"],
    ["/.well-known/assetlinks.json", "[]"],
    ["/alias.js", "export const answer = 42;\n"],
    ["/v1", "a file may even be called v1"],
  ])("%s is served", async (path, text) => {
    const answer = await get(path);
    expect([answer.status, answer.text]).toEqual([200, text]);
  });
});

describe("pages that only the web app knows", () => {
  test.each([
    "/terminal/connect",
    "/session/abc?x=1",
    "/session/abc?file=main.js",
    "/docs",
    "/vault",
    "/release-1.2/notes",
    "/ends-with-a-dot.",
    "/.well-known",
  ])("%s is index.html", async (path) => {
    const answer = await get(path);
    expect([answer.status, answer.text]).toEqual([200, INJECTED]);
    expect(answer.headers.get("content-type")).toBe("text/html");
  });

  test.each([
    "/v1/nope?x=1",
    "/v2/nope",
    "/v3/nope",
    "/v9/nope",
    "/socket.io/",
    "/metrics",
    "/health/nope",
    "/v1/updates",
    `/v1/kv/${"k".repeat(101)}`,
  ])("%s is an API path and stays a JSON 404", async (path) => {
    const answer = await get(path, { headers: PAGE });
    expect([path, answer.status, answer.text]).toEqual([path, 404, NOT_FOUND]);
    expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
  });

  test.each([
    "/assets/missing.js",
    "/missing.js?v=1",
    "/missing%2ejs",
    "/missing.js/",
    "/missing.js%2f",
    "/missing.JS",
    "/.well-known/missing.json",
    "/nope/index.html",
    "/main.5f3c.chunk.js.map",
    "/a..js",
    "//assets//missing.css",
    "/%F0%9F%98%80.png",
    "/i/Code_1-x/missing.js",
    "/leak.txt",
    "/leak/secret.txt",
    "/dir.d",
  ])("%s is a file that is not there, and no page, for GET and HEAD", async (path) => {
    for (const method of ["GET", "HEAD"]) {
      const answer = await get(path, { method, headers: PAGE });
      expect([method, answer.status, answer.text]).toEqual([method, 404, method === "GET" ? NOT_FOUND : ""]);
      expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
    }
  });

  test("/files/ belongs to the public files", async () => {
    const answer = await get("/files/public/nope.png", { headers: PAGE });
    expect([answer.status, answer.text.includes("__HAPPY_CONFIG__")]).toEqual([404, false]);
  });

  test("other methods than GET find nothing, HEAD neither", async () => {
    for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
      for (const path of ["/terminal/connect", "/assets/main.js"]) {
        const answer = await get(path, { method });
        expect([method, path, answer.status, answer.text]).toEqual([method, path, 404, NOT_FOUND]);
      }
    }
    expect((await get("/terminal/connect", { method: "HEAD" })).status).toBe(404);
  });

  test("the API itself goes on", async () => {
    expect((await get("/health")).status).toBe(200);
    expect((await get("/v1/sessions")).text).toBe('{"error":"Missing authorization header"}');
  });
});

describe("nothing leaves the folder", () => {
  test.each([
    "/.env",
    "/.git/config",
    "/assets/.hidden/x",
    "/%2e%2e/secret.txt",
    "/..%2fsecret.txt",
    "/assets/..%2f..%2fsecret.txt",
    "/..%5csecret.txt",
    "/leak.txt%00.js",
    "/../secret.txt",
    "/assets/../../secret.txt",
  ])("%s is not found", async (target) => {
    const answer = await raw(target);
    expect(answer).not.toContain("SECRET");
    // A tidy URL parser may have taken the dots away before: then it is a page like any other.
    expect(answer).toMatch(/^HTTP\/1\.1 (404|200) /);
    if (answer.startsWith("HTTP/1.1 404")) expect(answer).toContain(NOT_FOUND);
    else expect(answer).toContain("__HAPPY_CONFIG__");
  });

  test("what leads out by a symbolic link and has no extension is only a page", async () => {
    const answer = await get("/leak");
    expect([answer.status, answer.text]).toEqual([200, INJECTED]);
  });
});

describe("which server the page is told to use", () => {
  const OTHER = "https://elsewhere.example/x";
  let plain: TestServer;
  beforeAll(async () => {
    plain = await testServer({ happyStaticDir: folder });
  });
  afterAll(() => plain.stop());

  /** What `window.__HAPPY_CONFIG__` becomes in a browser that gets this page. */
  async function told(from: TestServer, path: string, headers: Record<string, string> = {}) {
    const answer = await fetch(`${from.url}${path}`, { headers: { ...PAGE, ...headers } });
    const html = await answer.text();
    const script = /<script>window\.__HAPPY_CONFIG__=(.*?);<\/script>/.exec(html)?.[1];
    expect([path, answer.status, html.split("<script>").length]).toEqual([path, 200, 2]);
    return JSON.parse(script ?? "null");
  }

  test.each(["/", "/index.html", "/terminal/connect"])(
    "at %s the one that the browser asked",
    async (path) => {
      expect(await told(plain, path)).toEqual({ serverUrl: plain.url });
      expect(await told(plain, path, { host: "home.example:8080" })).toEqual({
        serverUrl: "http://home.example:8080",
      });
      expect(await told(plain, `/i/Code_1-x${path}`)).toEqual({ serverUrl: `${plain.url}/i/Code_1-x` });
    },
  );

  test("behind a trusted proxy the address that it names", async () => {
    const forwarded = { "x-forwarded-proto": "https", "x-forwarded-host": "home.example" };
    expect(await told(plain, "/", forwarded)).toEqual({ serverUrl: "https://home.example" });
    expect(await told(plain, "/i/abc/x", forwarded)).toEqual({ serverUrl: "https://home.example/i/abc" });
    const distrusting = await testServer({ happyStaticDir: folder, trustedProxies: [] });
    expect(await told(distrusting, "/", forwarded)).toEqual({ serverUrl: distrusting.url });
    await distrusting.stop();
    const known = await testServer({ happyStaticDir: folder, publicUrl: "https://home.example" });
    expect(await told(known, "/", { host: "home.example" })).toEqual({ serverUrl: "https://home.example" });
    await known.stop();
  });

  test.each([
    "</script><script>alert(1)</script>",
    '"};alert(1);//',
    "a b",
    "user@evil.example",
    "evil.example/path",
    "\u00e9.example",
  ])("never what is no host: %s", async (host) => {
    // As bytes: fetch would refuse some of them.
    const { hostname, port } = new URL(plain.url);
    const text = await new Promise<string>((done, fail) => {
      let heard = "";
      const socket = connect(Number(port), hostname, () =>
        socket.write(
          `GET /x HTTP/1.1\r\nHost: roost\r\nX-Forwarded-Host: ${host}\r\nConnection: close\r\n\r\n`,
        ),
      );
      socket.on("data", (data) => {
        heard += data;
      });
      socket.on("close", () => done(heard));
      socket.on("error", fail);
    });
    if (!text.includes("__HAPPY_CONFIG__")) expect(text).toStartWith("HTTP/1.1 4");
    else expect(text).toContain('window.__HAPPY_CONFIG__={"serverUrl":"http://roost"};</script>');
  });

  test.each<[string, unknown]>([
    [
      JSON.stringify({ serverUrl: OTHER, disableAnalytics: true }),
      { serverUrl: OTHER, disableAnalytics: true },
    ],
    ['{"serverUrl":null}', { serverUrl: null }],
    ["5", 5],
    ["null", null],
    ["[1]", [1]],
  ])("the operator's word overrides: %s", async (injectHtmlConfig, expected) => {
    const set = await testServer({ happyStaticDir: folder, happyInjectHtmlConfig: injectHtmlConfig });
    expect(await told(set, "/i/abc/")).toEqual(expected);
    await set.stop();
  });

  test.each<[string, Record<string, unknown>]>([
    ['{"disableAnalytics":true}', { disableAnalytics: true }],
    ["{oops", {}],
    ["", {}],
  ])("where the operator says nothing about it, the browser's: %s", async (injectHtmlConfig, expected) => {
    const set = await testServer({ happyStaticDir: folder, happyInjectHtmlConfig: injectHtmlConfig });
    expect(await told(set, "/")).toEqual({ ...expected, serverUrl: set.url });
    await set.stop();
  });

  test("a page for one address is not taken for that of another", async () => {
    const first = await fetch(`${plain.url}/x`, { headers: PAGE });
    const etag = first.headers.get("etag") ?? "";
    const again = await fetch(`${plain.url}/x`, { headers: { ...PAGE, "if-none-match": etag } });
    expect(again.status).toBe(304);
    const headers = { ...PAGE, "if-none-match": etag, host: "other.example" };
    expect((await fetch(`${plain.url}/x`, { headers })).status).toBe(200);
  });
});

describe("finding the web app", () => {
  const log = createLog("silent");
  const NOTHING_SET = {
    happyStaticDir: undefined,
    happyInjectHtmlConfig: undefined,
    publicUrl: undefined,
    port: 3005,
  };
  const page = async (app: WebApp | undefined) =>
    app?.page(new Request("http://x/", { headers: { host: "x" } }), { trustedProxy: false, isSecure: false });

  test("the named folder comes first, a folder without index.html is passed over, none means no web app", () => {
    const open = (staticDir: string | undefined, otherwise: string[]) =>
      WebApp.open({ ...NOTHING_SET, happyStaticDir: staticDir }, log, otherwise)?.folder;
    const other = join(folder, "docs");
    expect(open(folder, [other])).toBe(folder);
    expect(open(join(folder, "assets"), [other])).toBe(other);
    expect(open(undefined, [outside, other])).toBe(other);
    expect(open(undefined, [outside])).toBeUndefined();
    expect(open(undefined, [])).toBeUndefined();
  });

  test("a configuration that is not JSON is left out, and a changed index.html is seen at once", async () => {
    const changing = join(outside, "changing");
    mkdirSync(changing);
    const write = (text: string) => writeFileSync(join(changing, "index.html"), text);
    write("<HEAD lang='de'>one</HEAD>");
    const at = async (injectHtmlConfig: string) => {
      const app = WebApp.open(
        { ...NOTHING_SET, happyStaticDir: changing, happyInjectHtmlConfig: injectHtmlConfig },
        log,
        [],
      );
      return { app, text: await (await page(app))?.text() };
    };
    const injected = (config: string) =>
      `<HEAD lang='de'><script>window.__HAPPY_CONFIG__=${config};</script>one</HEAD>`;
    expect((await at("{oops")).text).toBe(injected('{"serverUrl":"http://x"}'));
    const { app, text } = await at('{"serverUrl":"y"}');
    expect(text).toBe(injected('{"serverUrl":"y"}'));
    write("<header>longer</header>");
    expect(await (await page(app))?.text()).toBe("<header>longer</header>");
    rmSync(join(changing, "index.html"));
    expect((await page(app))?.status).toBe(404);
  });
});

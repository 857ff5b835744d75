// A folder served: its files and its page, for GET and HEAD, whole, in ranges, and not again; and nothing outside of it.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mayBeServed, namesFile, StaticSite, scriptOf, siteFolder } from "./static-site.ts";

const INDEX = "<!doctype html><html><HEAD lang='en'><title>app</title></HEAD></html>";
const SCRIPT = "export const answer = 42;\n";

let outside: string;
let folder: string;
let site: StaticSite;
beforeAll(() => {
  outside = mkdtempSync(join(tmpdir(), "roost-site-"));
  folder = join(outside, "app");
  // Its name begins like the served one.
  const sibling = join(outside, "app-private");
  for (const path of [join(folder, "docs"), join(folder, ".well-known"), join(folder, ".git"), sibling])
    mkdirSync(path, { recursive: true });
  writeFileSync(join(folder, "index.html"), INDEX);
  writeFileSync(join(folder, "main.js"), SCRIPT);
  utimesSync(join(folder, "main.js"), 1_700_000_000.5, 1_700_000_000.5);
  writeFileSync(join(folder, "docs", "index.html"), "docs");
  writeFileSync(join(folder, ".well-known", "links.json"), "[]");
  writeFileSync(join(folder, ".env"), "SECRET");
  writeFileSync(join(folder, ".git", "config"), "SECRET");
  writeFileSync(join(outside, "secret.txt"), "SECRET");
  writeFileSync(join(sibling, "secret.txt"), "SECRET");
  symlinkSync(join(folder, "main.js"), join(folder, "alias.js"));
  symlinkSync(join(outside, "secret.txt"), join(folder, "out.txt"));
  symlinkSync(outside, join(folder, "out"));
  symlinkSync(join(sibling, "secret.txt"), join(folder, "sibling.txt"));
  symlinkSync(sibling, join(folder, "sibling"));
  symlinkSync("loop", join(folder, "loop"));
  site = new StaticSite(folder);
});
afterAll(() => rmSync(outside, { recursive: true, force: true }));

const request = (headers: Record<string, string> = {}, method = "GET") =>
  new Request("http://roost/", { method, headers });
const file = (path: string, headers?: Record<string, string>, method?: string) =>
  site.file(request(headers, method), path);

test("a compressed copy goes to whoever takes it, as a thing of its own for caches, and is no file itself", async () => {
  const zipped = join(folder, ".zipped");
  mkdirSync(join(zipped, "docs"), { recursive: true });
  writeFileSync(join(zipped, "main.js"), "not really gzip");
  writeFileSync(join(zipped, "alone.js"), "of no file");
  symlinkSync(join(outside, "secret.txt"), join(zipped, "docs", "index.html"));
  const own = new StaticSite(folder, undefined, ".zipped");
  const ask = (path: string, accepted: string, more: Record<string, string> = {}, method = "GET") =>
    own.file(request({ "accept-encoding": accepted, ...more }, method), path);
  const [plain, compressed] = [await ask("/main.js", "br"), await ask("/main.js", "br, gzip")];
  expect([await plain?.text(), await compressed?.text()]).toEqual([SCRIPT, "not really gzip"]);
  expect(compressed?.headers.get("content-encoding")).toBe("gzip");
  expect(compressed?.headers.get("content-type")).toBe("text/javascript;charset=utf-8");
  expect([plain, compressed].map((answer) => answer?.headers.get("vary"))).toEqual([
    "accept-encoding",
    "accept-encoding",
  ]);
  const etag = compressed?.headers.get("etag") ?? "";
  expect(etag).not.toBe(plain?.headers.get("etag") ?? "");
  expect((await ask("/main.js", "gzip", { "if-none-match": etag }))?.status).toBe(304);
  expect((await ask("/main.js", "", { "if-none-match": etag }))?.status).toBe(200);
  expect((await ask("/main.js", "gzip", {}, "HEAD"))?.headers.get("content-length")).toBe("15");
  expect(await ask("/alone.js", "gzip")).toBeUndefined();
  expect(await ask("/.zipped/main.js", "gzip")).toBeUndefined();
  expect(await (await ask("/docs/", "gzip"))?.text()).toBe("docs");
  rmSync(zipped, { recursive: true });
});

describe("files", () => {
  test("come with type, dates and bytes; HEAD with their length", async () => {
    const answer = await file("/main.js");
    expect(await answer?.text()).toBe(SCRIPT);
    expect(Object.fromEntries(answer?.headers ?? [])).toEqual({
      "content-type": "text/javascript;charset=utf-8",
      "cache-control": "public, max-age=0",
      "accept-ranges": "bytes",
      etag: 'W/"1a-18bcfe569f4"',
      "last-modified": "Tue, 14 Nov 2023 22:13:20 GMT",
    });
    const head = await file("/main.js", {}, "HEAD");
    expect([head?.headers.get("content-length"), await head?.text()]).toEqual(["26", ""]);
  });

  test.each([
    ["/docs/", "docs"],
    ["/.well-known/links.json", "[]"],
    ["/alias.js", SCRIPT],
  ])("%s is one", async (path, text) => {
    expect(await (await file(path))?.text()).toBe(text);
  });

  test.each([
    [{ "if-none-match": '"other", W/"1a-18bcfe569f4"' }, 304],
    [{ "if-none-match": '"1a-18bcfe569f4"' }, 304],
    [{ "if-none-match": "*" }, 304],
    [{ "if-none-match": '"other"', "if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT" }, 200],
    [{ "if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT" }, 304],
    [{ "if-modified-since": "Tue, 14 Nov 2023 22:13:19 GMT" }, 200],
    [{ "if-modified-since": "yesterday" }, 200],
  ])("asked again with %p: %d", async (headers, status) => {
    expect((await file("/main.js", headers as Record<string, string>))?.status).toBe(status);
  });

  test("how long they are kept is the owner's word", async () => {
    const own = new StaticSite(folder, (path) => (path.endsWith(".js") ? "immutable" : "no-cache"));
    expect((await own.file(request(), "/main.js"))?.headers.get("cache-control")).toBe("immutable");
    expect((await own.page(request()))?.headers.get("cache-control")).toBe("no-cache");
  });
});

describe("nothing leaves the folder", () => {
  test.each([
    "/.env",
    "/.git/config",
    "/../secret.txt",
    "/docs/../../secret.txt",
    "/..\\secret.txt",
    "/main.js\0.txt",
    "/out.txt",
    "/out/secret.txt",
    "/sibling.txt",
    "/sibling/secret.txt",
    "/loop",
    "/docs",
    "/missing.js",
    "/main.js/x",
    `/${"x".repeat(5_000)}`,
  ])("%j is nothing", async (path) => {
    expect(await file(path)).toBeUndefined();
  });

  test.each(["/.env", "/a/../b", "/a\\b", "/a\0b"])("%j is not even a page", (path) => {
    expect(mayBeServed(path)).toBe(false);
  });

  test("a folder that is a symbolic link itself is served", async () => {
    symlinkSync(folder, join(outside, "linked"));
    const linked = new StaticSite(join(outside, "linked"));
    expect(await (await linked.file(request(), "/main.js"))?.text()).toBe(SCRIPT);
    expect(await linked.file(request(), "/sibling.txt")).toBeUndefined();
  });
});

describe("the page", () => {
  test("has what is put in behind its head, and a tag of both", async () => {
    const answer = await site.page(request(), { injected: "<b>x</b>", vary: "accept" });
    const html = INDEX.replace("<HEAD lang='en'>", "<HEAD lang='en'><b>x</b>");
    expect(await answer?.text()).toBe(html);
    const etag = answer?.headers.get("etag") ?? "";
    const again = await site.page(request({ "if-none-match": etag }), {
      injected: "<b>x</b>",
      vary: "accept",
    });
    expect([again?.status, again?.headers.get("vary")]).toEqual([304, "accept"]);
    expect((await site.page(request({ "if-none-match": etag }), { injected: "<b>y</b>" }))?.status).toBe(200);
    const head = await site.page(request({}, "HEAD"), { injected: "<b>x</b>" });
    expect([head?.headers.get("content-length"), await head?.text()]).toEqual([String(html.length), ""]);
  });

  test("is read again when it has changed, and none when it is gone", async () => {
    const changing = join(outside, "changing");
    mkdirSync(changing);
    const write = (text: string) => writeFileSync(join(changing, "index.html"), text);
    const own = new StaticSite(changing);
    write("<head>one</head>");
    expect(await (await own.page(request(), { injected: "!" }))?.text()).toBe("<head>!one</head>");
    write("<header>without a head</header>");
    expect(await (await own.page(request(), { injected: "!" }))?.text()).toBe(
      "<header>without a head</header>",
    );
    rmSync(join(changing, "index.html"));
    expect(await own.page(request())).toBeUndefined();
  });

  test.each([
    ["/", true],
    ["/index.html", true],
    ["/docs/", false],
    ["/docs/index.html", false],
    ["/.env", false],
  ])("%s is it: %p", (path, isPage) => {
    expect(site.isPage(path)).toBe(isPage);
  });

  test("a value in a script can neither end it nor be read otherwise", () => {
    const value = { a: "</script><!--", b: "\u2028\u2029" };
    const script = scriptOf("__CONFIG__", value);
    expect(script.split("<")).toHaveLength(3);
    expect(script).not.toMatch(/[\u2028\u2029]/);
    const text = /=(.*);<\/script>$/.exec(script)?.[1] ?? "";
    expect(JSON.parse(text)).toEqual(value);
  });
});

test("the first folder that has a page is served", () => {
  expect(siteFolder([join(folder, ".git"), join(folder, "docs"), folder])).toBe(join(folder, "docs"));
  expect(siteFolder([outside])).toBeUndefined();
});

test.each([
  ["/a.js", true],
  ["/a.js/", true],
  ["/a.b/c", false],
  ["/a.", false],
  ["/.well-known", false],
])("%s names a file: %p", (path, names) => {
  expect(namesFile(path)).toBe(names);
});

// HAPI's web app in whole servers: served at once beside everything else, at the root or at a port of its own, and a page that says how to
// get it while it is not there. Where it is got from is in hapi-web-sources.test.ts.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./support/free-port.ts";
import { smallApp } from "./support/hapi-app.ts";
import { hapiWeb } from "./support/hapi-web.ts";
import { runRoost } from "./support/process.ts";
import { type TestServer, testServer } from "./support/server.ts";

// Every command is a process of its own.
setDefaultTimeout(60_000);

const { place, hub, folder, web, server, page } = hapiWeb();
const ask = async (url: string, headers: Record<string, string> = {}, method = "GET") => {
  const answer = await fetch(url, { headers, method, redirect: "manual" });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
};
const HTML = { accept: "text/html,*/*;q=0.8" };

describe("installed", () => {
  let roost: TestServer;
  let url: string;
  beforeAll(async () => {
    const dataDir = folder();
    roost = await server({ dataDir });
    url = roost.url;
  });
  afterAll(() => roost.stop());

  test("a running server serves it at once, another one at once, and none any more", async () => {
    expect((await ask(`${url}/sessions`)).text).toContain("roost hapi web install");
    const got = await web(roost.dataDir, "install", "--from", hub.url);
    expect([got.code, got.stderr]).toEqual([0, ""]);
    expect(got.stdout).toContain(`is installed: from ${hub.url}`);
    expect(got.stdout).toContain("AGPL-3.0-only");
    expect((await ask(url, HTML)).text).toBe(page());
    expect((await web(roost.dataDir, "status")).stdout).toContain(`from ${hub.url}`);

    hub.app = smallApp("two");
    expect((await web(roost.dataDir, "update")).stdout).toContain("is installed");
    expect((await ask(url, HTML)).text).toBe(page());
    // A tab with the one before goes on.
    expect((await ask(`${url}/assets/main-one.js`)).text).toContain("lazy");
    expect((await web(roost.dataDir, "update")).stdout).toContain("already the same");

    expect((await web(roost.dataDir, "remove")).stdout).toBe("HAPI's web app is removed.\n");
    expect((await ask(`${url}/sessions`)).text).toContain("roost hapi web install");
    expect((await web(roost.dataDir, "update")).stderr).toContain("not installed");
    expect((await web(roost.dataDir, "status")).stdout).toContain("not installed");
  });

  test("an install that fails leaves what is served", async () => {
    await web(roost.dataDir, "install", "--from", hub.url);
    hub.app = smallApp("two");
    hub.bend = (path) => (path === "/favicon.ico" ? new Response("other") : undefined);
    const failed = await web(roost.dataDir, "install", "--from", hub.url);
    expect([failed.code, failed.stdout]).toEqual([1, ""]);
    expect(failed.stderr).toStartWith("roost: favicon.ico of");
    expect((await ask(url, HTML)).text).toBe(smallApp().get("index.html") as string);
    expect(readdirSync(join(roost.dataDir, "hapi-web")).filter((name) => name.startsWith(".inc"))).toEqual(
      [],
    );
  });

  test("who is answered with what", async () => {
    await web(roost.dataDir, "install", "--from", hub.url);
    const paths: [string, Record<string, string>, "page" | "script" | "not"][] = [
      ["/sessions", {}, "page"],
      ["/sessions/abc/terminal?token=x", {}, "page"],
      ["/settings", {}, "page"],
      ["/assets/gone.js", {}, "page"],
      ["/index.html", {}, "page"],
      ["/404.html", {}, "page"],
      ["/whatever", HTML, "page"],
      ["/assets/main-one.js", {}, "script"],
      ["/whatever", {}, "not"],
      ["/sessionsfoo", {}, "not"],
      ["/source.json", {}, "not"],
      ["//%2fsource.json", {}, "not"],
      ["/SOURCE.json", {}, "not"],
      ["/.gzip/index.html", {}, "not"],
      ["/current.json", {}, "not"],
      ["/..%2fcurrent.json", {}, "not"],
      ["/assets/..%2f..%2f..%2fhapi%2fsettings.json", {}, "page"],
      ["/x/..%2f..%2f..%2fhapi%2fsettings.json", {}, "not"],
      ["/%2e%2e/%2e%2e/hapi/settings.json", HTML, "page"],
      ["/%ff", HTML, "not"],
      ...["/v9x", "/ready/x", "/metrics/x", "/ws", "/admin", "/doctor", "/roost/x", "/.well-known/x"].map(
        (path): [string, Record<string, string>, "page" | "not"] => [
          path,
          HTML,
          path === "/v9x" ? "page" : "not",
        ],
      ),
      ["/v3/nothing", HTML, "not"],
      ["/files/nothing", HTML, "not"],
      ["/apifoo", HTML, "not"],
    ];
    for (const [path, headers, what] of paths) {
      const { status, text } = await ask(url + path, headers);
      const got = text === page() ? "page" : text.includes("lazy-4444") ? "script" : "not";
      expect([path, got, status === 200]).toEqual([path, what, what !== "not"]);
    }
    // Programs, and Happy's app, find what they look for at the root.
    expect((await ask(url)).text).toBe("Welcome to Happy Server!");
    expect((await ask(`${url}/sessions`, HTML, "POST")).status).toBe(404);
    expect((await ask(`${url}/sessions`, {}, "HEAD")).text).toBe("");
    expect((await ask(`${url}/api/sessions`, HTML)).status).toBe(401);
    expect((await ask(`${url}/start`)).text).toContain("Open HAPI");
    const { cliApiToken } = JSON.parse(readFileSync(join(roost.dataDir, "hapi", "settings.json"), "utf8"));
    const known = { authorization: `Bearer ${cliApiToken}` };
    expect((await ask(`${url}/cli/nothing`, known)).text).toBe(page());
    expect((await ask(`${url}/cli/nothing`, known, "POST")).status).toBe(404);
    expect((await ask(`${url}/cli/nothing`)).status).toBe(401);
  });

  test("headers, compressed once, and not again what has not changed", async () => {
    await web(roost.dataDir, "install", "--from", hub.url);
    const plain = { "accept-encoding": "identity" };
    const asset = await ask(`${url}/assets/main-one.js`, plain);
    expect(asset.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(asset.headers.get("content-type")?.replace(" ", "")).toBe("text/javascript;charset=utf-8");
    expect(asset.headers.get("vary")).toBe("accept-encoding");
    // Not for a year what is only a stand-in.
    const missing = await ask(`${url}/assets/gone.js`, plain);
    expect(missing.headers.get("cache-control")).toBe("no-cache");
    expect(missing.headers.get("content-type")).toStartWith("text/html");
    const manifest = await ask(`${url}/manifest.webmanifest`, plain);
    expect(manifest.headers.get("content-type")).toStartWith("application/manifest+json");
    const etag = manifest.headers.get("etag") ?? "";
    const again = await ask(`${url}/manifest.webmanifest`, { ...plain, "if-none-match": etag });
    expect([again.status, again.text, again.headers.get("etag")]).toEqual([304, "", etag]);
    const root = await ask(url, HTML);
    expect(root.headers.get("vary")).toContain("accept");
    expect((await ask(url, { ...HTML, "if-none-match": root.headers.get("etag") ?? "" })).status).toBe(304);
    const worker = await ask(`${url}/sw.js`, plain);
    expect(
      ["cache-control", "cdn-cache-control", "cloudflare-cdn-cache-control"].map((name) =>
        worker.headers.get(name),
      ),
    ).toEqual(["no-store, no-cache, must-revalidate", "no-store", "no-store"]);

    const raw = async (path: string, accepted: string) => {
      const answer = await fetch(url + path, { headers: { "accept-encoding": accepted }, decompress: false });
      return { headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) };
    };
    const zipped = await raw("/assets/main-one.js", "gzip, br");
    expect(zipped.headers.get("content-encoding")).toBe("gzip");
    expect(zipped.headers.get("content-type")).toBe(asset.headers.get("content-type"));
    expect(zipped.headers.get("etag")).not.toBe(asset.headers.get("etag"));
    expect(zipped.bytes.length).toBeLessThan(asset.text.length / 2);
    expect(Buffer.from(Bun.gunzipSync(zipped.bytes)).toString()).toBe(asset.text);
    expect((await raw("/assets/main-one.js", "gzip;q=0")).headers.has("content-encoding")).toBe(false);
    expect((await raw("/assets/picture-3333.png", "gzip")).headers.has("content-encoding")).toBe(false);
  });

  test("no link leads out of it, and no other words are taken", async () => {
    await web(roost.dataDir, "install", "--from", hub.url);
    const { current } = JSON.parse(readFileSync(join(roost.dataDir, "hapi-web", "current.json"), "utf8"));
    symlinkSync(
      join(roost.dataDir, "hapi", "settings.json"),
      join(roost.dataDir, "hapi-web", current, "link.txt"),
    );
    expect((await ask(`${url}/link.txt`)).status).toBe(404);
    for (const words of [
      ["install", "--from", hub.url, "--download"],
      ["install", "--from"],
      ["install", "--registry", hub.url],
      ["status", "--from", hub.url],
      ["install", "now"],
      ["else"],
    ])
      expect([words, (await web(roost.dataDir, ...words)).code]).toEqual([words, 2]);
    expect((await runRoost(["hapi", "else"], { cwd: place })).code).toBe(2);
  });
});

test("at the hub's own port everybody gets the page, as from the original: programs that look whether it is there too", async () => {
  const [dataDir, hapiPort] = [folder(), freePort()];
  await web(dataDir, "install", "--from", hub.url);
  const roost = await server({ dataDir, hapiPort });
  const own = `http://127.0.0.1:${hapiPort}`;
  try {
    for (const path of ["/", "/?token=x", "/whatever", "/share", "/Sessions"])
      for (const headers of [{}, HTML, { accept: "application/json" }])
        expect([path, (await ask(own + path, headers)).text]).toEqual([path, page()]);
    const { status, headers, text } = await ask(own, {}, "HEAD");
    expect([status, text]).toEqual([200, ""]);
    expect(`${headers.get("vary")}`).not.toMatch(/accept(?!-encoding)/);
    for (const [method, path] of [
      ["POST", "/"],
      ["OPTIONS", "/"],
      ["GET", "/apifoo"],
    ] as const)
      expect([path, (await ask(own + path, {}, method)).text]).toEqual([path, "404 Not Found"]);
    expect((await ask(`${own}/metrics`, HTML)).text).not.toBe(page());
  } finally {
    await roost.stop();
  }
});

describe("not installed", () => {
  test("a page of the house says how to get it, without a script, and quotes whatever the request says", async () => {
    const roost = await server({ dataDir: folder() });
    try {
      for (const [path, headers] of [
        ["/start", {}],
        ["/", HTML],
        ["/sessions", {}],
        ["/sessions/new", {}],
        ["/settings", {}],
        ["/assets/x.js", {}],
      ] as const) {
        const { status, text, headers: got } = await ask(roost.url + path, headers);
        expect([path, status, got.get("content-type")]).toEqual([path, 200, "text/html; charset=utf-8"]);
        expect(text).toContain("roost hapi web install");
        expect(text).toContain(`?hub=${roost.url}`);
        expect(text).not.toContain("<script");
      }
      expect((await ask(roost.url)).text).toBe("Welcome to Happy Server!");
      expect((await ask(`${roost.url}/other`, HTML)).status).toBe(404);
      const odd = await ask(`${roost.url}/start`, { host: 'x"><script>' });
      expect(odd.text).not.toContain("<script");
    } finally {
      await roost.stop();
    }
  });

  test("without HAPI there is no such page", async () => {
    const roost = await testServer({ dataDir: folder(), hapiEnabled: false });
    try {
      expect((await ask(`${roost.url}/start`, HTML)).status).toBe(404);
      expect((await ask(`${roost.url}/`, HTML)).text).toBe("Welcome to Happy Server!");
    } finally {
      await roost.stop();
    }
  });
});

describe("beside another web app at the root", () => {
  const other = join(place, "other");
  beforeAll(() => {
    mkdirSync(other);
    writeFileSync(join(other, "index.html"), "<head></head>the other app");
  });

  test("its install is refused, and a start is not; with a port of its own it is served there", async () => {
    // A folder for each server: one that has just stopped here may not have let go of its database.
    const [dataDir, second, third] = [folder(), folder(), folder()] as const;
    const hapiWebPort = freePort();
    const words = ["install", "--from", hub.url, "--happy-static-dir", other];
    const refused = await web(dataDir, ...words);
    expect([refused.code, refused.stdout]).toEqual([1, ""]);
    expect(refused.stderr).toContain("--hapi-web-port");
    // Nothing was asked for that would not be used.
    expect((await web(dataDir, "status")).stdout).toContain("not installed");
    // Installed before the other one came.
    await web(dataDir, "install", "--from", hub.url);
    expect((await web(dataDir, "status", "--happy-static-dir", other)).stdout).toContain("It is not served");
    const hidden = await server({ dataDir, happyStaticDir: other });
    for (const path of ["/", "/sessions", "/sessions/x"])
      expect((await ask(hidden.url + path, HTML)).text).toContain("the other app");
    expect((await ask(`${hidden.url}/sw.js`)).status).toBe(404);
    expect((await ask(`${hidden.url}/start`)).text).toContain("--hapi-web-port");
    await hidden.stop();

    for (const one of [second, third])
      expect((await web(one, ...words, "--hapi-web-port", `${hapiWebPort}`)).code).toBe(0);
    const roost = await server({ dataDir: second, happyStaticDir: other, hapiWebPort });
    try {
      expect((await ask(roost.url, HTML)).text).toContain("the other app");
      expect((await ask(`${roost.url}/start`)).text).toContain(`${hapiWebPort}`);
      const own = `http://127.0.0.1:${hapiWebPort}`;
      const sent = await ask(own, HTML);
      expect([sent.status, sent.headers.get("location")]).toEqual([
        302,
        `/?hub=${encodeURIComponent(roost.url)}`,
      ]);
      expect((await ask(`${own}${sent.headers.get("location")}`, HTML)).text).toBe(page());
      expect((await ask(`${own}/sessions`)).text).toBe(page());
      // The page of that origin may use the hub, and another may not.
      const cors = async (origin: string) =>
        (await ask(`${roost.url}/api/sessions`, { origin })).headers.get("access-control-allow-origin");
      expect([await cors(own), await cors("http://127.0.0.1:1")]).toEqual([own, null]);
    } finally {
      await roost.stop();
    }
    const named = await server({
      dataDir: third,
      happyStaticDir: other,
      hapiWebPort,
      hapiPublicUrl: "https://hapi.example",
    });
    try {
      const sent = await ask(`http://127.0.0.1:${hapiWebPort}/`);
      expect(sent.headers.get("location")).toBe("/?hub=https%3A%2F%2Fhapi.example");
    } finally {
      await named.stop();
    }
  });
});

test("a folder that is named is served instead, and then nothing is installed", async () => {
  const named = join(place, "named");
  mkdirSync(join(named, "assets"), { recursive: true });
  for (const [name, content] of smallApp("named")) writeFileSync(join(named, name), content);
  const dataDir = folder();
  const roost = await server({ dataDir, hapiWebDir: named });
  try {
    expect((await ask(roost.url, HTML)).text).toContain("<title>named");
    expect((await ask(`${roost.url}/assets/main-named.js`)).text).toContain("lazy");
  } finally {
    await roost.stop();
  }
  const refused = await web(dataDir, "install", "--from", hub.url, "--hapi-web-dir", named);
  expect(refused.stderr).toContain("--hapi-web-dir");
  expect(server({ dataDir, hapiWebDir: dataDir })).rejects.toThrow("--hapi-web-dir");
});

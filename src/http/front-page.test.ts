// The front page of several protocols: who answers `/`, what /health says of all, and what becomes of paths that nobody claims.
import { describe, expect, test } from "bun:test";
import { createLog } from "../observability/log.ts";
import type { RequestFacts } from "../server/request-facts.ts";
import { FrontPage, type FrontPageShare, type HealthShare } from "./front-page.ts";

const lines: string[] = [];
const log = createLog("error", { write: (line: string) => lines.push(line) });

const pageOf = (...shares: FrontPageShare[]) =>
  new FrontPage(
    shares.map((share, index) => ({ protocol: `p${index}`, share })),
    log,
  );

async function ask(page: FrontPage, path: string, method = "GET", accept = "*/*") {
  const facts = { route: undefined } as RequestFacts;
  const answer = await page.answer(new Request(`http://x${path}`, { method, headers: { accept } }), facts);
  return { status: answer.status, text: await answer.text(), headers: answer.headers, route: facts.route };
}

const app: FrontPageShare = {
  root: ({ headers, method }) =>
    method === "GET" && headers.get("accept")?.includes("text/html") ? new Response("the app") : undefined,
  unclaimed: async ({ url, method }) =>
    method === "GET" && url.endsWith(".js") ? new Response("a script") : undefined,
  otherwise: () => new Response("the app's nothing", { status: 404 }),
};
const plain: FrontPageShare = {
  otherwise: ({ method, url }) => new Response(`${method} ${new URL(url).pathname}`, { status: 299 }),
};

describe("pages", () => {
  test.each([
    ["/", "GET", "text/html", "the app"],
    ["//", "GET", "text/html", "the app"],
    ["/", "GET", "*/*", "GET /"],
    ["/", "POST", "text/html", "POST /"],
    ["/", "OPTIONS", "text/html", "OPTIONS /"],
    ["/main.js", "GET", "*/*", "a script"],
    ["/main.js", "PUT", "*/*", "PUT /main.js"],
    ["/other", "GET", "text/html", "GET /other"],
  ])("%s %s accepting %s: %s", async (path, method, accept, text) => {
    // The default protocol is the first that has an answer to everything, and is asked last.
    const page = pageOf({}, plain, app);
    expect((await ask(page, path, method, accept)).text).toBe(text);
  });

  test("the first contribution that takes a request answers it", async () => {
    const first: FrontPageShare = { root: () => new Response("first"), unclaimed: () => undefined };
    expect((await ask(pageOf(first, app), "/", "GET", "text/html")).text).toBe("first");
    expect((await ask(pageOf(app, first), "/", "GET", "text/html")).text).toBe("the app");
    expect((await ask(pageOf(first, app), "/main.js")).text).toBe("a script");
  });

  test("without a default protocol unknown paths are a plain 404", async () => {
    for (const page of [pageOf(), pageOf({ unclaimed: () => undefined })]) {
      const { status, text, headers } = await ask(page, "/x");
      expect([status, text]).toEqual([404, '{"error":"Not found"}']);
      expect(headers.get("access-control-allow-origin")).toBe("*");
    }
  });
});

describe("health", () => {
  const of = (share: HealthShare | (() => Promise<HealthShare>)): FrontPageShare => ({
    health: typeof share === "function" ? share : () => share,
  });

  test("of all in one object; a field that several have is the first one's, and none replaces our own", async () => {
    const page = pageOf(
      of({ fields: { service: "s", a: 1 } }),
      {},
      of(async () => ({ fields: { a: 2, b: { c: true }, status: "x", timestamp: 5 } })),
    );
    const { status, text, headers, route } = await ask(page, "/health");
    const { timestamp, ...rest } = JSON.parse(text);
    expect([status, rest]).toEqual([200, { status: "ok", service: "s", a: 1, b: { c: true } }]);
    expect(new Date(timestamp).toISOString()).toBe(timestamp);
    expect(Object.keys(JSON.parse(text))).toEqual(["status", "timestamp", "service", "a", "b"]);
    expect([route, headers.get("content-type")]).toEqual(["/health", "application/json; charset=utf-8"]);
  });

  test("one that cannot do its work makes the whole fail, and the others still say theirs", async () => {
    const page = pageOf(of({ fields: { a: 1 } }), of({ fields: { b: 2 }, problem: "no database" }));
    const { status, text } = await ask(page, "/health");
    expect([status, JSON.parse(text)]).toEqual([
      503,
      { status: "error", timestamp: expect.any(String), a: 1, b: 2, error: "no database" },
    ]);
    expect(text).toEndWith('"error":"no database"}');
  });

  test("one that throws is a failure too, and its error stays in the log", async () => {
    const page = pageOf(of({ fields: { a: 1 } }), {
      health: () => {
        throw new Error("secret");
      },
    });
    const { status, text } = await ask(page, "/health");
    expect([status, JSON.parse(text).error, JSON.parse(text).a]).toEqual([503, "p1 does not answer", 1]);
    expect(lines.some((line) => line.includes("secret"))).toBe(true);
  });

  test("HEAD says what GET says, without a body; other methods are the default protocol's", async () => {
    const page = pageOf(of({ fields: { service: "s" } }), plain);
    const [get, head] = [await ask(page, "/health"), await ask(page, "/health", "HEAD")];
    expect([head.status, head.text]).toEqual([200, ""]);
    expect(Object.fromEntries(head.headers)).toEqual(Object.fromEntries(get.headers));
    expect(head.headers.get("content-length")).toBe(String(get.text.length));
    expect((await ask(page, "/health", "POST")).text).toBe("POST /health");
    expect((await ask(page, "/health/x")).text).toBe("GET /health/x");
  });
});

describe("the page of the house", () => {
  const said: FrontPageShare = {
    section: (request) => ({
      title: "Inn & <b>",
      paragraphs: [
        ["Say ", { code: `roost "${request.headers.get("host")}"` }, " or ", { text: "look", href: '/a"b' }],
      ],
    }),
    standsInAt: (path) => path.startsWith("/rooms"),
  };

  test.each([
    ["/start", "GET", "*/*", true],
    ["/start", "HEAD", "*/*", true],
    ["/", "GET", "text/html", true],
    ["/rooms/7", "GET", "*/*", true],
    ["/", "GET", "*/*", false],
    ["/start", "POST", "text/html", false],
    ["/rooms/7", "DELETE", "text/html", false],
    ["/other", "GET", "text/html", false],
  ])("at %s for %s accepting %s: %p", async (path, method, accept, isShown) => {
    const { status, headers, route } = await ask(pageOf(plain, said), path, method, accept);
    const isPage = headers.get("content-type")?.startsWith("text/html") === true;
    expect([status, isPage, route]).toEqual(isShown ? [200, true, "/start"] : [299, false, undefined]);
  });

  test("whoever has the address comes first, but for /start", async () => {
    const has: FrontPageShare = { root: () => new Response("root"), unclaimed: () => new Response("room") };
    const page = pageOf(said, has, plain);
    expect((await ask(page, "/", "GET", "text/html")).text).toBe("root");
    expect((await ask(page, "/rooms/7")).text).toBe("room");
    expect((await ask(page, "/start")).text).toContain("Inn");
  });

  test("is not there when nobody has anything to say", async () => {
    const page = pageOf(plain, { section: () => undefined, standsInAt: () => true });
    expect((await ask(page, "/start")).text).toBe("GET /start");
    expect((await ask(page, "/", "GET", "text/html")).text).toBe("GET /");
  });

  test("whatever a request brings is text, and nothing is run or loaded", async () => {
    const request = new Request("http://x/start", { headers: { host: "<script>" } });
    const answer = await pageOf(said).answer(request, {} as RequestFacts);
    const text = await answer.text();
    expect(text).toContain("<h2>Inn &amp; &lt;b&gt;</h2>");
    expect(text).toContain("roost &quot;&lt;script&gt;&quot;");
    expect(text).toContain('<a href="/a&quot;b"');
    expect(answer.headers.get("content-security-policy")).toStartWith(
      "default-src 'none'; style-src 'sha256-",
    );
    expect(answer.headers.get("content-length")).toBe(`${Buffer.byteLength(text)}`);
  });
});

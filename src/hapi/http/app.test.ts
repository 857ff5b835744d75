// What stands before every route of the hub: the order of the checks, their literals, CORS, gzip, the shapes of errors, and logins.
import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { Hono } from "hono";
import { SignJWT } from "jose";
import { parseConfig } from "../../../test/support/config.ts";
import { testLimits } from "../../../test/support/limits.ts";
import { requestFacts } from "../../../test/support/request-facts.ts";
import { createLog } from "../../observability/log.ts";
import { StorageError } from "../../storage/errors.ts";
import { AccessToken } from "../auth/access-token.ts";
import { WebTokens } from "../auth/web-tokens.ts";
import { WrongTokens } from "../auth/wrong-tokens.ts";
import type { HapiContext } from "../context.ts";
import type { Binding } from "../store/rows.ts";
import { hapiApp } from "./app.ts";
import { bodyOf } from "./kit/body.ts";
import type { ApiEnv, CliEnv } from "./kit/env.ts";

const TOKEN = "kX9_long_and_of_chance";
const KEY = new Uint8Array(32).fill(7);
const OWNER = 4711;
const PAGE = "https://app.example";
const BOT = "123:invented";

interface Made {
  readonly telegram?: boolean;
  readonly every?: boolean;
}

function make({ telegram = false, every = false }: Made = {}) {
  const limits = testLimits();
  const bindings = new Map<string, Binding>();
  const context = {
    ...limits,
    config: parseConfig({}),
    home: { ownerId: OWNER },
    access: new AccessToken(TOKEN),
    webTokens: new WebTokens(KEY),
    wrongTokens: new WrongTokens({ ...limits, isOn: () => true }),
    inEffect: { telegramBotToken: telegram ? BOT : undefined },
    store: {
      findBinding: async (_: string, id: string) => bindings.get(id),
      bindUser: async (binding: Omit<Binding, "createdAt">) => {
        const known = bindings.get(binding.platformUserId);
        if (known !== undefined && known.namespace !== binding.namespace) return "already-bound";
        bindings.set(binding.platformUserId, { ...binding, createdAt: 0 });
        return "bound";
      },
    },
    log: createLog("silent"),
  } as unknown as HapiContext;
  const api = new Hono<ApiEnv>()
    .get("/api/who", (c) => c.json(c.var.claims))
    .post("/api/echo", async (c) => Response.json({ got: await bodyOf(c) }))
    .post("/api/echo/upload", async (c) => Response.json({ got: await bodyOf(c) }))
    .get("/api/broken", () => {
      throw new Error("of no interest to strangers");
    })
    .get("/api/full", () => {
      throw new StorageError("quota", "The server's storage is full.");
    })
    .get("/api/pieces", (c) => {
      c.set("isStream", true);
      return c.body(new Blob(['{"long":', "1}"]).stream(), 200, { "content-type": "application/json" });
    });
  const cli = new Hono<CliEnv>().get("/cli/who", (c) => c.json(c.var.claims));
  const app = hapiApp(
    context,
    { every, allows: (origin) => origin === PAGE },
    {
      api: (app) => app.route("/", api),
      cli: (app) => app.route("/", cli),
      unknownCli: () => new Response("the page", { headers: { "content-type": "text/html" } }),
    },
  );
  return (path: string, init: RequestInit & { address?: string } = {}) =>
    Promise.resolve(
      app(
        new Request(`http://hub.example${path}`, init),
        requestFacts({ addresses: limits.addresses, ...(init.address && { address: init.address }) }),
      ),
    );
}

const ask = make();
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const post = (body: unknown, headers: Record<string, string> = {}) => ({
  method: "POST",
  headers,
  body: typeof body === "string" ? body : JSON.stringify(body),
});
const login = await new WebTokens(KEY).issue({ uid: OWNER, ns: "team" });
const signed = (claims: Record<string, unknown>) =>
  new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(KEY);

test.each(["/api/auth", "/api/bind"])("%s asks for no login, by whatever method", async (path) => {
  for (const method of ["GET", "PUT", "PATCH", "DELETE"]) {
    const answer = await ask(path, { method });
    expect([answer.status, await answer.text()]).toEqual([404, "404 Not Found"]);
  }
});

test.each<[string, Record<string, string>, number, unknown]>([
  ["/api/who", {}, 401, { error: "Missing authorization token" }],
  ["/api/who", { authorization: `bearer ${login}` }, 401, { error: "Missing authorization token" }],
  ["/api/who", { authorization: "Bearer" }, 401, { error: "Missing authorization token" }],
  ["/api/who", { authorization: `Bearer  ${login}` }, 401, { error: "Invalid token" }],
  ["/api/who", { authorization: "Bearer nonsense" }, 401, { error: "Invalid token" }],
  ["/api/who", { authorization: `Bearer ${TOKEN}` }, 401, { error: "Invalid token" }],
  [
    "/api/who",
    { authorization: `Bearer ${await signed({ uid: "1", ns: "x" })}` },
    401,
    { error: "Invalid token payload" },
  ],
  [
    "/api/who",
    { authorization: `Bearer ${await signed({ uid: 1 })}` },
    401,
    { error: "Invalid token payload" },
  ],
  [
    "/api/who",
    { authorization: `Bearer ${await signed({ uid: 1, ns: "x", exp: 1 })}` },
    401,
    { error: "Invalid token" },
  ],
  ["/api/who", { authorization: `Bearer ${await signed({ uid: 1, ns: "x" })}` }, 200, { uid: 1, ns: "x" }],
  ["/api/who", { authorization: `Bearer ${login}` }, 200, { uid: OWNER, ns: "team" }],
  [`/api/who?token=${login}`, {}, 401, { error: "Missing authorization token" }],
  ["/api/none", {}, 401, { error: "Missing authorization token" }],
  ["/cli/who", {}, 401, { error: "Missing Authorization header" }],
  ["/cli/who", { authorization: "Basic x" }, 401, { error: "Invalid Authorization header" }],
  ["/cli/who", { authorization: "Bearer" }, 401, { error: "Invalid Authorization header" }],
  ["/cli/who", { authorization: "Bearer wrong" }, 401, { error: "Invalid token" }],
  ["/cli/who", { authorization: `Bearer ${login}` }, 401, { error: "Invalid token" }],
  ["/cli/who", { authorization: `Bearer ${TOKEN}:` }, 401, { error: "Invalid token" }],
  ["/cli/who", { authorization: `bEARER \t ${TOKEN}:team` }, 200, { ns: "team" }],
  ["/cli/who", { authorization: `Bearer ${TOKEN}` }, 200, { ns: "default" }],
  ["/cli/none", {}, 401, { error: "Missing Authorization header" }],
])("GET %s with %j: %i", async (path, headers, status, body) => {
  const answer = await ask(path, { headers });
  expect([answer.status, await answer.json()]).toEqual([status, body]);
  expect(answer.headers.get("content-type")).toBe("application/json");
  expect(answer.headers.get("x-hapi-protocol-version")).toBe(path.startsWith("/cli") ? "1" : null);
});

test("only the stream of events takes a login from its address, and a header that is one wins", async () => {
  expect((await ask(`/api/events?token=${login}`)).status).toBe(404);
  expect((await ask("/api/events?token=nonsense")).status).toBe(401);
  expect((await ask("/api/events?token=nonsense", bearer(login))).status).toBe(404);
  expect((await ask(`/api/events?token=${login}`, bearer("nonsense"))).status).toBe(401);
});

test("an unknown path below /api is the text that clients know; below /cli a GET is the page, and nothing else", async () => {
  const unknown = await ask("/api/none", bearer(login));
  expect([unknown.status, await unknown.text()]).toEqual([404, "404 Not Found"]);
  expect(unknown.headers.get("content-type")).toBe("text/plain; charset=UTF-8");
  expect((await ask("/api/who/", bearer(login))).status).toBe(404);
  expect(await (await ask("/cli/none", bearer(TOKEN))).text()).toBe("the page");
  expect((await ask("/cli/none", { method: "POST", ...bearer(TOKEN) })).status).toBe(404);
});

test("what nobody expected is a bare text, and a full store says so", async () => {
  const broken = await ask("/api/broken", bearer(login));
  expect([broken.status, await broken.text()]).toEqual([500, "Internal Server Error"]);
  expect(broken.headers.get("content-type")).toBe("text/plain; charset=UTF-8");
  const full = await ask("/api/full", bearer(login));
  expect([full.status, await full.json()]).toEqual([507, { error: "The server's storage is full." }]);
});

test("a body is JSON whatever its type says, null where it is none, and refused without a word where it is too large", async () => {
  const authorization = `Bearer ${login}`;
  const echo = async (body: string) =>
    (await ask("/api/echo", post(body, { authorization, "content-type": "text/x" }))).json();
  expect(await echo('{"a":1}')).toEqual({ got: { a: 1 } });
  for (const bad of ["{", "", "\u0000", "[".repeat(1_000)]) expect(await echo(bad)).toEqual({ got: null });
  for (const [path, mib] of [
    ["/api/echo", 9],
    ["/api/echo/upload", 69],
  ] as const) {
    const length = String(mib * 1024 * 1024);
    const large = await ask(path, { ...post("x", { authorization, "content-length": length }) });
    expect([large.status, await large.text()]).toEqual([413, ""]);
  }
  const stranger = await ask("/api/auth", post(`"${"x".repeat(20_000)}"`));
  expect([stranger.status, await stranger.text()]).toEqual([413, ""]);
});

test("preflights are answered of every path, for every origin, and only an allowed page may go on", async () => {
  for (const [path, origin, allowed] of [
    ["/api/who", PAGE, PAGE],
    ["/api/none", "https://evil.example", null],
    ["/cli/who", PAGE, PAGE],
  ] as const) {
    const answer = await ask(path, { method: "OPTIONS", headers: { origin } });
    expect([answer.status, await answer.text()]).toEqual([204, ""]);
    expect(answer.headers.get("access-control-allow-origin")).toBe(allowed);
    expect(answer.headers.get("access-control-allow-methods")).toBe("GET,POST,PUT,PATCH,DELETE,OPTIONS");
    expect(answer.headers.get("access-control-allow-headers")).toBe(
      "authorization,content-type,last-event-id",
    );
    expect(answer.headers.get("vary")).toBe("Origin, Access-Control-Request-Headers");
    expect(answer.headers.get("access-control-allow-credentials")).toBeNull();
  }
});

test("a page reads answers, refusals too, where it is allowed; where not, the request still runs", async () => {
  const read = async (origin: string, of = ask) => {
    const { headers, status } = await of("/api/who", {
      headers: { origin, authorization: `Bearer ${login}` },
    });
    return [status, headers.get("access-control-allow-origin"), headers.get("vary")];
  };
  expect(await read(PAGE)).toEqual([200, PAGE, "Origin"]);
  expect(await read("https://evil.example")).toEqual([200, null, "Origin"]);
  expect(await read("https://evil.example", make({ every: true }))).toEqual([200, "*", null]);
  const refused = await ask("/api/who", { headers: { origin: PAGE } });
  expect([refused.status, refused.headers.get("access-control-allow-origin")]).toEqual([401, PAGE]);
  const broken = await ask("/api/broken", { headers: { origin: PAGE, authorization: `Bearer ${login}` } });
  expect(broken.headers.get("access-control-allow-origin")).toBe(PAGE);
});

test("answers of /api are gzip where the client takes it: short ones, refusals, and those in pieces; of /cli never", async () => {
  const read = async (path: string, token?: string) => {
    const answer = await ask(path, {
      headers: {
        "accept-encoding": "gzip",
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
    });
    const encoding = answer.headers.get("content-encoding");
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const text = Buffer.from(encoding === "gzip" ? Bun.gunzipSync(bytes) : bytes).toString();
    return [encoding, text, answer.headers.get("vary")];
  };
  expect(await read("/api/who", login)).toEqual(["gzip", `{"uid":${OWNER},"ns":"team"}`, "Origin"]);
  expect(await read("/api/who")).toEqual(["gzip", '{"error":"Missing authorization token"}', "Origin"]);
  expect(await read("/api/none", login)).toEqual(["gzip", "404 Not Found", "Origin"]);
  expect(await read("/api/pieces", login)).toEqual(["gzip", '{"long":1}', "Origin"]);
  // As the released hub does with its texts too (probed).
  expect(await read("/api/broken", login)).toEqual(["gzip", "Internal Server Error", "Origin"]);
  expect(await read("/cli/who", TOKEN)).toEqual([null, '{"ns":"default"}', "Origin"]);
});

const auth = async (body: unknown, of = ask) => {
  const answer = await of("/api/auth", post(body));
  return [answer.status, await answer.json()] as const;
};

test("an access token logs in, and the login is one", async () => {
  const [status, body] = await auth({ accessToken: `${TOKEN}:team`, initData: 7 });
  expect([status, body]).toEqual([
    200,
    { token: expect.any(String), user: { id: OWNER, firstName: "Web User" } },
  ]);
  const { token } = body as { token: string };
  expect(await (await ask("/api/who", bearer(token))).json()).toEqual({ uid: OWNER, ns: "team" });
});

test.each<[unknown, number, string]>([
  [{}, 400, "Invalid body"],
  ["{", 400, "Invalid body"],
  ["", 400, "Invalid body"],
  [[], 400, "Invalid body"],
  [{ accessToken: 1 }, 400, "Invalid body"],
  [{ accessToken: "" }, 401, "Invalid access token"],
  [{ accessToken: "wrong" }, 401, "Invalid access token"],
  [{ accessToken: `${TOKEN}:a:b` }, 401, "Invalid access token"],
  [
    { initData: "x", accessToken: TOKEN },
    503,
    "Telegram authentication is disabled. Configure TELEGRAM_BOT_TOKEN.",
  ],
])("a login with %j: %i %s", async (body, status, error) => {
  expect(await auth(body)).toEqual([status, { error }]);
});

function initData(id = 42): string {
  const fields = {
    auth_date: String(Math.floor(Date.now() / 1_000)),
    user: JSON.stringify({ id, first_name: "Ada" }),
  };
  const key = createHmac("sha256", "WebAppData").update(BOT).digest();
  const text = `auth_date=${fields.auth_date}\nuser=${fields.user}`;
  const hash = createHmac("sha256", key).update(text).digest("hex");
  return new URLSearchParams({ ...fields, hash }).toString();
}

test("a Telegram user is bound to one namespace, and then logs in", async () => {
  const of = make({ telegram: true });
  const bind = async (body: unknown) => {
    const answer = await of("/api/bind", post(body));
    return [answer.status, await answer.json()] as const;
  };
  expect(await auth({ initData: initData() }, of)).toEqual([401, { error: "not_bound" }]);
  expect(await auth({ initData: "user=x" }, of)).toEqual([401, { error: "Missing hash" }]);
  expect(await bind({ initData: initData() })).toEqual([400, { error: "Invalid body" }]);
  expect(await bind({ initData: "x", accessToken: "wrong" })).toEqual([
    401,
    { error: "Invalid access token" },
  ]);
  expect(await bind({ initData: "x", accessToken: TOKEN })).toEqual([401, { error: "Missing hash" }]);
  const bound = [200, { token: expect.any(String), user: { id: OWNER, firstName: "Ada" } }] as const;
  expect(await bind({ initData: initData(), accessToken: `${TOKEN}:team` })).toEqual(bound as never);
  expect(await bind({ initData: initData(), accessToken: `${TOKEN}:team` })).toEqual(bound as never);
  expect(await bind({ initData: initData(), accessToken: TOKEN })).toEqual([409, { error: "already_bound" }]);
  const [status, body] = await auth({ initData: initData() }, of);
  expect(status).toBe(200);
  expect(await (await of("/api/who", bearer((body as { token: string }).token))).json()).toMatchObject({
    ns: "team",
  });
});

test("binding without a bot is refused after the token was looked at", async () => {
  const answer = await ask("/api/bind", post({ initData: "x", accessToken: TOKEN }));
  expect([answer.status, await answer.json()]).toEqual([
    503,
    { error: "Telegram authentication is disabled. Configure TELEGRAM_BOT_TOKEN." },
  ]);
});

test("whoever guesses tokens waits, wherever they guess; others do not", async () => {
  const of = make();
  for (let i = 0; i < 10; i++) {
    await of("/api/auth", { ...post({ accessToken: `guess ${i}` }), address: "198.51.100.1" });
    await of("/cli/who", { ...bearer(`other ${i}`), address: "198.51.100.1" });
  }
  const locked = await of("/cli/who", { ...bearer(TOKEN), address: "198.51.100.1" });
  expect([locked.status, await locked.json()]).toEqual([429, { error: "Too many requests" }]);
  expect(Number(locked.headers.get("retry-after"))).toBeGreaterThan(50);
  expect((await of("/cli/who", { ...bearer(TOKEN), address: "198.51.100.2" })).status).toBe(200);
});

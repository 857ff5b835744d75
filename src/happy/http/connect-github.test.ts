// Connecting GitHub against a server that behaves like it: what the browser is told, what is stored, who hears what, and that a
// failure changes nothing.
import { Database as Sqlite } from "bun:sqlite";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  CLIENT_ID,
  CLIENT_SECRET,
  type FakeGithub,
  fakeGithub,
  type GithubUser,
} from "../../../test/support/github.ts";
import { type Account, accountWith, newAccount } from "../../../test/support/happy-client.ts";
import { gradient, pngOf } from "../../../test/support/png.ts";
import { TEST_SECRET, type TestServer, testServer } from "../../../test/support/server.ts";
import { keyAt, open } from "../auth/key-tree.ts";
import { serverKeys } from "../auth/server-keys.ts";
import { splitName } from "../github/sign-in.ts";

const REDIRECT = "https://roost.example/v1/connect/github/callback";
const WEB_APP = "https://app.example";
const PICTURE = pngOf(30, 20, gradient(30, 20));

let github: FakeGithub;
let server: TestServer;
let database: Sqlite;
let nextId = 1000;
beforeAll(async () => {
  github = fakeGithub();
  server = await testServer({
    happyGithubUrl: github.url,
    happyGithubApiUrl: `${github.url}/`,
    happyGithubClientId: CLIENT_ID,
    happyGithubClientSecret: CLIENT_SECRET,
    happyGithubRedirectUrl: REDIRECT,
    happyWebAppUrl: WEB_APP,
    publicUrl: "https://roost.example",
    logLevel: "silent",
  });
  database = new Sqlite(join(server.dataDir, "happy.db"), { readonly: true, strict: true });
});
afterAll(async () => {
  database.close();
  await server.stop();
  await github.stop();
});
beforeEach(() => {
  github.asked.length = 0;
  github.broken.clear();
});

/** A GitHub user with a picture of its own. */
function person(login: string, fields: Partial<GithubUser> = {}): GithubUser {
  const id = nextId++;
  github.pictures.set(`/avatars/${id}`, { bytes: PICTURE, type: "image/png" });
  return {
    id,
    login,
    name: null,
    email: null,
    bio: null,
    avatar_url: `/avatars/${id}`,
    type: "User",
    ...fields,
  };
}

async function authorizeUrl(account: Account): Promise<string> {
  const { status, body } = await account.call("GET", "/v1/connect/github/params");
  expect(status).toBe(200);
  return body.url;
}

/** The whole way of a browser; returns where it ends up. */
async function connect(account: Account, user: GithubUser): Promise<string> {
  return callback(await github.signIn(await authorizeUrl(account), user));
}

async function callback({ search }: URL): Promise<string> {
  const response = await fetch(`${server.url}/v1/connect/github/callback${search}`, { redirect: "manual" });
  expect([response.status, await response.text()]).toEqual([302, ""]);
  return response.headers.get("location") ?? "";
}

const profileOf = async (account: Account) => (await account.call("GET", "/v1/account/profile")).body;

describe("params", () => {
  test("give GitHub's address with a state that is good for five minutes and for nothing else", async () => {
    const account = await newAccount(server.url);
    const url = await authorizeUrl(account);
    const state = new URL(url).searchParams.get("state") ?? "";
    expect(url).toBe(
      `${github.url}/login/oauth/authorize?client_id=${CLIENT_ID}&redirect_uri=${encodeURIComponent(REDIRECT)}` +
        `&scope=read%3Auser%2Cuser%3Aemail%2Cread%3Aorg%2Ccodespace&state=${state}`,
    );
    const claims = JSON.parse(Buffer.from(state.split(".")[1] ?? "", "base64url").toString());
    expect(claims).toMatchObject({ sub: account.id, iss: "github-happy", exp: claims.iat + 300 });
    expect((await accountWith(server.url, state).call("GET", "/v1/account/profile")).status).toBe(401);
  });

  test.each([{ happyGithubClientId: CLIENT_ID }, { happyGithubRedirectUrl: REDIRECT }, {}])(
    "are refused with only %p configured",
    async (config) => {
      const bare = await testServer(config);
      const account = await newAccount(bare.url);
      const answer = await account.call("GET", "/v1/connect/github/params");
      expect([answer.status, answer.body]).toEqual([400, { error: "GitHub OAuth not configured" }]);
      await bare.stop();
    },
  );
});

describe("connecting", () => {
  test("brings name, login, avatar and profile, and tells the phone in one update", async () => {
    const account = await newAccount(server.url);
    const [phone, daemon] = [
      await account.connect(),
      await account.connect({ clientType: "machine-scoped", machineId: "m" }),
    ];
    const user = person("ada", { name: "Ada  King Lovelace", email: "ada@example.org", bio: "counts" });
    expect(await connect(account, user)).toBe(`${WEB_APP}?github=connected&user=ada`);
    const update = await phone.untilUpdate("update-account");
    const [{ path }] = [update.body.avatar];
    expect(path).toMatch(new RegExp(`^public/users/${account.id}/avatars/github_[A-Za-z0-9]{24}\\.png$`));
    const profile = { ...user, avatar_url: `${github.url}${user.avatar_url}` };
    const avatar = {
      path,
      width: 30,
      height: 20,
      thumbhash: expect.stringMatching(/^[A-Za-z0-9+/]+={0,2}$/),
      url: `https://roost.example/files/${path}`,
    };
    const names = { firstName: "Ada", lastName: "King Lovelace" };
    expect(update).toMatchObject({ seq: 1 });
    expect(update.body).toEqual({
      t: "update-account",
      id: account.id,
      github: profile,
      username: "ada",
      ...names,
      avatar,
    });
    await phone.settled();
    await daemon.settled();
    expect([phone.updates.length, daemon.updates.length]).toEqual([1, 0]);
    expect(await profileOf(account)).toMatchObject({ ...names, username: "ada", github: profile, avatar });
    expect((await account.call("GET", `/v1/user/${account.id}`)).body.user).toMatchObject({
      username: "ada",
      bio: "counts",
      ...names,
    });
    const file = await fetch(`${server.url}/files/${path}`);
    expect(new Uint8Array(await file.arrayBuffer())).toEqual(PICTURE);
    expect(file.headers.get("content-type")).toBe("image/png");
    const { token } = database.query("SELECT token FROM github_users WHERE id = $id").get({
      id: String(user.id),
    }) as { token: Uint8Array };
    const key = keyAt(await serverKeys(TEST_SECRET).treeMaster(), ["user", account.id, "github", "token"]);
    expect(open(key, token)).toStartWith("gho_");
    expect((await account.call("GET", "/v1/connect")).body).toEqual({
      github: { connected: true, login: "ada" },
      vendors: [],
    });
    phone.close();
    daemon.close();
  });

  test("a profile with null name and e-mail still passes the app's schema", async () => {
    const account = await newAccount(server.url);
    const phone = await account.connect();
    await connect(account, person("nameless"));
    const { body } = await phone.untilUpdate("update-account");
    expect(body).toMatchObject({ firstName: null, lastName: null, github: { name: "nameless", bio: null } });
    expect(body.github).not.toHaveProperty("email");
    const { github: shown } = await profileOf(account);
    expect(shown).toEqual(body.github);
    phone.close();
  });

  test("the same GitHub user again changes and announces nothing", async () => {
    const account = await newAccount(server.url);
    const user = person("again");
    await connect(account, user);
    const phone = await account.connect();
    const before = await profileOf(account);
    expect(await connect(account, { ...user, name: "New Name" })).toBe(
      `${WEB_APP}?github=connected&user=again`,
    );
    await phone.settled();
    expect(phone.updates).toEqual([]);
    expect({ ...(await profileOf(account)), timestamp: 0 }).toEqual({ ...before, timestamp: 0 });
    phone.close();
  });

  test("a GitHub user moves to the account that connects last; the one before hears of it, and the picture is shared", async () => {
    const [first, second] = [await newAccount(server.url), await newAccount(server.url)];
    const user = person("mover", { name: "Mover" });
    await connect(first, user);
    const phones = [await first.connect(), await second.connect()] as const;
    await connect(second, user);
    const lost = await phones[0].untilUpdate("update-account");
    const won = await phones[1].untilUpdate("update-account");
    expect(lost).toMatchObject({ seq: 2 });
    expect(lost.body).toEqual({ t: "update-account", id: first.id, github: null, username: null });
    expect(won.body).toMatchObject({ id: second.id, username: "mover" });
    expect(won.body.avatar.path).toContain(first.id);
    expect(github.asked.filter((path) => path === `GET ${user.avatar_url}`)).toHaveLength(1);
    // Names and avatar stay with the one who lost the link.
    expect(await profileOf(first)).toMatchObject({ firstName: "Mover", username: null, github: null });
    expect((await profileOf(first)).avatar).not.toBeNull();
    for (const phone of phones) {
      await phone.settled();
      expect(phone.updates).toHaveLength(1);
      phone.close();
    }
  });

  test("another GitHub user replaces the first, whose token is forgotten", async () => {
    const account = await newAccount(server.url);
    const [old, fresh] = [person("old-name"), person("fresh-name")];
    await connect(account, old);
    await connect(account, fresh);
    expect(await profileOf(account)).toMatchObject({
      username: "fresh-name",
      github: { login: "fresh-name" },
    });
    const ids = [old, fresh].map(({ id }) =>
      database.query("SELECT id FROM github_users WHERE id = $id").get({ id: String(id) }),
    );
    expect(ids).toEqual([null, { id: String(fresh.id) }]);
  });

  test("a login that an unrelated account holds is a server error, and nothing changes or is announced", async () => {
    const [holder, owner, other] = await Promise.all([1, 2, 3].map(() => newAccount(server.url)));
    if (holder === undefined || owner === undefined || other === undefined) throw new Error("no accounts");
    const wanted = person("wanted");
    const renamed = person("was-something-else");
    await connect(holder, wanted);
    await connect(owner, renamed);
    const phones = await Promise.all([holder, owner, other].map((account) => account.connect()));
    // On GitHub the second user took over the login; here it still belongs to the first.
    expect(await connect(other, { ...renamed, login: "wanted" })).toBe(`${WEB_APP}?error=server_error`);
    for (const phone of phones) {
      await phone.settled();
      expect(phone.updates).toEqual([]);
      phone.close();
    }
    expect(await profileOf(other)).toMatchObject({ username: null, github: null });
    expect(await profileOf(owner)).toMatchObject({ username: "was-something-else" });
  });

  test.each([
    ["Ada", { firstName: "Ada", lastName: null }],
    [" Ada  King\tLovelace ", { firstName: "Ada", lastName: "King\tLovelace" }],
    ["", { firstName: null, lastName: null }],
    ["  ", { firstName: null, lastName: null }],
  ])("name %p is split at the first whitespace", (name, split) => {
    expect(splitName(name)).toEqual(split);
  });
});

describe("a failed sign-in sends the browser back with the reason", () => {
  const failing = async (account: Account, user: GithubUser, breaks: () => void = () => {}) => {
    const back = await github.signIn(await authorizeUrl(account), user);
    breaks();
    const location = await callback(back);
    expect(await profileOf(account)).toMatchObject({ github: null, avatar: null, username: null });
    return location;
  };

  test("a state that is made up, a bearer token, or too old", async () => {
    const account = await newAccount(server.url);
    const keys = serverKeys(TEST_SECRET);
    const old = Math.floor(Date.now() / 1000) - 301;
    const expired = await keys.githubState().issue({ account: account.id, issuedAt: old, lifetime: 300 });
    for (const state of ["x", "", account.token, expired]) {
      const url = new URL(REDIRECT);
      url.search = new URLSearchParams({ code: "c", state }).toString();
      expect(await callback(url)).toBe(`${WEB_APP}?error=invalid_state`);
    }
    expect(github.asked).toEqual([]);
  });

  test("GitHub's own code, encoded", async () => {
    const account = await newAccount(server.url);
    const back = await github.signIn(await authorizeUrl(account), person("twice"));
    await callback(back);
    expect(await callback(back)).toBe(`${WEB_APP}?error=bad_verification_code`);
  });

  test("no user, no avatar, an avatar that is no picture, a user without a login", async () => {
    const account = await newAccount(server.url);
    const user = person("broken");
    const refused = () => github.broken.set("/user", 401);
    expect(await failing(account, user, refused)).toBe(`${WEB_APP}?error=github_user_fetch_failed`);
    github.broken.clear();
    const gone = () => github.broken.set(user.avatar_url, 404);
    expect(await failing(account, user, gone)).toBe(`${WEB_APP}?error=server_error`);
    github.broken.clear();
    github.pictures.set(user.avatar_url, {
      bytes: Uint8Array.from(Buffer.from("GIF89a")),
      type: "image/png",
    });
    expect(await failing(account, user)).toBe(`${WEB_APP}?error=server_error`);
    expect(await failing(account, { ...user, login: 7 as unknown as string })).toBe(
      `${WEB_APP}?error=server_error`,
    );
    expect(existsSync(join(server.dataDir, "files", "public", "users", account.id))).toBe(false);
  });

  test("a server without its secret, and one that GitHub cannot be reached from", async () => {
    const account = await newAccount(server.url);
    const state = await serverKeys(TEST_SECRET).githubState().issue({ account: account.id, lifetime: 300 });
    const ask = async (config: Parameters<typeof testServer>[0]) => {
      const other = await testServer({
        happyWebAppUrl: "https://app.example/?from=roost",
        logLevel: "silent",
        ...config,
      });
      const response = await fetch(`${other.url}/v1/connect/github/callback?code=c&state=${state}`, {
        redirect: "manual",
      });
      await other.stop();
      return response.headers.get("location");
    };
    const gone = fakeGithub();
    await gone.stop();
    expect(await ask({ happyGithubClientId: CLIENT_ID })).toBe(
      "https://app.example/?from=roost&error=server_config",
    );
    const keys = {
      happyGithubClientId: CLIENT_ID,
      happyGithubClientSecret: CLIENT_SECRET,
      happyGithubUrl: gone.url,
    };
    expect(await ask(keys)).toBe("https://app.example/?from=roost&error=server_error");
  });

  test("without code or state it is a plain 400", async () => {
    for (const query of ["", "?code=c", "?state=s"]) {
      const response = await fetch(`${server.url}/v1/connect/github/callback${query}`, {
        redirect: "manual",
      });
      expect([query, response.status]).toEqual([query, 400]);
    }
  });
});

describe("disconnecting", () => {
  test("forgets the GitHub user and the username, keeps names and avatar, and is fine twice", async () => {
    const account = await newAccount(server.url);
    const user = person("leaver", { name: "Lea Ver" });
    await connect(account, user);
    const phone = await account.connect();
    for (let time = 0; time < 2; time++) {
      const answer = await account.call("DELETE", "/v1/connect/github");
      expect([answer.status, answer.body]).toEqual([200, { success: true }]);
    }
    await phone.settled();
    expect(phone.updates.map(({ seq, body }) => [seq, body])).toEqual([
      [2, { t: "update-account", id: account.id, github: null, username: null }],
    ]);
    const profile = await profileOf(account);
    expect(profile).toMatchObject({ firstName: "Lea", lastName: "Ver", username: null, github: null });
    expect(existsSync(join(server.dataDir, "files", profile.avatar.path))).toBe(true);
    expect(readFileSync(join(server.dataDir, "files", profile.avatar.path))).toEqual(Buffer.from(PICTURE));
    expect(
      database.query("SELECT id FROM github_users WHERE id = $id").get({ id: String(user.id) }),
    ).toBeNull();
    expect((await account.call("GET", "/v1/connect")).body.github).toEqual({ connected: false, login: null });
    phone.close();
  });

  test("fails in its own words for a token without an account", async () => {
    const token = await serverKeys(TEST_SECRET).bearer.issue({ account: "cnobody" });
    const nobody = accountWith(server.url, token);
    const answer = await nobody.call("DELETE", "/v1/connect/github");
    expect([answer.status, answer.body]).toEqual([500, { error: "Failed to disconnect GitHub account" }]);
    expect((await nobody.call("GET", "/v1/connect")).body).toEqual({
      github: { connected: false, login: null },
      vendors: [],
    });
  });
});

describe("webhook", () => {
  const SECRET = "webhook-secret";
  const SIX = {
    happyGithubAppId: "1",
    happyGithubPrivateKey: "pem",
    happyGithubClientId: CLIENT_ID,
    happyGithubClientSecret: CLIENT_SECRET,
    happyGithubRedirectUri: REDIRECT,
    happyGithubWebhookSecret: SECRET,
  };
  // Not what JSON.stringify would write: the signature is over these bytes.
  const BODY = '{ "action":"opened" ,\n "emoji":"\\ud83d\\ude80" }';
  const sign = (body: string, secret = SECRET) =>
    `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
  let hooks: TestServer;
  beforeAll(async () => {
    hooks = await testServer({ ...SIX, logLevel: "silent" });
  });
  afterAll(() => hooks.stop());

  const deliver = async (body: string, headers: Record<string, string>, url = hooks.url) => {
    const response = await fetch(`${url}/v1/connect/github/webhook`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
    });
    return [response.status, await response.json()];
  };
  const genuine = { "x-hub-signature-256": sign(BODY), "x-github-event": "issues" };

  test("is taken with the signature over its bytes", async () => {
    expect(await deliver(BODY, { ...genuine, "x-github-delivery": "d" })).toEqual([200, { received: true }]);
    expect(await deliver(BODY, genuine)).toEqual([200, { received: true }]);
  });

  test.each([
    ["another secret", sign(BODY, "other")],
    ["another body", sign(JSON.stringify(JSON.parse(BODY)))],
    ["no scheme", sign(BODY).slice("sha256=".length)],
    ["capitals", sign(BODY).toUpperCase()],
    ["half a signature", sign(BODY).slice(0, 40)],
    ["nothing", ""],
  ])("is refused with a signature of %s", async (_name, signature) => {
    expect(await deliver(BODY, { ...genuine, "x-hub-signature-256": signature })).toEqual([
      500,
      { error: "Internal server error" },
    ]);
  });

  test("needs both headers, JSON, and a body", async () => {
    for (const missing of Object.keys(genuine)) {
      const headers = Object.fromEntries(Object.entries(genuine).filter(([name]) => name !== missing));
      expect(await deliver(BODY, headers)).toEqual([
        400,
        {
          error: "Error",
          message: `headers/${missing} Invalid input: expected string, received undefined`,
          statusCode: 400,
        },
      ]);
    }
    expect(await deliver("{oops", genuine)).toEqual([400, expect.objectContaining({ error: "SyntaxError" })]);
    expect(await deliver("", genuine)).toEqual([500, { error: "Server configuration error" }]);
    expect(await deliver(`"${"x".repeat(2 ** 21)}"`, genuine)).toEqual([
      413,
      { error: "FastifyError", message: "Request body is too large", statusCode: 413 },
    ]);
    const form = { ...genuine, "content-type": "application/x-www-form-urlencoded" };
    expect((await deliver("a=b", form))[0]).toBe(415);
  });

  test.each(Object.keys(SIX))("is not configured without %s", async (name) => {
    const rest = Object.fromEntries(Object.entries(SIX).filter(([key]) => key !== name));
    const lacking = await testServer(rest);
    expect(await deliver(BODY, genuine, lacking.url)).toEqual([500, { error: "Webhooks not configured" }]);
    await lacking.stop();
  });
});

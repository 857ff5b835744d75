// What `roost hapi` shows and deletes beside a running server, whose clients hear of it, and on a folder that no server runs on; the
// access token for its owner only; what the server says of itself.
import { Database } from "bun:sqlite";
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { createECDH } from "node:crypto";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { io } from "socket.io-client";
import { startProcess } from "./faults/server-process.ts";
import type { Config } from "./support/config.ts";
import { EventClient } from "./support/event-client.ts";
import { nothingLeftBehind } from "./support/left-behind.ts";
import { runRoost } from "./support/process.ts";
import { type TestServer, testServer } from "./support/server.ts";
import { until } from "./support/until.ts";

// Commands are processes of their own, and other tests may have the machine.
setDefaultTimeout(60_000);

const left = nothingLeftBehind("hapi-command");
const DAY_MS = 86_400_000;
const undo: (() => unknown)[] = [];
afterAll(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

const HAPI = { hapiEnabled: true, hapiPort: "none" } as unknown as Partial<Config>;
const ecdh = createECDH("prime256v1");
/** As a browser makes them. */
const BROWSER = {
  p256dh: ecdh.generateKeys().toString("base64url"),
  auth: Buffer.alloc(16, 7).toString("base64url"),
};
const RUNNER = { host: "devbox", platform: "linux", happyCliVersion: "0.30.7" };

async function started(more: Partial<Config> = {}): Promise<TestServer & { readonly token: string }> {
  const server = await testServer({ ...HAPI, ...more });
  undo.push(() => server.stop());
  const { cliApiToken } = JSON.parse(readFileSync(settings(server), "utf8"));
  return { ...server, token: cliApiToken };
}

interface Made {
  readonly session: { readonly id: string };
}

const settings = ({ dataDir }: TestServer) => join(dataDir, "hapi", "settings.json");
const hapi = ({ dataDir }: Pick<TestServer, "dataDir">, ...words: string[]) =>
  runRoost(["hapi", ...words, "--data-dir", dataDir]);
const cells = (text: string) => text.split("\n").map((line) => line.split(/ {2,}/));

async function cli(
  server: Pick<TestServer, "url">,
  token: string,
  path: string,
  body: object,
): Promise<Made> {
  const answer = await fetch(`${server.url}/cli${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
  expect(answer.status).toBe(200);
  return (await answer.json()) as Made;
}

/** A runner, a session and a browser to push to, in a namespace. @returns the session's id and the login. */
async function filled(server: Pick<TestServer, "url">, token: string, machine: string) {
  await cli(server, token, "/machines", { id: machine, metadata: RUNNER });
  const metadata = { path: "/work/it", host: "devbox", flavor: "claude", name: "A \u001b[31m name" };
  const { session } = await cli(server, token, "/sessions", { tag: "t", metadata });
  const login = await fetch(`${server.url}/api/auth`, {
    method: "POST",
    body: JSON.stringify({ accessToken: token }),
  });
  const { token: jwt } = (await login.json()) as { token: string };
  const subscribed = await fetch(`${server.url}/api/push/subscribe`, {
    method: "POST",
    headers: { authorization: `Bearer ${jwt}` },
    body: JSON.stringify({
      endpoint: `https://push.example.org/secret-of-${machine}`,
      keys: BROWSER,
    }),
  });
  expect(subscribed.status).toBe(200);
  return { session: session.id, jwt };
}

test("namespaces, sessions, machines and who is notified are shown while the server runs", async () => {
  const server = await started();
  const { session } = await filled(server, server.token, "m-one");
  await filled(server, `${server.token}:team`, "m-two");
  const all = await hapi(server);
  expect(all).toMatchObject({ code: 0, stderr: "" });
  const [head, ...rows] = cells(all.stdout);
  expect(head).toEqual(["NAMESPACE", "SESSIONS", "MACHINES", "MESSAGES", "SIZE", "NOTIFIED", "LAST SEEN"]);
  expect(rows.slice(0, 2).map(([name, ...figures]) => [name, ...figures.slice(0, 3), figures[4]])).toEqual([
    ["default", "1", "1", "0", "1"],
    ["team", "1", "1", "0", "1"],
  ]);
  const sessions = await hapi(server, "sessions", "default");
  expect(sessions.stdout).toContain(session);
  // What would steer the terminal is shown and does not act.
  expect(sessions.stdout).toContain("A ?[31m name");
  expect(sessions.stdout).toContain("devbox:/work/it");
  expect(cells((await hapi(server, "machines")).stdout).map(([id, namespace]) => [id, namespace])).toEqual([
    ["MACHINE", "NAMESPACE"],
    ["m-one", "default"],
    ["m-two", "team"],
    ["", undefined],
  ] as never);
  expect(cells((await hapi(server, "machines", "team")).stdout)).toHaveLength(3);
  const notified = await hapi(server, "subscribers", "--json");
  const { subscribers } = JSON.parse(notified.stdout);
  expect(subscribers).toMatchObject([
    { namespace: "default", kind: "web push", where: "push.example.org" },
    { namespace: "team", kind: "web push", where: "push.example.org" },
  ]);
  expect(notified.stdout).not.toContain("secret-of");
  expect((await hapi(server, "unsubscribe", subscribers[1].id)).code).toBe(0);
  expect(JSON.parse((await hapi(server, "subscribers", "--json")).stdout).subscribers).toHaveLength(1);
  expect(await hapi(server, "unsubscribe", "push-99")).toMatchObject({ code: 1 });
  expect((await hapi(server, "sessions", "nobody")).stderr).toContain("There is no such namespace");
});

test("a namespace is deleted with what is alive in it: its pages hear of it, its sockets end, its neighbour stays", async () => {
  const server = await started();
  const team = `${server.token}:team`;
  const { session, jwt } = await filled(server, team, "m-team");
  await filled(server, server.token, "m-own");
  const events = await EventClient.open(`${server.url}/api/events?all=true`, {
    headers: { authorization: `Bearer ${jwt}` },
  });
  undo.push(() => events.close());
  const connect = (token: string, more: object) => {
    const socket = io(`${server.url}/cli`, {
      transports: ["websocket"],
      auth: { token, ...more },
      reconnectionDelay: 10,
    });
    undo.push(() => socket.close());
    return socket;
  };
  const theirs = connect(team, { sessionId: session });
  const own = connect(server.token, { machineId: "m-own" });
  let ended = 0;
  let returned = 0;
  theirs.on("disconnect", () => ended++);
  theirs.on("connect", () => returned++);
  own.on("disconnect", () => ended++);
  await until("both are connected", () => theirs.connected && own.connected);
  theirs.emit("session-alive", { sid: session, time: Date.now(), thinking: false });
  await until("the session is at work", () => events.events.some(({ data }) => data.data?.active === true));
  expect((await hapi(server, "sessions", "team")).stdout).toContain("at work");
  expect(
    cells((await hapi(server)).stdout)
      .find(([name]) => name === "team")
      ?.at(-1),
  ).toBe("connected");

  const unsure = await hapi(server, "delete", "team");
  expect(unsure).toMatchObject({ code: 2, stdout: "" });
  expect(unsure.stderr).toContain("Add --yes if you mean it");
  const deleted = await hapi(server, "delete", "team", "--yes", "--json");
  expect(JSON.parse(deleted.stdout)).toEqual({ namespace: "team", sessions: 1, machines: 1 });
  await until("the page has heard of the session and the machine", () => {
    const types = events.events.map(({ data }) => [data.type, data.sessionId ?? data.machineId, data.data]);
    return (
      types.some(([type, id]) => type === "session-removed" && id === session) &&
      types.some(([type, id, data]) => type === "machine-updated" && id === "m-team" && data === null)
    );
  });
  // Its client comes back by itself, and what it says of what is gone brings nothing back.
  await until("the socket came back", () => returned === 2);
  expect(ended).toBe(1);
  const said = Promise.withResolvers<unknown>();
  theirs.once("error", said.resolve);
  theirs.emit("session-alive", { sid: session, time: Date.now() });
  expect(await said.promise).toMatchObject({ code: "not-found", id: session });
  expect(JSON.parse((await hapi(server, "--json")).stdout).namespaces).toMatchObject([
    { namespace: "default", connections: 1 },
  ]);
  expect((await hapi(server, "delete", "team", "--yes")).code).toBe(1);
});

test("old things go and namespaces are deleted on a folder that no server runs on, and beside one that is told nothing", async () => {
  const { freshFolder, undo: after } = left;
  const dataDir = freshFolder();
  const env = { ROOST_HAPI_ENABLED: "true", ROOST_HAPI_PORT: "none" };
  const server = await startProcess({ dataDir, env });
  after(() => server.end("SIGKILL"));
  const { cliApiToken: token } = JSON.parse(readFileSync(join(dataDir, "hapi/settings.json"), "utf8"));
  const { session } = await filled(server, token, "m");
  const { session: other } = await filled(server, `${token}:team`, "n");
  const age = (id: string) => {
    using sqlite = new Database(join(dataDir, "hapi/hapi.db"), { readwrite: true });
    sqlite.run("PRAGMA busy_timeout = 5000");
    sqlite
      .query("UPDATE sessions SET updated_at = ?1, created_at = ?1 WHERE id = ?2")
      .run(Date.now() - 40 * DAY_MS, id);
  };
  const prune = (...words: string[]) =>
    runRoost([
      "prune",
      ...words,
      "--hapi-enabled",
      "--data-dir",
      dataDir,
      "--hapi-retention-sessions-days",
      "30",
    ]);
  age(session);
  expect(cells((await prune("--dry-run")).stdout).slice(1, 2)).toMatchObject([
    ["HAPI sessions", "default", "1", expect.any(String)],
  ]);
  expect((await prune()).stdout).toContain("1 HAPI sessions");
  expect((await hapi({ dataDir }, "sessions", "default")).stdout).toContain("It has no session.");
  expect(await server.end("SIGTERM")).toBe(0);
  age(other);
  expect((await hapi({ dataDir }, "sessions", "team")).stdout).toContain(other);
  expect((await prune()).stdout).toContain("1 HAPI sessions");
  expect((await hapi({ dataDir }, "sessions", "team")).stdout).toContain("It has no session.");
  expect(await hapi({ dataDir }, "delete", "team", "--yes")).toMatchObject({ code: 0, stderr: "" });
  expect(cells((await hapi({ dataDir })).stdout).map(([name]) => name)).toEqual(["NAMESPACE", "default", ""]);
});

test("the token is for who may read its file alone", async () => {
  const server = await started();
  const path = settings(server);
  expect(await hapi(server, "token")).toEqual({ code: 0, stdout: `${server.token}\n`, stderr: "" });
  expect((await hapi(server, "token", "team")).stdout).toBe(`${server.token}:team\n`);
  expect(JSON.parse((await hapi(server, "token", "--json")).stdout)).toEqual({ token: server.token });
  expect((await hapi(server, "token", "a:b")).code).toBe(2);
  chmodSync(path, 0o644);
  const open = await hapi(server, "token");
  expect(open).toMatchObject({ code: 1, stdout: "" });
  expect(open.stderr).toContain(`chmod 600 ${path}`);
  expect(open.stderr).not.toContain(server.token);
  chmodSync(path, 0o600);
  writeFileSync(path, `{"cliApiToken": "${server.token}"`);
  const broken = await hapi(server, "token");
  expect(broken).toMatchObject({ code: 1, stdout: "" });
  expect(broken.stderr).not.toContain(server.token);
});

test("a server that runs without it is named, with what to do; so is a folder that has none", async () => {
  const dataDir = left.freshFolder();
  await (await testServer({ ...HAPI, dataDir })).stop();
  const without = await testServer({ dataDir, hapiEnabled: false } as unknown as Partial<Config>);
  try {
    for (const words of [[], ["machines"], ["sessions", "default"], ["delete", "default", "--yes"]])
      expect(await hapi({ dataDir }, ...words)).toEqual({
        code: 1,
        stdout: "",
        stderr: `roost: The server that runs on ${dataDir} is without hapi, so it cannot be asked. Start it with --hapi-enabled, or stop it: the command then works on the database alone.\n`,
      });
  } finally {
    await without.stop();
  }
  expect(await hapi({ dataDir }, "machines")).toMatchObject({ code: 0, stderr: "" });
  const never = left.freshFolder();
  expect(await hapi({ dataDir: never })).toEqual({
    code: 1,
    stdout: "",
    stderr: `roost: There is no database of hapi in ${never}. Name the server's folder with --data-dir or --hapi-home; the first start with --hapi-enabled makes one.\n`,
  });
});

test("words that mean nothing, or too many of them, are answered with the usage", async () => {
  const words = [["nothing"], ["sessions"], ["machines", "a", "b"], ["machines", "--yes"], ["constructor"]];
  for (const given of words) {
    const { code, stderr } = await runRoost(["hapi", ...given]);
    expect([given, code, stderr.includes("Usage:")]).toEqual([given, 2, true]);
  }
});

test("figures tell of namespaces, sessions, machines and messages; /ready of the home", async () => {
  const server = await started({ metricsToken: "watch" } as Partial<Config>);
  await filled(server, `${server.token}:team`, "m");
  const page = await fetch(`${server.url}/metrics`, { headers: { authorization: "Bearer watch" } });
  const lines = (await page.text()).split("\n").filter((line) => line.startsWith("roost_hapi_"));
  expect(lines).toEqual(
    expect.arrayContaining([
      'roost_hapi_records{kind="namespaces"} 1',
      'roost_hapi_records{kind="sessions"} 1',
      'roost_hapi_records{kind="machines"} 1',
      'roost_hapi_records{kind="messages"} 0',
      'roost_hapi_present{kind="sessions"} 0',
      'roost_hapi_present{kind="machines"} 0',
    ]),
  );
  expect(lines.join()).not.toContain("team");
  const ready = await fetch(`${server.url}/ready`);
  expect([ready.status, await ready.json()]).toMatchObject([
    200,
    { checks: { hapi: "ok", "hapi-home": "ok" } },
  ]);
});

// A home of the original hub in whole servers: made, taken over, backed up, handed back, and left alone while somebody else uses it.
import { Database } from "bun:sqlite";
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { installedHapi } from "./clients/hapi-release.ts";
import { freePort } from "./support/free-port.ts";
import { needs } from "./support/needs.ts";
import { until } from "./support/until.ts";

// Every command is a process of its own.
setDefaultTimeout(60_000);

const MAIN = resolve(import.meta.dir, "../src/main.ts");
const place = mkdtempSync(join(tmpdir(), "roost-hapi-"));
afterAll(() => rmSync(place, { recursive: true, force: true }));
const sibling = (name: string) => join(place, name);
const ENV = { PATH: process.env.PATH ?? "", HOME: place, ROOST_HOST: "127.0.0.1" };

async function roost(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([process.execPath, MAIN, ...words], { env: ENV, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, stdout, stderr };
}

interface Running {
  readonly url: string;
  readonly said: () => string;
  stop(): Promise<number>;
}

/** @throws Error with what it said when it ends before it serves. */
async function serve(words: string[], environment: Record<string, string> = {}): Promise<Running> {
  const child = Bun.spawn(
    [process.execPath, MAIN, "serve", "--port", "0", "--log-format", "json", ...words],
    {
      env: { ...ENV, ...environment },
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  let said = "";
  const found = Promise.withResolvers<string>();
  const reading = (async () => {
    for await (const chunk of child.stdout) {
      said += Buffer.from(chunk).toString();
      const url = /HAPPY_SERVER_URL=(http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1];
      if (url !== undefined) found.resolve(url);
    }
    found.reject(new Error(`${said}${await child.stderr.text()}`));
  })();
  return {
    url: await found.promise,
    said: () => said,
    stop: async () => {
      child.kill("SIGTERM");
      const code = await child.exited;
      await reading;
      return code;
    },
  };
}

const settingsOf = (home: string) => JSON.parse(readFileSync(join(home, "settings.json"), "utf8"));
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
const login = async (url: string, accessToken: string) => {
  const answer = await fetch(`${url}/api/auth`, { method: "POST", body: JSON.stringify({ accessToken }) });
  return [answer.status, (await answer.json()) as { token: string; user: { id: number } }] as const;
};

test("it is there by itself with a token of its own, and HAPI_HOME alone takes nothing over", async () => {
  const home = sibling("of-the-cli");
  mkdirSync(home);
  const dataDir = sibling("by-itself");
  const server = await serve(["--data-dir", dataDir], { HAPI_HOME: home });
  expect((await fetch(`${server.url}/api/sessions`)).status).toBe(401);
  expect((await login(server.url, "guessed"))[0]).toBe(401);
  expect((await login(server.url, settingsOf(join(dataDir, "hapi")).cliApiToken))[0]).toBe(200);
  expect(server.said()).toContain("HAPI_HOME is set and not followed");
  expect(await server.stop()).toBe(0);
  expect(readdirSync(home)).toEqual([]);
});

// Upstream fault: one run with another address decides all later ones (hapi-data 8).
test("what a variable says holds for this run, and is in no file afterwards; only a token is kept", async () => {
  const dataDir = sibling("variables");
  const variables = {
    HAPI_PUBLIC_URL: "https://hub.example",
    CORS_ORIGINS: "https://page.example",
    CLI_API_TOKEN: "kX9_long_and_of_chance",
  };
  const server = await serve(["--data-dir", dataDir], variables);
  const asked = { headers: { origin: "https://page.example" } };
  const answer = await fetch(`${server.url}/api/sessions`, asked);
  expect(answer.headers.get("access-control-allow-origin")).toBe("https://page.example");
  expect(await server.stop()).toBe(0);
  const kept = settingsOf(join(dataDir, "hapi"));
  expect(Object.keys(kept).sort()).toEqual(["cliApiToken", "vapidKeys"]);
  expect(kept.cliApiToken).toBe(variables.CLI_API_TOKEN);
});

test("switched off nothing of it is there: no path, no folder, no line at the start", async () => {
  const dataDir = sibling("without");
  const server = await serve(["--data-dir", dataDir, "--hapi-enabled", "false"]);
  expect((await fetch(`${server.url}/api/auth`, { method: "POST" })).status).toBe(404);
  expect((await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`)).status).toBe(404);
  expect(await (await fetch(`${server.url}/health`)).json()).not.toHaveProperty("protocolVersion");
  expect(await server.stop()).toBe(0);
  expect(existsSync(join(dataDir, "hapi"))).toBe(false);
  expect(server.said()).not.toContain("HAPI");
});

test("where nobody asked for it, the server goes on without it while a hub is on its folder", async () => {
  const dataDir = sibling("unasked");
  const port = await freePort();
  const home = join(dataDir, "hapi");
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "settings.json"), JSON.stringify({ listenPort: port }));
  const hub = await serve(["--data-dir", sibling("unasked-other"), "--hapi-port", String(port)]);
  const server = await serve(["--data-dir", dataDir]);
  try {
    expect(server.said()).toContain(`it may be using ${home}`);
    expect(server.said()).toContain("The server goes on without hapi.");
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    expect((await fetch(`${server.url}/api/sessions`)).status).toBe(404);
  } finally {
    await server.stop();
    await hub.stop();
  }
  expect(readdirSync(home)).toEqual(["settings.json"]);
});

test("where nobody asked for it, a damaged file of its home ends no start, and stays as it is", async () => {
  const dataDir = sibling("unasked-damaged");
  const home = join(dataDir, "hapi");
  mkdirSync(home, { recursive: true });
  for (const [name, problem] of [
    ["settings.json", "is not a JSON object"],
    ["jwt-secret.json", "does not hold a key of 32 bytes"],
    ["owner-id.json", "does not hold a positive whole number"],
  ] as const) {
    writeFileSync(join(home, name), '{"cut');
    const server = await serve(["--data-dir", dataDir]);
    expect((await fetch(`${server.url}/api/sessions`)).status).toBe(404);
    expect(await server.stop()).toBe(0);
    expect(server.said()).toContain(problem);
    expect(server.said()).toContain("The server goes on without hapi.");
    expect(readdirSync(home)).toEqual([name]);
    rmSync(join(home, name));
  }
});

test("a fresh home lets in by its token, and the token is in the file alone", async () => {
  const dataDir = sibling("fresh");
  const home = join(dataDir, "hapi");
  const server = await serve(["--data-dir", dataDir, "--hapi-enabled"]);
  const { cliApiToken } = settingsOf(home);
  const [status, { token, user }] = await login(server.url, cliApiToken);
  expect(status).toBe(200);
  expect(await (await fetch(`${server.url}/health`)).json()).toMatchObject({
    status: "ok",
    service: "happy-server",
    protocolVersion: 1,
    capabilities: { workGraph: true, titleSuggestion: false },
  });
  expect((await fetch(`${server.url}/cli/sessions/none`)).status).toBe(401);
  const events = await fetch(`${server.url}/api/events?all=1&token=${token}`);
  expect([events.status, events.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  expect(user.id).toBe(JSON.parse(readFileSync(join(home, "owner-id.json"), "utf8")).ownerId);
  expect(mode(home)).toBe("700");
  for (const name of ["hapi.db", "settings.json", "jwt-secret.json", "owner-id.json"])
    expect(mode(join(home, name))).toBe("600");
  expect(await server.stop()).toBe(0);
  expect(server.said()).not.toContain(cliApiToken);
  expect(server.said()).toContain(`"cliApiToken" in ${join(home, "settings.json")}`);

  const archive = sibling("fresh.tar.zst");
  expect(await roost("backup", archive, "--data-dir", dataDir)).toMatchObject({ code: 0 });
  const restored = sibling("fresh-restored");
  expect(await roost("restore", archive, "--data-dir", restored)).toMatchObject({ code: 0 });
  const again = await serve(["--data-dir", restored, "--hapi-enabled"]);
  // Who was logged in still is.
  const who = await fetch(`${again.url}/api/events`, { headers: { authorization: `Bearer ${token}` } });
  expect(who.status).toBe(200);
  expect((await login(again.url, cliApiToken))[0]).toBe(200);
  await again.stop();
});

/** As the released hub leaves it: its own tables of version 26 are what a fresh file of ours has without additions. */
async function theirHome(name: string, settings: object): Promise<string> {
  const dataDir = sibling(`${name}-maker`);
  const maker = await serve(["--data-dir", dataDir, "--hapi-enabled"]);
  await maker.stop();
  const home = sibling(name);
  mkdirSync(home);
  for (const file of ["hapi.db", "jwt-secret.json", "owner-id.json"])
    writeFileSync(join(home, file), readFileSync(join(dataDir, "hapi", file)));
  using sqlite = new Database(join(home, "hapi.db"), { readwrite: true });
  const additions = sqlite.query(
    "SELECT name FROM sqlite_schema WHERE name LIKE 'roost\\_%' ESCAPE '\\' AND type = 'table'",
  );
  sqlite.run("PRAGMA foreign_keys = OFF");
  for (const [table] of additions.values()) sqlite.run(`DROP TABLE ${String(table)}`);
  sqlite.run(
    "INSERT INTO sessions (id, tag, namespace, created_at, updated_at) VALUES ('5b0e5a4e-0000-4000-8000-000000000001', 't', 'default', 1, 1)",
  );
  writeFileSync(join(home, "settings.json"), JSON.stringify(settings));
  return home;
}

test("one that is taken over in place is served at its own port too, keeps what the CLI wrote, and is handed back", async () => {
  const port = await freePort();
  const theirs = {
    machineId: "m-1",
    cliApiToken: "kX9_long_and_of_chance",
    listenPort: port,
    apiUrl: "http://x",
    later: [1],
  };
  const home = await theirHome("taken", theirs);
  const dataDir = sibling("taken-data");
  const server = await serve(["--data-dir", dataDir, "--hapi-home", home]);
  const own = `http://127.0.0.1:${port}`;
  expect((await login(own, "kX9_long_and_of_chance"))[0]).toBe(200);
  expect((await login(server.url, "kX9_long_and_of_chance:team"))[0]).toBe(200);
  expect(await (await fetch(`${own}/health`)).json()).toMatchObject({ status: "ok", protocolVersion: 1 });
  const preflight = await fetch(`${own}/health`, { method: "OPTIONS" });
  expect([preflight.status, preflight.headers.get("access-control-allow-methods")]).toEqual([
    204,
    "GET,POST,PUT,PATCH,DELETE,OPTIONS",
  ]);
  // Nobody else is there.
  const other = await fetch(`${own}/v1/sessions`);
  expect([other.status, await other.text()]).toEqual([404, "404 Not Found"]);
  expect(existsSync(join(dataDir, "hapi"))).toBe(false);
  expect(settingsOf(home)).toEqual({ ...theirs, vapidKeys: expect.anything() });
  expect(await server.stop()).toBe(0);
  expect([existsSync(join(home, "hapi.db-wal")), existsSync(join(home, "hapi.db-shm"))]).toEqual([
    false,
    false,
  ]);
  using sqlite = new Database(join(home, "hapi.db"), { readwrite: true });
  const pragma = (name: string) => sqlite.query(`PRAGMA ${name}`).values()[0]?.[0];
  expect([pragma("user_version"), pragma("application_id"), pragma("journal_mode")]).toEqual([26, 0, "wal"]);
  expect(sqlite.query("SELECT tag FROM sessions").values()).toEqual([["t"]]);
});

test("while a hub answers at its port, a server that was asked for it does not start, and nothing is made", async () => {
  const dataDir = sibling("served");
  const home = join(dataDir, "hapi");
  const port = await freePort();
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "settings.json"), JSON.stringify({ listenPort: port }));
  const hub = await serve(["--data-dir", sibling("other-hub"), "--hapi-port", String(port)]);
  try {
    const sentence = `A HAPI hub answers at port ${port} of 127.0.0.1: it may be using ${home}.`;
    await expect(serve(["--data-dir", dataDir, "--hapi-enabled"])).rejects.toThrow(sentence);
    expect(existsSync(join(home, "hapi.db"))).toBe(false);
    const doctor = await roost("doctor", "--data-dir", dataDir, "--hapi-enabled");
    expect(doctor.stdout).toContain(`A HAPI hub answers at port ${port}`);
  } finally {
    await hub.stop();
  }
});

test("a settings.json that is damaged ends the start and stays; the doctor names it", async () => {
  const home = sibling("damaged");
  mkdirSync(home);
  writeFileSync(join(home, "settings.json"), '{"cliApiToken": "secret-tok');
  const words = ["--data-dir", sibling("damaged-data"), "--hapi-home", home, "--hapi-port", "none"];
  await expect(serve(words)).rejects.toThrow(`The file ${join(home, "settings.json")} is not a JSON object.`);
  await expect(serve(words)).rejects.not.toThrow("secret-tok");
  expect(readFileSync(join(home, "settings.json"), "utf8")).toBe('{"cliApiToken": "secret-tok');
  const { stdout } = await roost("doctor", ...words);
  expect(stdout).toContain("is not a JSON object");
});

const released = needs.installed("the released hapi 0.30.7", installedHapi());

released.test("the released hub opens what Roost has written, with the same token and logins", async () => {
  const dataDir = sibling("back");
  const home = join(dataDir, "hapi");
  const server = await serve(["--data-dir", dataDir, "--hapi-enabled"]);
  const { cliApiToken } = settingsOf(home);
  const [, { token, user }] = await login(server.url, cliApiToken);
  await server.stop();
  const port = await freePort();
  const hub = Bun.spawn([installedHapi() ?? "", "hub", "--no-relay"], {
    env: {
      ...ENV,
      HAPI_HOME: home,
      HAPI_LISTEN_PORT: String(port),
      HAPI_ANDROID_PUSH: "off",
      HAPI_IOS_PUSH: "off",
    },
    stdout: "ignore",
    stderr: "ignore",
  });
  try {
    const own = `http://127.0.0.1:${port}`;
    await until(
      "the released hub",
      async () => (await fetch(`${own}/health`).catch(() => undefined))?.ok === true,
    );
    expect((await login(own, cliApiToken))[1].user.id).toBe(user.id);
    const list = await fetch(`${own}/api/sessions`, { headers: { authorization: `Bearer ${token}` } });
    expect(await list.json()).toEqual({ sessions: [] });
    // It has pinned its port there.
    expect(settingsOf(home)).toMatchObject({ listenPort: port, cliApiToken });
    await expect(serve(["--data-dir", dataDir, "--hapi-enabled", "--hapi-port", "none"])).rejects.toThrow(
      "A HAPI hub answers",
    );
    const other = await freePort();
    writeFileSync(join(home, "settings.json"), JSON.stringify({ ...settingsOf(home), listenPort: other }));
    await expect(serve(["--data-dir", dataDir, "--hapi-enabled", "--hapi-port", "none"])).rejects.toThrow(
      `Another program has the database ${join(home, "hapi.db")} open, as HAPI does while it runs.`,
    );
  } finally {
    hub.kill("SIGTERM");
    await hub.exited;
  }
  const again = await serve(["--data-dir", dataDir, "--hapi-enabled", "--hapi-port", "none"]);
  expect((await login(again.url, cliApiToken))[1].user.id).toBe(user.id);
  await again.stop();
});

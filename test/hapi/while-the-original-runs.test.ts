// While the original hub runs on a home, Roost touches nothing of it: who asked for HAPI in words gets one sentence and no server, everybody
// else a server without HAPI and one line of the log. With the released hub, and with a stand-in that holds its database as the hub does.
import { Database } from "bun:sqlite";
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { startServer } from "../../src/context.ts";
import type { ProtocolManifest } from "../../src/protocol/manifest.ts";
import { protocols } from "../../src/protocols.ts";
import { installedHapi } from "../clients/hapi-release.ts";
import { type Config, parseConfig } from "../support/config.ts";
import { freePort } from "../support/free-port.ts";
import { hubOn } from "../support/hapi-hub-on.ts";
import { needs } from "../support/needs.ts";
import { start } from "../support/process.ts";
import { TEST_SECRET } from "../support/server.ts";

// Both are processes of their own, and other tests may have the machine.
setDefaultTimeout(120_000);

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "roost-hapi-runs-"));
  undo.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const list = protocols as readonly ProtocolManifest[];
/** As where HAPI is on without anybody's word. */
const unasked = list.map((protocol) =>
  protocol.name === "hapi" ? { ...protocol, isOn: () => true, isAskedFor: () => false } : protocol,
);

async function serve(dataDir: string, which = list, more: object = { hapiEnabled: true }) {
  const said: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => said.push(JSON.parse(line).msg) });
  const config = {
    ...parseConfig({}),
    port: 0,
    host: "127.0.0.1",
    masterSecret: TEST_SECRET,
    hapiPort: "none",
    ...more,
    dataDir,
  } as unknown as Config;
  const server = await startServer(config, log, which as readonly ProtocolManifest<Config>[]);
  const stop = () => server.stop();
  return { url: `http://127.0.0.1:${server.port}`, said, stop };
}

const statusOf = async (url: string) => (await fetch(url, { method: "POST", body: "{}" })).status;
const rowsOf = (home: string) => {
  using sqlite = new Database(join(home, "hapi.db"), { readwrite: true });
  return sqlite.query("SELECT tag FROM sessions ORDER BY tag").values();
};

/** What both must meet, while somebody uses `home`, which is the data folder's. */
async function refusesAndGoesOn(dataDir: string, sentence: string): Promise<void> {
  const home = join(dataDir, "hapi");
  const settings = readFileSync(join(home, "settings.json"), "utf8");
  const names = () => readdirSync(home).filter((name) => !name.startsWith("roost."));
  const before = names();
  await expect(serve(dataDir)).rejects.toThrow(sentence);
  // The same by another name of the folder.
  await expect(serve(freshFolder(), list, { hapiHome: home })).rejects.toThrow(sentence);
  const server = await serve(dataDir, unasked, {});
  try {
    const told = server.said.filter((line) => line.includes("The server goes on without hapi."));
    expect(told).toEqual([expect.stringContaining(sentence)]);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    expect(await statusOf(`${server.url}/api/auth`)).toBe(404);
  } finally {
    await server.stop();
  }
  expect(names()).toEqual(before);
  expect(readFileSync(join(home, "settings.json"), "utf8")).toBe(settings);
}

async function isServedAfterwards(dataDir: string, tags: readonly string[]): Promise<void> {
  for (const which of [list, unasked]) {
    const server = await serve(dataDir, which, which === list ? { hapiEnabled: true } : {});
    expect(server.said.join()).not.toContain("goes on without");
    expect(await statusOf(`${server.url}/api/auth`)).toBe(400);
    await server.stop();
  }
  expect(rowsOf(join(dataDir, "hapi"))).toEqual(tags.map((tag) => [tag]));
}

const held = (home: string) =>
  `Another program has the database ${join(home, "hapi.db")} open, as HAPI does while it runs. Stop it first, or name another folder with --hapi-home.`;

test("a stand-in that holds the database and does nothing with it", async () => {
  const dataDir = freshFolder();
  const home = join(dataDir, "hapi");
  await (await serve(dataDir)).stop();
  const script = `const { Database } = require("bun:sqlite"); const file = new Database(${JSON.stringify(join(home, "hapi.db"))});
    file.run("PRAGMA journal_mode = WAL"); file.run("PRAGMA synchronous = NORMAL"); file.run("PRAGMA foreign_keys = ON");
    file.run("INSERT INTO sessions (id, tag, created_at, updated_at) VALUES ('s', 'theirs', 1, 1)");
    console.log("held"); setInterval(() => {}, 1000);`;
  const other = start([process.execPath, "-e", script]);
  await other.printed(/(held)/);
  try {
    await refusesAndGoesOn(dataDir, held(home));
  } finally {
    await other.end();
  }
  await isServedAfterwards(dataDir, ["theirs"]);
});

const released = needs.installed("the released hapi 0.30.7", installedHapi());

released.describe("the released hub", () => {
  test("answers at the port that its home names: that is said, and nothing of its home is opened", async () => {
    const dataDir = freshFolder();
    const home = join(dataDir, "hapi");
    const hub = await hubOn(home);
    try {
      await hub.ask("POST", "/cli/sessions", { tag: "theirs", metadata: { path: "/p", host: "h" } });
      await refusesAndGoesOn(
        dataDir,
        `A HAPI hub answers at port ${hub.port} of 127.0.0.1: it may be using ${home}. Stop it first`,
      );
      // At another port than its home names it is known by the database that it holds.
      const settings = JSON.parse(readFileSync(join(home, "settings.json"), "utf8"));
      writeFileSync(
        join(home, "settings.json"),
        JSON.stringify({ ...settings, listenPort: freePort() }, null, 2),
      );
      await refusesAndGoesOn(dataDir, held(home));
      await hub.ask("POST", "/cli/sessions", { tag: "theirs too", metadata: { path: "/p", host: "h" } });
      expect((await hub.ask("GET", "/api/sessions")).body).toMatchObject({ sessions: [{}, {}] });
    } finally {
      await hub.stop();
    }
    await isServedAfterwards(dataDir, ["theirs", "theirs too"]);
  });
});

test("a home that nobody uses is served, whoever asked", async () => {
  await isServedAfterwards(freshFolder(), []);
});

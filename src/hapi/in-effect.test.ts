// What was given wins over what the home says, and that over the defaults.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { catalogue, loadConfig, parseConfig } from "../../test/support/config.ts";
import { unfollowedVariables } from "../config/env.ts";
import { greeting } from "./greeting.ts";
import { look } from "./look.ts";
import { placeOf } from "./place.ts";
import type { HapiConfig } from "./settings.ts";
import { hapiAskedFor, hapiOn } from "./switch.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "roost-place-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const config = (more: Partial<HapiConfig> = {}): HapiConfig => ({
  ...parseConfig({}),
  hapiHome: home,
  ...more,
});
const says = (settings: object) => writeFileSync(join(home, "settings.json"), JSON.stringify(settings));
const effect = (more?: Partial<HapiConfig>) => placeOf(config(more)).inEffect;

test("a home that is taken over is served at the port that its clients know", () => {
  expect(effect().listener).toEqual({ port: 3006, host: undefined });
  says({ listenPort: 4000, listenHost: "127.0.0.1" });
  expect(effect().listener).toEqual({ port: 4000, host: "127.0.0.1" });
  expect(effect({ hapiPort: 5000, hapiHost: "::1" }).listener).toEqual({ port: 5000, host: "::1" });
  expect(effect({ hapiPort: "none" }).listener).toBeUndefined();
  // It is served there anyway.
  expect(effect({ port: 4000 }).listener).toBeUndefined();
});

test("the home in the data folder has a port of its own where somebody has said so", () => {
  const own = { hapiHome: undefined, dataDir: home };
  expect(effect(own).listener).toBeUndefined();
  expect(effect({ ...own, hapiPort: 3006 }).listener).toEqual({ port: 3006, host: undefined });
});

test("addresses, origins and Telegram: given, else the home's, else the server's", () => {
  expect(effect({ publicUrl: "https://roost.example/" })).toMatchObject({
    publicUrl: "https://roost.example",
    corsOrigins: [],
    telegramBotToken: undefined,
    telegramNotification: true,
  });
  says({
    publicUrl: "https://hapi.example/",
    corsOrigins: ["https://app.example/"],
    telegramBotToken: "1:x",
    telegramNotification: false,
  });
  expect(effect({ publicUrl: "https://roost.example" })).toMatchObject({
    publicUrl: "https://hapi.example",
    corsOrigins: ["https://app.example"],
    telegramBotToken: "1:x",
    telegramNotification: false,
  });
  const given = {
    hapiPublicUrl: "https://x.example",
    hapiCorsOrigins: ["*"],
    hapiTelegramNotification: true,
  };
  expect(effect(given)).toMatchObject({
    publicUrl: "https://x.example",
    corsOrigins: ["*"],
    telegramNotification: true,
  });
});

test("an origin is listed as browsers write it, as with the original", () => {
  const hapiCorsOrigins = [
    "https://a.example/",
    "https://B.Example",
    "http://c.example:80",
    "https://d.example:443/path?x",
    "https://e.example:8443",
    "capacitor://localhost/",
    "f.example",
    "*",
  ];
  expect(effect({ hapiCorsOrigins }).corsOrigins).toEqual([
    "https://a.example",
    "https://b.example",
    "http://c.example",
    "https://d.example",
    "https://e.example:8443",
    "capacitor://localhost",
    "f.example",
    "*",
  ]);
});

test("the original's variables configure it", async () => {
  const { config: read } = await loadConfig(["--data-dir", home], {
    CLI_API_TOKEN: "t",
    HAPI_LISTEN_PORT: "4006",
    HAPI_LISTEN_HOST: "127.0.0.1",
    HAPI_PUBLIC_URL: "https://hapi.example",
    CORS_ORIGINS: "https://a.example, https://b.example",
    TELEGRAM_BOT_TOKEN: "1:x",
    TELEGRAM_NOTIFICATION: "false",
    VAPID_SUBJECT: "mailto:me@example.org",
    HAPI_TERMINAL_IDLE_TIMEOUT_MS: "60000",
    HAPI_TERMINAL_MAX_TERMINALS: "2",
  });
  expect(read).toMatchObject({
    hapiAccessToken: "t",
    hapiPort: 4006,
    hapiHost: "127.0.0.1",
    hapiPublicUrl: "https://hapi.example",
    hapiCorsOrigins: ["https://a.example", "https://b.example"],
    hapiTelegramBotToken: "1:x",
    hapiTelegramNotification: false,
    hapiVapidSubject: "mailto:me@example.org",
    hapiTerminalIdleMs: 60_000,
    hapiMaxTerminals: 2,
  });
});

test("HAPI_HOME, which the CLI goes by too, counts only where HAPI was asked for, and less than anything else", async () => {
  const read = async (argv: string[], environment: Record<string, string>) =>
    loadConfig(["--data-dir", home, ...argv], environment);
  const environment = { HAPI_HOME: "~/.hapi" };
  const alone = await read([], environment);
  expect(alone.config.hapiHome).toBeUndefined();
  expect(unfollowedVariables(catalogue, environment, alone.given)).toEqual([
    "HAPI_HOME is set and not followed: it may be meant for other programs. To use what it names, say --hapi-home.",
  ]);
  const asked = await read(["--hapi-enabled"], environment);
  expect(asked.config.hapiHome).toBe(join(homedir(), ".hapi"));
  expect(unfollowedVariables(catalogue, environment, asked.given)).toEqual([]);
  expect((await read(["--hapi-home", "/x"], environment)).config.hapiHome).toBe("/x");
  writeFileSync(join(home, "roost.yaml"), "hapi: { home: /from-file, enabled: true }\n");
  expect((await read([], environment)).config.hapiHome).toBe("/from-file");
});

test.each<[Partial<HapiConfig>, boolean, boolean]>([
  [{}, false, true],
  [{ hapiEnabled: true }, true, true],
  [{ hapiEnabled: false }, false, false],
  [{ hapiEnabled: false, hapiHome: "/x" }, false, false],
  [{ hapiHome: "/x" }, true, true],
  [{ hapiPort: 3006 }, true, true],
  [{ hapiPort: "none" }, false, true],
])("with %j: asked for %p, on %p", (given, asked, on) => {
  const all = { ...config(), hapiHome: undefined, ...given };
  expect([hapiAskedFor(all), hapiOn(all)]).toEqual([asked, on]);
});

test("a hub at the port of a home that is taken over is named, anything else there is not", async () => {
  const answers = { status: "ok", protocolVersion: 1 as unknown };
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json(answers) });
  try {
    says({ listenPort: server.port, listenHost: "127.0.0.1" });
    await expect(look(config())).rejects.toThrow(
      `A HAPI hub answers at port ${server.port} of 127.0.0.1: it may be using ${home}. Stop it first,`,
    );
    answers.protocolVersion = "another program's";
    await look(config());
  } finally {
    await server.stop(true);
  }
  await look(config());
});

test("a token with a namespace is refused before anything is made", async () => {
  await expect(look(config({ hapiAccessToken: "t:team" }))).rejects.toThrow("has a colon in it");
  says({ cliApiToken: "t:team" });
  await expect(look(config())).rejects.toThrow(join(home, "settings.json"));
});

test("the token is shown to a person at the first start, and only its place to anybody else", async () => {
  says({ cliApiToken: "kX9_long_and_of_chance", listenPort: 4000 });
  const told = async (more: object, given: Partial<HapiConfig> = {}) =>
    (
      await greeting({
        config: config(given),
        firstRun: true,
        terminal: true,
        local: "http://localhost:3005",
        network: ["http://192.168.0.2:3005"],
        ...more,
      })
    ).join("\n");
  const first = await told({});
  expect(first).toContain("export CLI_API_TOKEN=kX9_long_and_of_chance");
  expect(first).toContain("export HAPI_API_URL=http://192.168.0.2:3005");
  expect(first).toContain("port 4000");
  for (const [facts, given] of [
    [{ firstRun: false }, {}],
    [{ terminal: false }, {}],
    [{}, { hapiAccessToken: "kX9_long_and_of_chance" }],
  ] as const)
    expect(await told(facts, given)).not.toContain("kX9_long");
  expect(await told({ terminal: false })).toContain(join(home, "settings.json"));
});

test("ServerChan: with a key, and where nobody says no", () => {
  expect(effect().serverChan).toBeUndefined();
  says({ serverChanSendKey: "SCT1", serverChanBackgroundOnly: true });
  expect(effect().serverChan).toEqual({ sendKey: "SCT1", backgroundOnly: true });
  const given = { hapiServerchanKey: "SCT2", hapiServerchanBackgroundOnly: false };
  expect(effect(given).serverChan).toEqual({ sendKey: "SCT2", backgroundOnly: false });
  expect(effect({ hapiServerchanNotification: false }).serverChan).toBeUndefined();
  says({ serverChanSendKey: "SCT1", serverChanNotification: false });
  expect(effect().serverChan).toBeUndefined();
  expect(effect({ hapiServerchanNotification: true }).serverChan).toEqual({
    sendKey: "SCT1",
    backgroundOnly: false,
  });
});

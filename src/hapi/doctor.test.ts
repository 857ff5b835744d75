// What the doctor finds of a home: each finding that docs/what-can-go-wrong.md explains, with its severity, without a secret in any.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../test/support/free-port.ts";
import { findings } from "./doctor.ts";
import type { HapiConfig } from "./settings.ts";

let dataDir: string;
let home: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "roost-hapi-doctor-"));
  home = join(dataDir, "hapi");
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const TOKEN = "q".repeat(20) + "w".repeat(23);
const KEY = { secretBase64: Buffer.alloc(32, 1).toString("base64") };
const put = (name: string, value: unknown) =>
  writeFileSync(join(home, name), typeof value === "string" ? value : JSON.stringify(value));

/** A home that is as it should be, on a port where nobody answers. */
async function good(more: object = {}): Promise<void> {
  mkdirSync(home, { recursive: true });
  put("settings.json", { cliApiToken: TOKEN, listenPort: await freePort(), ...more });
  put("jwt-secret.json", KEY);
  put("owner-id.json", { ownerId: 7 });
}

async function found(config: Partial<HapiConfig> = {}) {
  const all = await Array.fromAsync(
    findings({ dataDir, port: 0, host: "127.0.0.1", ...config } as HapiConfig),
  );
  expect(JSON.stringify(all)).not.toContain(TOKEN);
  expect(JSON.stringify(all)).not.toContain(KEY.secretBase64);
  return all;
}
const one = async (name: string, config?: Partial<HapiConfig>) =>
  (await found(config)).find((finding) => finding.check === name);

test("a home that is as it should be; none yet; one without a token yet", async () => {
  expect(await found()).toMatchObject([{ check: "hapi-home", result: "skipped" }]);
  expect(readdirSync(dataDir)).toEqual([]);
  await good();
  expect(await found()).toMatchObject([
    { check: "hapi-home", result: "ok" },
    { check: "hapi-notes", result: "skipped" },
    { check: "hapi-port", result: "skipped" },
  ]);
  await good({ cliApiToken: undefined });
  expect(await one("hapi-home")).toMatchObject({ result: "skipped" });
});

test("files of notes: how much there is, one that is near its limit, and a link in their place", async () => {
  await good();
  const folder = join(home, "scratchlist-attachments");
  const of = (namespace: string) => join(folder, namespace, "session");
  mkdirSync(of("default"), { recursive: true });
  writeFileSync(join(of("default"), "a"), "x".repeat(1_000));
  mkdirSync(of("te%20am"), { recursive: true });
  writeFileSync(join(of("te%20am"), "b"), "x".repeat(950));
  symlinkSync(home, join(of("te%20am"), "link"));
  expect(await one("hapi-notes", { hapiMaxNoteFileBytes: 0 })).toMatchObject({ result: "ok" });
  expect((await one("hapi-notes", { hapiMaxNoteFileBytes: 0 }))?.says).toContain("in 2 namespaces");
  const near = await one("hapi-notes", { hapiMaxNoteFileBytes: 1_100 });
  expect(near).toMatchObject({ result: "warning" });
  expect(near?.says).toContain("of default are near their limit");
  renameSync(folder, join(dataDir, "elsewhere"));
  symlinkSync(join(dataDir, "elsewhere"), folder);
  expect(await one("hapi-notes")).toMatchObject({ result: "failure" });
});

test.each<[string, string, unknown, string]>([
  ["settings that are no JSON", "settings.json", `{"cliApiToken":"${TOKEN}"`, "is not a JSON object"],
  ["a key of another length", "jwt-secret.json", { secretBase64: "AAAA" }, "does not hold a key of 32 bytes"],
  ["an owner that is no number", "owner-id.json", { ownerId: "x" }, "a positive whole number"],
  ["a namespace in the token", "settings.json", { cliApiToken: `${TOKEN}:team` }, "has a colon in it"],
])("%s: a failure", async (_, file, value, words) => {
  await good();
  put(file, value);
  const finding = await one("hapi-home");
  expect(finding?.result).toBe("failure");
  expect(JSON.stringify(finding)).toContain(words);
});

test("a token that can be guessed, and a write that was cut short: warnings", async () => {
  await good({ cliApiToken: "hapi" });
  expect(await one("hapi-home")).toMatchObject({ result: "warning" });
  expect(await one("hapi-home", { hapiAccessToken: "1234567890123456789" })).toMatchObject({
    result: "warning",
  });
  await good();
  put("settings.json.tmp-1", "{}");
  expect(JSON.stringify(await one("hapi-home"))).toContain("was cut short");
});

test("a hub at the home's port that is not this server is a warning, and one at our own is fine", async () => {
  using hub = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => Response.json({ status: "ok", protocolVersion: 1 }),
  });
  await good({ listenPort: hub.port });
  expect(await one("hapi-port", { hapiPort: "none" } as Partial<HapiConfig>)).toMatchObject({
    result: "warning",
  });
  expect(await one("hapi-port", { hapiPort: hub.port } as Partial<HapiConfig>)).toMatchObject({
    result: "ok",
  });
});

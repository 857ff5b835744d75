// Which configuration file is read, and that flags win over the environment, the environment over the file.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../test/support/config.ts";

const started = process.cwd();
let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "roost-config-")));
  process.chdir(folder);
  mkdirSync("data");
});
afterEach(() => {
  process.chdir(started);
  rmSync(folder, { recursive: true });
});

test("flags, then variables, then the file, then defaults", async () => {
  writeFileSync("roost.yaml", "port: 1\nhost: file\nlogLevel: warn\n");
  const { config, given, file } = await loadConfig(["--port", "3"], { ROOST_PORT: "2", HOST: "variable" });
  expect(config).toMatchObject({ port: 3, host: "variable", logLevel: "warn", dataDir: "./data" });
  expect(given).toMatchObject({
    port: { source: "--port" },
    host: { source: "HOST" },
    logLevel: { source: `logLevel (${join(folder, "roost.yaml")}, line 3)` },
  });
  expect(file).toBe(join(folder, "roost.yaml"));
});

test("the data folder's file is read before the current folder's", async () => {
  writeFileSync("roost.yaml", "port: 1\n");
  writeFileSync("data/roost.yaml", "port: 2\n");
  expect((await loadConfig([], {})).config.port).toBe(2);
  expect((await loadConfig(["--data-dir", "elsewhere"], {})).config.port).toBe(1);
});

test("a file that is named is the only one that is read, and must be there", async () => {
  writeFileSync("roost.yaml", "port: 1\n");
  writeFileSync("other.yaml", "host: other\n");
  const { config, places } = await loadConfig([], { ROOST_CONFIG: "other.yaml" });
  expect(config).toMatchObject({ host: "other", port: 3005 });
  expect(places).toEqual([join(folder, "other.yaml")]);
  expect(loadConfig(["--config", "gone.yaml"], {})).rejects.toThrow(
    `The configuration file ${join(folder, "gone.yaml")} is not there.`,
  );
});

test("no file is needed", async () => {
  const { file, config } = await loadConfig([], {});
  expect(file).toBeUndefined();
  expect(config.port).toBe(3005);
});

test("a file in the current folder may name the data folder; one in a data folder cannot name another", async () => {
  writeFileSync("roost.yaml", "dataDir: elsewhere\n");
  expect((await loadConfig([], {})).config.dataDir).toBe("elsewhere");
  writeFileSync("data/roost.yaml", "dataDir: elsewhere\n");
  expect(loadConfig([], {})).rejects.toThrow("lies in a data folder and cannot name another one");
});

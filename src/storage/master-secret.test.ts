// The secret is made once, kept for its owner only, and never replaced in silence.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newAccount } from "../../test/support/happy-client.ts";
import { testServer } from "../../test/support/server.ts";
import { loadMasterSecret } from "./master-secret.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "roost-secret-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const load = (masterSecret?: string, hasAccounts = false) =>
  loadMasterSecret(
    { dataDir, masterSecret },
    hasAccounts ? { what: "accounts", variable: "HANDY_MASTER_SECRET" } : undefined,
  );

test("the first run makes one, the next ones read it", () => {
  const { value, origin } = load();
  expect(origin).toBe("created");
  expect(value).toMatch(/^[0-9a-f]{64}$/);
  expect(statSync(join(dataDir, "master-secret")).mode & 0o777).toBe(0o600);
  expect(load()).toEqual({ value, origin: "file" });
});

test("one that others may read is closed to them at the next start", () => {
  const path = join(dataDir, "master-secret");
  writeFileSync(path, "kept");
  chmodSync(path, 0o644);
  expect(load()).toEqual({ value: "kept", origin: "file" });
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a configured one wins and is not written down", () => {
  writeFileSync(join(dataDir, "master-secret"), "other");
  expect(load("mine")).toEqual({ value: "mine", origin: "configured" });
  expect(readFileSync(join(dataDir, "master-secret"), "utf8")).toBe("other");
});

test("an empty file, and accounts without a secret, are refused with what to do", () => {
  writeFileSync(join(dataDir, "master-secret"), "\n");
  expect(() => load()).toThrow("is empty");
  rmSync(join(dataDir, "master-secret"));
  expect(() => load(undefined, true)).toThrow("has accounts but no secret");
  expect(load("mine", true).origin).toBe("configured");
});

test("a server whose secret is gone does not start with another one", async () => {
  const server = await testServer({ masterSecret: undefined, dataDir });
  await newAccount(server.url);
  await server.stop();
  rmSync(join(dataDir, "master-secret"));
  await expect(testServer({ masterSecret: undefined, dataDir })).rejects.toThrow(
    "has accounts but no secret",
  );
});

// The secret is made once, kept for its owner only, and never replaced in silence.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadMasterSecret } from "./secrets.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "roost-secret-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const load = (masterSecret?: string) => loadMasterSecret({ dataDir, masterSecret });

test("the first run makes one, the next ones read it", () => {
  const { value, origin } = load();
  expect(origin).toBe("created");
  expect(value).toMatch(/^[0-9a-f]{64}$/);
  expect(statSync(join(dataDir, "master-secret")).mode & 0o777).toBe(0o600);
  expect(load()).toEqual({ value, origin: "file" });
});

test("a configured one wins and is not written down", () => {
  writeFileSync(join(dataDir, "master-secret"), "other");
  expect(load("mine")).toEqual({ value: "mine", origin: "configured" });
  expect(readFileSync(join(dataDir, "master-secret"), "utf8")).toBe("other");
});

test("an empty file, and a database without a secret, are refused with what to do", () => {
  writeFileSync(join(dataDir, "master-secret"), "\n");
  expect(() => load()).toThrow("is empty");
  rmSync(join(dataDir, "master-secret"));
  writeFileSync(join(dataDir, "happy.db"), "");
  expect(() => load()).toThrow("has a database but no secret");
  expect(load("mine").origin).toBe("configured");
});

// /ready tells of a home that went away, and says nothing while it is there.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { homeCheck } from "./check.ts";

let place: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "roost-hapi-check-"));
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

test("a home that was moved away is told, and so is another one in its place", () => {
  const home = join(place, "hapi");
  mkdirSync(home);
  const check = homeCheck(home);
  expect(check.run()).toBeUndefined();
  renameSync(home, join(place, "moved"));
  expect(() => check.run()).toThrow("HAPI's home is not there any more.");
  mkdirSync(home);
  expect(() => check.run()).toThrow("HAPI's home is another folder than at the start.");
  rmSync(home, { recursive: true });
  renameSync(join(place, "moved"), home);
  expect(check.run()).toBeUndefined();
});

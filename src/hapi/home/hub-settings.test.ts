// Settings that the owner changes while the hub runs: kept in the file that the hub and the CLI share, with everything else in it.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HubSettings } from "./hub-settings.ts";
import { settingsPath } from "./settings-file.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "roost-hub-settings-"));
});
afterEach(() => rmSync(home, { recursive: true }));

test("what is said is in the file, and nothing else of it changes", async () => {
  writeFileSync(settingsPath(home), '{"cliApiToken":"t","sessionSummaryInChat":true,"own":[1]}');
  const settings = new HubSettings(home);
  expect([settings.sessionSummaryContract, settings.sessionSummaryInChat]).toEqual([false, true]);
  await settings.change({ sessionSummaryContract: true, sessionSummaryInChat: undefined });
  expect([settings.sessionSummaryContract, settings.sessionSummaryInChat]).toEqual([true, true]);
  expect(JSON.parse(readFileSync(settingsPath(home), "utf8"))).toEqual({
    cliApiToken: "t",
    sessionSummaryInChat: true,
    own: [1],
    sessionSummaryContract: true,
  });
  expect(new HubSettings(home).sessionSummaryContract).toBeTrue();
});

test("a file that cannot be read any more is not written over, and what held goes on", async () => {
  const settings = new HubSettings(home);
  writeFileSync(settingsPath(home), "{");
  await expect(settings.change({ sessionSummaryContract: true })).rejects.toThrow(settingsPath(home));
  expect(settings.sessionSummaryContract).toBeFalse();
  expect(readFileSync(settingsPath(home), "utf8")).toBe("{");
});

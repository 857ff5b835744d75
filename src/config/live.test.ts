// A running server's configuration: what changes in place, what is only named, and that files are seen to change.
import { expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig, settings } from "../../test/support/config.ts";
import { LiveConfig } from "./live.ts";
import { watchFiles } from "./watch-files.ts";

test("live settings change in place, the others stay and are named", () => {
  const live = new LiveConfig(settings, parseConfig({}));
  const { config } = live;
  const heard: unknown[] = [];
  const stop = live.onChange((applied) => heard.push(applied));
  const next = {
    ...parseConfig({}),
    logLevel: "debug" as const,
    rateLimits: false,
    port: 1,
    trustedProxies: [],
  };
  expect(live.update(next)).toEqual({
    applied: ["logLevel", "rateLimits"],
    atRestart: ["port", "trustedProxies"],
  });
  expect(config).toMatchObject({ logLevel: "debug", rateLimits: false, port: 3005 });
  expect(config.trustedProxies).toEqual(["127.0.0.0/8", "::1"]);
  expect(heard).toEqual([["logLevel", "rateLimits"]]);
  expect(live.update(next)).toEqual({ applied: [], atRestart: ["port", "trustedProxies"] });
  stop();
  expect(live.update(parseConfig({})).applied).toEqual(["logLevel", "rateLimits"]);
  expect(heard).toHaveLength(1);
});

test("a file that appears, is replaced by a rename, or goes is a change", async () => {
  const folder = mkdtempSync(join(tmpdir(), "roost-watch-"));
  const path = join(folder, "roost.yaml");
  let changed = () => {};
  const stop = watchFiles([path], () => changed(), 5);
  const change = (act: () => void) =>
    new Promise<void>((resolve) => {
      changed = resolve;
      act();
    });
  await change(() => writeFileSync(path, "a"));
  await change(() => {
    writeFileSync(`${path}.new`, "b");
    renameSync(`${path}.new`, path);
  });
  await change(() => rmSync(path));
  stop();
  rmSync(folder, { recursive: true });
});

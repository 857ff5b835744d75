// What `.ci/run` changes on a machine while it installs programs is as it was afterwards, however that ends.
import { afterEach, beforeEach, expect } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { onUnix } from "./needs.ts";
import { until } from "./until.ts";

const SCRIPT = resolve(import.meta.dir, "../../.ci/without-services");
const OWN = "#!/bin/sh\nexit 0\n";

let folder: string;
let policy: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "roost-policy-"));
  policy = join(folder, "policy-rc.d");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const begin = (...command: string[]) =>
  Bun.spawn(["bash", SCRIPT, ...command], {
    env: { PATH: process.env.PATH ?? "", ROOST_CI_POLICY: policy },
    stdout: "pipe",
    stderr: "inherit",
  });
const run = async (...command: string[]) => {
  const child = begin(...command);
  return [await child.exited, await child.stdout.text()];
};
/** As invoke-rc.d asks. */
const ASK = 'sh "$0"; echo $?';

onUnix.test("no service starts meanwhile, and where nothing was said before nothing is left", async () => {
  expect(await run("sh", "-c", ASK, policy)).toEqual([0, "101\n"]);
  expect(readdirSync(folder)).toEqual([]);
  expect(await run("false")).toEqual([1, ""]);
  expect(await run("no-such-program")).toEqual([127, ""]);
  expect(readdirSync(folder)).toEqual([]);
});

onUnix.test("what was said before is said again, with its mode, also when the command fails", async () => {
  writeFileSync(policy, OWN, { mode: 0o700 });
  expect(await run("sh", "-c", ASK, policy)).toEqual([0, "101\n"]);
  expect(await run("false")).toEqual([1, ""]);
  expect([readdirSync(folder), readFileSync(policy, "utf8")]).toEqual([["policy-rc.d"], OWN]);
  expect(statSync(policy).mode & 0o777).toBe(0o700);
});

onUnix.test("it is put back after a signal, and after a kill by the next run", async () => {
  writeFileSync(policy, OWN);
  const during = async (signal: NodeJS.Signals) => {
    const child = begin("sleep", "0.3");
    await until("it has begun", () => existsSync(`${policy}.before-ci`) && existsSync(policy));
    child.kill(signal);
    return child.exited;
  };
  expect(await during("SIGTERM")).toBe(143);
  expect([readdirSync(folder), readFileSync(policy, "utf8")]).toEqual([["policy-rc.d"], OWN]);
  await during("SIGKILL");
  expect(readFileSync(policy, "utf8")).not.toBe(OWN);
  expect(await run("true")).toEqual([0, ""]);
  expect([readdirSync(folder), readFileSync(policy, "utf8")]).toEqual([["policy-rc.d"], OWN]);
});

// Loaded before every test run (bunfig.toml): after all files it says once what was skipped and why, and ends processes that a failed
// test left. All files run in one process, so that this hook, which belongs to no file, runs once.
import { afterAll } from "bun:test";
import { missing, summary } from "./needs.ts";
import { killAll } from "./process.ts";

afterAll(() => {
  killAll();
  const line = summary();
  if (line !== undefined) console.error(`\n${line}`);
  if (process.env.CI === "true" && missing().length > 0)
    throw new Error(`Under CI=true nothing that .ci/run brings may be missing: ${missing().join("; ")}.`);
});

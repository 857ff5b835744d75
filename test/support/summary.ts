// Loaded before every test run (bunfig.toml): says once, after all files, what was skipped and why. All files run in one process, so
// that this hook of no file's own runs once.
import { afterAll } from "bun:test";
import { missing, summary } from "./needs.ts";

afterAll(() => {
  const line = summary();
  if (line !== undefined) console.error(`\n${line}`);
  if (process.env.CI === "true" && missing().length > 0)
    throw new Error(`Under CI=true nothing that .ci/run brings may be missing: ${missing().join("; ")}.`);
});

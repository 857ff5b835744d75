// What a run of tests starts does not outlive it, also when the run is killed.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { needs } from "./needs.ts";
import { endsWithUs, start } from "./process.ts";
import { until } from "./until.ts";

test("what is started so runs as itself", async () => {
  const ended = await start(endsWithUs(["sh", "-c", "echo out; exit 7"])).finished();
  expect(ended).toEqual({ code: 7, stdout: "out\n", stderr: "" });
});

needs.program("setpriv").test("what is started so ends when the run is killed", async () => {
  const program = `
    const { endsWithUs, start } = await import(${JSON.stringify(join(import.meta.dir, "process.ts"))});
    console.log(start(endsWithUs(["sleep", "300"])).pid);
    await Bun.sleep(300_000);`;
  const run = start([process.execPath, "-e", program]);
  const pid = await run.printed(/^(\d+)$/m);
  const isThere = () => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("sleep");
    } catch {
      return false;
    }
  };
  try {
    await until("it to run", isThere);
    await run.end("SIGKILL");
    await until("it to be gone", () => !isThere());
  } finally {
    if (isThere()) process.kill(Number(pid), "SIGKILL");
  }
});

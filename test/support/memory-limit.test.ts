// The limit that other tests rely on really kills, and a process within it lives.
import { expect } from "bun:test";
import { memoryLimit } from "./memory-limit.ts";
import { needs } from "./needs.ts";

const MIB = 1024 * 1024;
const holding = (mib: number) => `new Uint8Array(${mib * MIB}).fill(1); console.log("held");`;

const limit = memoryLimit(256 * MIB);
const limited = needs.machine("control groups of memory", () => limit.kind === "cgroup");

limited.test("what holds more than its limit is killed, what holds less is not", async () => {
  const run = async (mib: number) => {
    const child = Bun.spawn([...limit.wrapper, process.execPath, "-e", holding(mib)], { stdout: "pipe" });
    return { code: await child.exited, said: await child.stdout.text() };
  };
  expect(await run(50)).toEqual({ code: 0, said: "held\n" });
  expect(limit.kills()).toBe(0);
  expect(await run(400)).toEqual({ code: 137, said: "" });
  expect(limit.kills()).toBe(1);
  limit.release();
});

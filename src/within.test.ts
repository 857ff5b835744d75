// Holds bounded waits to: the work's own answer when it comes in time, ours when it does not, and no timer that is left behind.
import { expect, test } from "bun:test";
import { endsWithin, within } from "./within.ts";

const late = () => new Error("too late");
const never = new Promise<never>(() => {});

test("work in time gives its answer, or its own error", async () => {
  expect(await within(10_000, Promise.resolve(7), late)).toBe(7);
  await expect(within(10_000, Promise.reject(new Error("its own")), late)).rejects.toThrow("its own");
});

test("work that takes longer is given up with the caller's sentence", async () => {
  await expect(within(5, never, late)).rejects.toThrow("too late");
});

test("work that fails after it was given up disturbs nobody", async () => {
  const { promise, reject } = Promise.withResolvers<never>();
  await expect(within(5, promise, late)).rejects.toThrow("too late");
  reject(new Error("unheard"));
  await Bun.sleep(0);
});

test("whether something ended, well or not", async () => {
  expect(await endsWithin(10_000, Promise.resolve())).toBe(true);
  expect(await endsWithin(10_000, undefined)).toBe(true);
  expect(await endsWithin(10_000, Promise.reject(new Error("x")))).toBe(true);
  expect(await endsWithin(5, never)).toBe(false);
});

test("a process ends at once after a wait that was not needed", async () => {
  const script = `import { endsWithin, within } from "${import.meta.dir}/within.ts";
    await within(600_000, Promise.resolve(), () => new Error());
    await endsWithin(600_000, Promise.resolve());`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "ignore", stderr: "inherit" });
  expect(await child.exited).toBe(0);
});

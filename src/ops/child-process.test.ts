// Holds the runner to: code and words of a program, however much it prints, and an error where there is none.
import { expect, test } from "bun:test";
import { startChild } from "./child-process.ts";

const script = (text: string) => startChild([process.execPath, "-e", text]);

test("what a program says on standard error, and its code", async () => {
  expect(await script('console.error("  broken "); process.exit(3)').ended).toEqual({
    code: 3,
    errors: "broken",
  });
});

test("a program that prints more than a pipe holds is not held up", async () => {
  const loud = 'process.stdout.write("x".repeat(1_000_000)); process.stderr.write("y".repeat(1_000_000))';
  const { code, errors } = await script(loud).ended;
  expect([code, errors.length]).toEqual([0, 1_000_000]);
});

test("it can be ended", async () => {
  const child = script("setInterval(() => {}, 1_000)");
  child.kill("SIGKILL");
  expect((await child.ended).code).toBe(137);
});

test("a program that is not there is an error at once", () => {
  expect(() => startChild(["/nonexistent/program"])).toThrow();
});

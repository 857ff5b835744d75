// Holds the runner to: code and words of a program, however much it prints, and an error where there is none.
import { expect, test } from "bun:test";
import { onUnix } from "../../test/support/needs.ts";
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

test("what it prints is kept where that is asked for, with variables and folder of its own", async () => {
  const text = "console.log(JSON.stringify([process.env.INN, process.env.HOME, process.cwd()]))";
  const child = startChild([process.execPath, "-e", text], { env: { INN: "1" }, cwd: "/", output: true });
  expect((await child.ended).output).toBe('["1",null,"/"]');
});

onUnix.test("a signal reaches what a program of a group of its own has started, too", async () => {
  const child = startChild(["sh", "-c", "sleep 60 & wait"], { ownGroup: true });
  // The sleeper holds the pipe of errors: the end is that of both.
  child.kill("SIGTERM");
  expect((await child.ended).code).not.toBe(0);
  // Nobody is there any more.
  child.kill("SIGTERM");
});

// A run says once, at its end, what it skipped and why; what `.ci/run` brings must be there under CI, what a machine forbids need not.
import { afterEach, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { PACKAGES } from "./needs.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Runs test files of these bodies in a folder of their own, as this repository runs its own. */
async function run(bodies: readonly string[], env: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "roost-needs-"));
  folders.push(folder);
  const support = join(folder, "test/support");
  mkdirSync(support, { recursive: true });
  for (const name of ["needs.ts", "full.ts", "summary.ts", "process.ts"])
    cpSync(join(import.meta.dir, name), join(support, name));
  cpSync(resolve(import.meta.dir, "../../bunfig.toml"), join(folder, "bunfig.toml"));
  for (const [index, body] of bodies.entries())
    writeFileSync(
      join(folder, `${index}.test.ts`),
      `import { expect, test } from "bun:test";
       import { needs, noteLesser } from "./test/support/needs.ts";
       import { rounds } from "./test/support/full.ts";
       ${body}`,
    );
  const child = Bun.spawn([process.execPath, "test"], {
    cwd: folder,
    env: { PATH: "", NO_COLOR: "1", ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  const lines = (stdout + stderr).split("\n").filter((line) => line.startsWith("SKIPPED OR SMALLER: "));
  return { code, lines, text: stdout + stderr };
}

const FORBIDDEN = `needs.machine("tracing of processes", () => false).test("traced", () => expect(1).toBe(2));`;

test("what is skipped in several files stands in one line, each by its name", async () => {
  const { code, lines, text } = await run([
    `needs.program("etcd").describe("the etcd bus", () => test("inside", () => expect(1).toBe(2)));
     test("runs", () => {});`,
    `needs.program("etcd").test.each([1, 2])("node %i", () => expect(1).toBe(3));
     needs.full().test("takes an hour", () => expect(1).toBe(2));
     needs.executable(undefined).test.concurrent("starts", async () => expect(1).toBe(2));
     noteLesser("control groups", "memory is only watched");
     test("small", () => expect(rounds(2, 9)).toBe(2));
     ${FORBIDDEN}`,
  ]);
  expect(lines).toEqual([
    'SKIPPED OR SMALLER: etcd is missing (Debian: etcd-server): "the etcd bus", "node %i"; ' +
      'runs with ROOST_TEST_FULL=1: "takes an hour"; no executable was built (bun run build): "starts"; ' +
      'no control groups here: "memory is only watched"; no tracing of processes here: "traced"; ' +
      "long proofs ran small: in full with ROOST_TEST_FULL=1.",
  ]);
  expect(text).toContain("2 pass");
  expect(text).toContain("0 fail");
  expect(code).toBe(0);
});

test("where everything is there, everything runs and the line is not", async () => {
  const { code, lines, text } = await run(
    [
      `const there = needs.all(needs.program("etcd", () => "/bin/etcd"), needs.machine("ptrace", () => true), needs.full());
       there.describe("a", () => there.test("b", () => expect(there.met).toBe(true)));
       there.test.each([1, 2])("%i", (n) => expect(rounds(2, 9) + n).toBeGreaterThan(9));
       needs.program("strace").when(false).test("in this case it needs nothing", () => {});`,
    ],
    { ROOST_TEST_FULL: "1", CI: "true" },
  );
  expect(lines).toEqual([]);
  expect(text).toContain("4 pass");
  expect(code).toBe(0);
});

test("of several needs the first that is not met is named, and the test is skipped", async () => {
  const { lines, text } = await run([
    `needs.all(needs.program("nginx", () => true), needs.program("strace"), needs.program("script"))
       .test("all of it", () => expect(1).toBe(2));
     needs.program("script").when(true).test("this case", () => expect(1).toBe(2));
     test("runs", () => {});`,
  ]);
  expect(lines).toEqual([
    'SKIPPED OR SMALLER: strace is missing (Debian: strace): "all of it"; script is missing (Debian: bsdutils): "this case".',
  ]);
  expect(text).toContain("0 fail");
});

test.each([
  [`needs.program("sqlite3").test("visits", () => {});`, 1, "sqlite3 is missing (Debian: sqlite3)"],
  [`needs.executable("").test("starts", () => {});`, 1, "no executable was built (bun run build)"],
  [FORBIDDEN, 0, undefined],
  [`needs.full().test("takes an hour", () => {});`, 0, undefined],
])("under CI=true: %s ends with code %i", async (body, expected, sentence) => {
  const { code, lines, text } = await run([`${body} test("runs", () => {});`], { CI: "true" });
  expect(lines).toHaveLength(1);
  expect(code).toBe(expected);
  if (sentence !== undefined)
    expect(text).toContain(`Under CI=true nothing that .ci/run brings may be missing: ${sentence}.`);
});

test(".ci/run installs every package whose program a test may need", () => {
  const wanted = [
    ...readFileSync(resolve(import.meta.dir, "../../.ci/run"), "utf8").matchAll(/^want (\S+) (\S+)$/gm),
  ].map(([, program, name]) => `${program} ${name}`);
  expect(wanted.toSorted()).toEqual(
    Object.entries(PACKAGES)
      .map((pair) => pair.join(" "))
      .toSorted(),
  );
});

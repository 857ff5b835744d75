// `roost doctor` as a person runs it: exit codes, what a wrong word is answered, and findings as JSON for a script.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Folder } from "../../test/support/executable.ts";
import { newAccount } from "../../test/support/happy-client.ts";
import { roostCommand } from "../../test/support/process.ts";
import { type TestServer, testServer } from "../../test/support/server.ts";

// What serves is what examines: the compiled file where one is named.
const command = roostCommand();
const env = { PATH: process.env.PATH ?? "" };
let folder: Folder;
let server: TestServer;
beforeAll(async () => {
  folder = new Folder();
  server = await testServer();
});
afterAll(async () => {
  await server.stop();
  await folder.remove();
});
const run = (...argv: string[]) => folder.run([...command, "doctor", ...argv], env);

test.each([
  [["ftp://roost.example.org"], "is not an http or https address"],
  [["roost.example.org"], "is not an http or https address"],
  [["https://me:secret@roost.example.org"], "must not hold a name or password"],
  [["https://roost.example.org", "--quik"], "Did you mean --quick?"],
  [["--data-dri", "x"], "Did you mean --data-dir?"],
])("%j is a usage error in one sentence", async (argv, sentence) => {
  const { code, stdout, stderr } = await run(...argv);
  expect(code).toBe(2);
  expect(stderr).toContain(sentence);
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(stderr + stdout).not.toContain("secret");
});

test("a healthy machine is no failure; a port that somebody else holds is one", async () => {
  const taken = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("other") });
  try {
    const flags = [
      "--data-dir",
      server.dataDir,
      "--host",
      "127.0.0.1",
      "--expo-url",
      `http://127.0.0.1:${taken.port}`,
    ];
    const healthy = await run(...flags, "--port", new URL(server.url).port);
    expect(healthy.stdout).toContain("Roost runs on port");
    expect(healthy).toMatchObject({ code: 0, stderr: "" });
    const held = await run(...flags, "--port", String(taken.port), "--json");
    expect(held.code).toBe(1);
    const findings = JSON.parse(held.stdout);
    expect(findings.find(({ check }: { check: string }) => check === "port")).toMatchObject({
      result: "failure",
    });
  } finally {
    await taken.stop(true);
  }
}, 20_000);

test("a look from outside at nothing fails with one sentence", async () => {
  const nothing = await run("http://127.0.0.1:1");
  expect(nothing.code).toBe(1);
  expect(nothing.stdout).toContain("Nothing answers at http://127.0.0.1:1");
}, 40_000);

test("several accounts behind one private address: the doctor names it, and the setting that tells them apart", async () => {
  await newAccount(server.url);
  await newAccount(server.url);
  const { stdout } = await run("--data-dir", server.dataDir, "--json");
  const finding = JSON.parse(stdout).find(({ check }: { check: string }) => check === "addresses");
  expect(finding).toMatchObject({ result: "warning", fix: expect.stringContaining("--trusted-proxies") });
  expect(finding.says).toContain("127.0.0.1");
}, 20_000);

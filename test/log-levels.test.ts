// The log of a running server: JSON by default, levels of single areas from roost.yaml, followed while it runs, and text on demand.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Folder } from "./support/executable.ts";
import { roostCommand } from "./support/process.ts";

let folder: Folder;
beforeEach(() => {
  folder = new Folder();
});
afterEach(() => folder.remove());

async function serving(...flags: string[]) {
  const launched = folder.start([...roostCommand(), "--port", "0", "--host", "127.0.0.1", ...flags]);
  const url = await launched.printed(/(http:\/\/127\.0\.0\.1:\d+)/);
  return { url, ...launched };
}

test("a level of one area is taken from roost.yaml, and followed at SIGHUP", async () => {
  const file = join(folder.path, "roost.yaml");
  writeFileSync(file, "logLevels:\n  server: debug\n");
  const server = await serving();
  await fetch(`${server.url}/v1/version?secret=1`);
  expect(await server.printed(/"route":"(\/v1\/version)"/)).toBe("/v1/version");
  writeFileSync(file, "logLevels: server=warn\n");
  server.signal("SIGHUP");
  await server.printed(/\["logLevels"\]/);
  await fetch(`${server.url}/health`);
  const { stdout, code } = await server.end();
  expect(code).toBe(0);
  expect(stdout).not.toContain('"route":"/health"');
  expect(stdout).not.toContain("secret");
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  expect(lines.length).toBeGreaterThan(2);
  for (const line of lines)
    expect(JSON.parse(line)).toMatchObject({ level: expect.any(Number), time: expect.any(String) });
}, 20_000);

test("text for people where it is asked for", async () => {
  const server = await serving("--log-format", "text", "--log-level", "debug");
  await fetch(`${server.url}/health`);
  await server.printed(/(request .*route=)/);
  const { stdout } = await server.end();
  expect(Bun.stripANSI(stdout)).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} debug server request method=GET route=\/health status=200 ms=[\d.]+ request=\w+-\w+ client=unknown$/m,
  );
  expect(stdout).not.toContain('{"level"');
}, 20_000);

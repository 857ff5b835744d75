// Commands reach the server of their folder and nobody else does: through a socket that only its owner may open, or through a port
// that asks for the token in the folder.
import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onLinux, onUnix } from "../../test/support/needs.ts";
import { findChannel, openChannel } from "./channel.ts";

const open: { close(): Promise<void> }[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const channel of open.splice(0)) await channel.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A path that is too long for a socket has a port instead. */
function freshFolder(long: boolean): string {
  const folder = mkdtempSync(join(tmpdir(), "roost-channel-"));
  folders.push(folder);
  const inner = join(folder, long ? "x".repeat(120) : "data");
  mkdirSync(inner);
  return inner;
}

function opened(folder: string, answer = "here"): void {
  open.push(openChannel(folder, (request) => new Response(`${answer} ${new URL(request.url).pathname}`)));
}

const modeOf = (path: string) => statSync(path).mode & 0o777;

test.each([
  ["a socket", false],
  ["a port", true],
])("by %s, the owner is answered", async (_, long) => {
  const folder = freshFolder(long);
  expect(findChannel(folder)).toBeUndefined();
  opened(folder);
  const answer = await findChannel(folder)?.("/accounts", { method: "GET" });
  expect(await answer?.text()).toBe("here /accounts");
  if (process.platform !== "win32")
    expect(modeOf(join(folder, long ? "roost.admin" : "roost.sock"))).toBe(0o600);
  await open.pop()?.close();
  expect(findChannel(folder)).toBeUndefined();
});

test("by the port, nobody without the token is", async () => {
  const folder = freshFolder(true);
  opened(folder);
  const { port, token } = JSON.parse(readFileSync(join(folder, "roost.admin"), "utf8"));
  for (const authorization of ["", "Bearer", "Bearer x", token])
    expect((await fetch(`http://127.0.0.1:${port}/accounts`, { headers: { authorization } })).status).toBe(
      401,
    );
  expect(token).toMatch(/^[0-9a-f]{64}$/);
});

onLinux.test("the port is open to this machine's loopback address alone", async () => {
  const folder = freshFolder(true);
  opened(folder);
  const { port, token } = JSON.parse(readFileSync(join(folder, "roost.admin"), "utf8"));
  const ask = (host: string) =>
    fetch(`http://${host}:${port}/accounts`, { headers: { authorization: `Bearer ${token}` } });
  expect((await ask("127.0.0.1")).status).toBe(200);
  // What listens on every address answers here too.
  await expect(ask("127.0.0.2")).rejects.toThrow();
});

test.each([
  ["a socket", false],
  ["a port", true],
])("by %s, no more than 64 KiB are read", async (_, long) => {
  const folder = freshFolder(long);
  opened(folder);
  const send = (bytes: number) =>
    findChannel(folder)?.("/accounts", { method: "POST", body: "x".repeat(bytes) });
  expect((await send(64 * 1024))?.status).toBe(200);
  expect((await send(64 * 1024 + 1))?.status).toBe(413);
});

onUnix.test("what a killed server left behind is replaced", async () => {
  const folder = freshFolder(false);
  writeFileSync(join(folder, "roost.sock"), "");
  writeFileSync(join(folder, "roost.admin"), JSON.stringify({ port: 1, token: "old" }));
  opened(folder, "new");
  const answer = await findChannel(folder)?.("/", { method: "GET" });
  expect(await answer?.text()).toBe("new /");
});

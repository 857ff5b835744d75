// What says who may call goes with the data: a server that is restored from a backup lets in nobody whom the old one did not let in.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./support/free-port.ts";
import { roostCommand, runRoost, start } from "./support/process.ts";
import { sha256 } from "./support/rpc-server.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "roost-rpc-kept-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const KEY = "key of a robot";
const DOCUMENT = `security:\n  require_auth: true\n  api_keys: [{ sha256: ${sha256(KEY)}, principal: robot }]\n`;

/** The statuses of a call without a key and of one with it. */
async function statuses(dataDir: string): Promise<readonly number[]> {
  const port = freePort();
  const words = ["--rpc-enabled", "--host", "127.0.0.1", "--port", `${port}`, "--data-dir", dataDir];
  const server = start([...roostCommand(), ...words]);
  await server.printed(/POST http:\/\/127\.0\.0\.1:\d+\/aduib_rpc\/v2\/rpc/);
  const call = async (headers: Record<string, string>) => {
    const answer = await fetch(`http://127.0.0.1:${port}/aduib_rpc/v2/rpc`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ id: "1", method: "rpc.v2/SystemService/Info" }),
    });
    await answer.text();
    return answer.status;
  };
  const found = [await call({}), await call({ "x-api-key": KEY })];
  await server.end();
  return found;
}

test("rpc.yaml is in a backup and comes back, readable by its owner only", async () => {
  const dataDir = join(folder, "data");
  mkdirSync(dataDir, { mode: 0o700 });
  writeFileSync(join(dataDir, "rpc.yaml"), DOCUMENT, { mode: 0o600 });
  expect(await statuses(dataDir)).toEqual([401, 200]);
  const archive = join(folder, "roost.tar.zst");
  expect(await runRoost(["backup", archive, "--data-dir", dataDir])).toMatchObject({ code: 0, stderr: "" });
  const restored = join(folder, "restored");
  expect(await runRoost(["restore", archive, "--data-dir", restored])).toMatchObject({ code: 0, stderr: "" });
  expect(readFileSync(join(restored, "rpc.yaml"), "utf8")).toBe(DOCUMENT);
  expect(statSync(join(restored, "rpc.yaml")).mode & 0o777).toBe(0o600);
  expect(await statuses(restored)).toEqual([401, 200]);
});

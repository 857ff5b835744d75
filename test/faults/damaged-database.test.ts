// Half of the database is overwritten under the running server. What cannot be read is refused in words, and the server is not ready
// from then on, whatever still works: neither a write that succeeds nor a page that is still in memory proves the file sound.
import { afterAll, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accountWith, newAccount } from "../support/happy-client.ts";
import { until } from "../support/until.ts";
import { startProcess } from "./server-process.ts";

const dataDir = mkdtempSync(join(tmpdir(), "roost-damaged-"));
const quietDir = mkdtempSync(join(tmpdir(), "roost-damaged-"));
afterAll(() => {
  for (const folder of [dataDir, quietDir]) rmSync(folder, { recursive: true, force: true });
});
const start = (folder = dataDir) =>
  startProcess({ dataDir: folder, env: { ROOST_RATE_LIMITS: "false", HANDY_MASTER_SECRET: "damaged" } });

/** Overwrites half of the file. This is another process than the server: its locks stay. */
function overwriteHalf(path: string): void {
  const { size } = statSync(path);
  const file = openSync(path, "r+");
  writeSync(file, new Uint8Array(size / 2).fill(0xff), 0, size / 2, size - size / 2);
  closeSync(file);
}

test("it is not ready, says why, and does not believe what still works", async () => {
  let server = await start();
  const { token } = await newAccount(server.url);
  let account = accountWith(server.url, token);
  const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
  const sid: string = body.session.id;
  const post = (localId: string, content: string) =>
    account.call("POST", `/v3/sessions/${sid}/messages`, { messages: [{ content, localId }] });
  for (let n = 0; n < 16; n++) expect((await post(`m${n}`, "x".repeat(500_000))).status).toBe(200);
  // So that everything is in the file, and nothing of it in memory.
  await server.end("SIGTERM");
  expect(readdirSync(dataDir)).not.toContain("happy.db-wal");
  server = await start();
  account = accountWith(server.url, token);
  expect((await fetch(`${server.url}/ready`)).status).toBe(200);

  overwriteHalf(join(dataDir, "happy.db"));
  // A page of 8 MB is written as it is read: where it cannot go on it is broken off, so that no reader takes a part for the whole.
  const page = await account
    .call("GET", `/v3/sessions/${sid}/messages?limit=500`)
    .catch((error: unknown) => error);
  if (!(page instanceof Error)) expect(page).toMatchObject({ status: 503 });
  let refused = await account.call("GET", `/v3/sessions/${sid}/messages?after_seq=0&limit=1`);
  for (let n = 1; n < 16 && refused.status === 200; n++)
    refused = await account.call("GET", `/v3/sessions/${sid}/messages?after_seq=${n}&limit=1`);
  expect(refused).toMatchObject({
    status: 503,
    body: {
      message: "The database is damaged: a part of it cannot be read. Its operator must restore a backup.",
    },
  });
  for (let round = 0; round < 3; round++) {
    const ready = await fetch(`${server.url}/ready`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      {
        status: "not ready",
        checks: { happy: "failed", hapi: "ok", "hapi-home": "ok" },
        problems: {
          happy: "The database is damaged: a part of it cannot be read. Its operator must restore a backup.",
        },
      },
    ]);
    // Nothing is acknowledged that restoring the backup would throw away.
    expect((await account.call("POST", "/v1/sessions", { tag: `t${round}`, metadata: "m" })).status).toBe(
      503,
    );
    await Bun.sleep(300);
  }
  const said = server.logged(50).map(({ msg }) => msg);
  // By the request that met it, or by the server's own look, which on a busy machine may come before.
  const noticed = [
    "a part of the database cannot be read; it is checked now",
    "the database is damaged; a backup must be restored",
  ];
  expect(said.filter((msg) => noticed.includes(msg))).not.toEqual([]);
  expect(said.filter((msg) => msg === "the server is not ready")).toHaveLength(1);
  await server.end("SIGKILL");
}, 60_000);

test("it notices without being asked for what was overwritten", async () => {
  const first = await start(quietDir);
  const account = await newAccount(first.url);
  for (let n = 0; n < 40; n++)
    await account.call("POST", "/v1/sessions", { tag: `t${n}`, metadata: "m".repeat(20_000) });
  await first.end("SIGTERM");
  const server = await start(quietDir);
  expect((await fetch(`${server.url}/ready`)).status).toBe(200);
  overwriteHalf(join(quietDir, "happy.db"));
  const notReady = await until("it not to be ready", async () => {
    const ready = await fetch(`${server.url}/ready`);
    return ready.status === 503 && ready;
  });
  expect(await notReady.json()).toMatchObject({
    problems: { happy: expect.stringContaining("is damaged") },
  });
  await server.end("SIGKILL");
}, 60_000);

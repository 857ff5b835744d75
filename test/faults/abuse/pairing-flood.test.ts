// Pairing requests by the ten thousand: polls of them cost next to nothing, a device that waits is still let in, from the network of
// the attack too, and everybody else goes on.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call, newAccount } from "../../support/happy-client.ts";
import { rows } from "../../support/operator.ts";
import { type ServerProcess, startProcess } from "../server-process.ts";
import { repeatedly } from "./strangers.ts";

setDefaultTimeout(120_000);

const undo: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const newKey = () => Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64");

async function started(
  env: Record<string, string> = {},
): Promise<{ server: ServerProcess; dataDir: string }> {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-pairing-flood-"));
  const server = await startProcess({ dataDir, env });
  undo.push(
    () => rmSync(dataDir, { recursive: true, force: true }),
    () => server.end("SIGKILL"),
  );
  return { server, dataDir };
}

/** As a proxy on this machine tells it. */
const pollFrom = async (server: ServerProcess, address: string, publicKey: string) => {
  const answer = await fetch(`${server.url}/v1/auth/request`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-forwarded-for": address },
    body: JSON.stringify({ publicKey, supportsV2: true }),
  });
  return { status: answer.status, body: (await answer.json()) as { state?: string } };
};

test("27,000 of them that an attack left, and 200 polls at once: /health and another account's calls go on", async () => {
  const { server, dataDir } = await started({ ROOST_RATE_LIMITS: "false" });
  const account = await newAccount(server.url);
  const now = Date.now();
  rows(
    { dataDir },
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 27000)
     INSERT INTO terminal_auth_requests (id, public_key, created_at, updated_at) SELECT 'f' || i, 'F' || i, ?, ? FROM n`,
    now,
    now,
  );
  const keys = Array.from({ length: 20 }, newKey);
  for (const key of keys) await pollFrom(server, "203.0.113.1", key);
  /** Ten times two hundred at once. */
  const crowd = async (ask: (n: number) => Promise<unknown>) => {
    for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 200 }, (_, n) => ask(n)));
  };
  const began = performance.now();
  await crowd(async () => await (await fetch(`${server.url}/health`)).text());
  const healthRoundMs = (performance.now() - began) / 10;
  const attack = crowd((n) => pollFrom(server, "203.0.113.1", keys[n % keys.length] ?? ""));
  const health = await repeatedly(async () => {
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    expect((await account.call("GET", "/v1/sessions")).status).toBe(200);
  }, attack);
  // 6.7 s before, with one round: more than 200 rounds of /health. Now 6 to 9 of them, which on a slow machine may be 2 s.
  expect(health.slowestMs).toBeLessThan(Math.max(2_000, 30 * healthRoundMs));
});

test("made as fast as the limits permit: a device of the same network that asks every second is let in", async () => {
  const { server, dataDir } = await started();
  const account = await newAccount(server.url);
  const device = newKey();
  expect((await pollFrom(server, "203.0.113.1", device)).body.state).toBe("requested");
  let refused = 0;
  const attack = (async () => {
    // The burst of the address and what comes after it, of which the device needs one a second itself.
    for (let n = 0; n < 560; n += 20) {
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => pollFrom(server, "203.0.113.1", newKey())),
      );
      refused += answers.filter(({ status }) => status === 429).length;
    }
  })();
  const waits = await repeatedly(async () => {
    expect((await pollFrom(server, "203.0.113.1", device)).body.state).toBe("requested");
  }, attack);
  expect([waits.times > 1, refused]).toEqual([true, 0]);
  const kept = rows<{ n: number }>({ dataDir }, "SELECT count(*) AS n FROM terminal_auth_requests");
  expect(kept).toEqual([{ n: 200 }]);
  const status = await call(
    server.url,
    undefined,
    "GET",
    `/v1/auth/request/status?publicKey=${encodeURIComponent(device)}`,
  );
  expect(status.body).toEqual({ status: "pending", supportsV2: true });
  expect(
    (await account.call("POST", "/v1/auth/response", { publicKey: device, response: "c2VhbGVk" })).status,
  ).toBe(200);
  expect((await pollFrom(server, "203.0.113.1", device)).body.state).toBe("authorized");
});

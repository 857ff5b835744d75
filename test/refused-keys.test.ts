// A person's refusal of a key binds: no invite, no other mode, no restart and no flood of other keys brings the key in, until a person
// approves it.
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { happy } from "../src/happy/protocol.ts";
import { createLog } from "../src/observability/log.ts";
import { openOffline } from "../src/protocol/offline.ts";
import type { Config } from "./support/config.ts";
import { fingerprintIn, roost, rows } from "./support/operator.ts";
import { type TestServer, testServer } from "./support/server.ts";
import { admitted, type Keys, newKeys, publicKeyHex, signIn } from "./support/sign-in.ts";

// Commands are processes of their own, and other tests may have the machine.
setDefaultTimeout(60_000);

const servers: TestServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function started(overrides: Partial<Config> = {}): Promise<TestServer> {
  const server = await testServer({ happyRegistration: "claim", rateLimits: false, ...overrides });
  servers.push(server);
  await admitted(server.url);
  return server;
}

/** A new key from an address of its own, as a proxy on this machine tells it. tweetnacl would take long over so many. */
async function strangerFrom(server: TestServer, address: string): Promise<number> {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const challenge = randomBytes(32);
  const response = await fetch(`${server.url}/v1/auth`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-forwarded-for": address },
    body: JSON.stringify({
      publicKey: Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url").toString("base64"),
      challenge: challenge.toString("base64"),
      signature: sign(null, challenge, privateKey).toString("base64"),
    }),
  });
  await response.body?.cancel();
  return response.status;
}

async function refusedKey(server: TestServer): Promise<{ keys: Keys; name: string }> {
  const keys = newKeys();
  const name = fingerprintIn((await signIn(server.url, keys)).body.error);
  expect((await roost(server, "accounts", "refuse", name)).code).toBe(0);
  return { keys, name };
}

const expectRefused = async (server: TestServer, keys: Keys, path = "") => {
  const answer = await signIn(`${server.url}${path}`, keys);
  expect(answer.status).toBe(403);
  expect(answer.body.error).toContain("has refused your key");
};

describe("a refused key", () => {
  test("does not enter by an invite, and does not use it up", async () => {
    const server = await started();
    const { keys, name } = await refusedKey(server);
    const path = new URL((await roost(server, "invite")).stdout.split("\n")[0] ?? "").pathname;
    await expectRefused(server, keys, path);
    expect(rows(server, "SELECT uses_left FROM invites")).toEqual([{ uses_left: 1 }]);
    await admitted(`${server.url}${path}`);
    expect((await roost(server, "accounts", "approve", name)).code).toBe(0);
    await admitted(server.url, keys);
    expect(rows(server, "SELECT * FROM refused_keys")).toEqual([]);
  });

  test("is refused in every mode, and after a restart", async () => {
    const server = await started();
    const { keys } = await refusedKey(server);
    for (const registration of ["invite", "open", "claim"] as const) {
      Object.assign(server.config, { happyRegistration: registration });
      await expectRefused(server, keys);
    }
    await server.restart();
    await expectRefused(server, keys);
    // Not even when there is no account any more, and the next key would own the server.
    const [owner] = rows<{ id: string }>(server, "SELECT id FROM accounts WHERE is_owner = 1");
    expect((await roost(server, "accounts", "delete", owner?.id ?? "", "--yes")).code).toBe(0);
    await expectRefused(server, keys);
    await admitted(server.url);
  });

  test("is not forgotten over 1,100 new keys, nor over keys of many networks, and stays in the list", async () => {
    const server = await started();
    const { keys, name } = await refusedKey(server);
    for (let n = 0; n < 1_100; n += 50) {
      const statuses = await Promise.all(
        Array.from({ length: 50 }, (_, i) => strangerFrom(server, `203.0.113.${(n + i) % 250}`)),
      );
      expect(new Set(statuses)).toEqual(new Set([403]));
    }
    await expectRefused(server, keys);
    expect((await roost(server, "accounts")).stdout).toMatch(new RegExp(`${name} +refused`));
  });

  test("while its sign-ins by an invite are on their way: not one of them comes in after the refusal", async () => {
    const server = await started();
    const keys = newKeys();
    const name = fingerprintIn((await signIn(server.url, keys)).body.error);
    const path = new URL((await roost(server, "invite", "--uses", "50")).stdout.split("\n")[0] ?? "")
      .pathname;
    const refusing = roost(server, "accounts", "refuse", name);
    const answers = [];
    for (let n = 0; n < 20; n++) answers.push(signIn(`${server.url}${path}`, newKeys()));
    expect((await refusing).code).toBe(0);
    await Promise.all(answers);
    await expectRefused(server, keys, path);
    expect(rows(server, "SELECT 1 FROM accounts WHERE public_key = ?", publicKeyHex(keys))).toEqual([]);
  });

  test("can be refused again, and by a command on a folder that no server runs on", async () => {
    const server = await started();
    const { keys, name } = await refusedKey(server);
    expect((await roost(server, "accounts", "refuse", name)).code).toBe(0);
    const other = newKeys();
    const otherName = fingerprintIn((await signIn(server.url, other)).body.error);
    await server.restart(async () => {
      expect((await roost(server, "accounts", "refuse", otherName)).code).toBe(0);
      await using offline = await openOffline(happy, server.config, createLog("silent"));
      const listed = await offline?.admin?.request("/accounts");
      if (listed === undefined) throw new Error("there is no administration");
      const { waiting } = (await listed.json()) as { waiting: { refusedAt: number | null }[] };
      expect(waiting.map(({ refusedAt }) => refusedAt !== null)).toEqual([true, true]);
    });
    await expectRefused(server, keys);
    await expectRefused(server, other);
  });
});

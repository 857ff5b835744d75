// What the person who runs the server says about accounts and tokens holds at once, for HTTP, sockets and sign-in, and after a restart:
// by commands beside the running server, and on its folder when none runs.
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import nacl from "tweetnacl";
import type { Config } from "./support/config.ts";
import { call } from "./support/happy-client.ts";
import { fingerprintIn, roost, rows } from "./support/operator.ts";
import { countsOf, fill } from "./support/owned-rows.ts";
import { type TestServer, testServer } from "./support/server.ts";
import { admitted, newKeys, signIn } from "./support/sign-in.ts";

// Commands are processes of their own, and other tests may have the machine.
setDefaultTimeout(60_000);

const servers: TestServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function started(overrides: Partial<Config> = {}): Promise<TestServer> {
  const server = await testServer(overrides);
  servers.push(server);
  return server;
}

describe("roost accounts", () => {
  test("lists who waits, lets one in and refuses another, while the server runs", async () => {
    const server = await started({ happyRegistration: "claim" });
    await admitted(server.url);
    const [wanted, unwanted] = [newKeys(), newKeys()];
    const wantedName = fingerprintIn((await signIn(server.url, wanted)).body.error);
    const unwantedName = fingerprintIn((await signIn(server.url, unwanted)).body.error);
    const list = await roost(server, "accounts");
    expect(list).toMatchObject({ code: 0, stderr: "" });
    expect(list.stdout).toContain("owner");
    expect(list.stdout).toMatch(new RegExp(`${wantedName} +waiting`));
    // As people type it.
    expect(
      (await roost(server, "accounts", "approve", wantedName.toLowerCase().replaceAll("-", ""))).code,
    ).toBe(0);
    expect((await roost(server, "accounts", "refuse", unwantedName)).code).toBe(0);
    await admitted(server.url, wanted);
    const refused = await signIn(server.url, unwanted);
    expect(refused).toMatchObject({ status: 403 });
    expect(refused.body.error).toContain(`has refused your key ${unwantedName}`);
    const after = (await roost(server, "accounts", "list")).stdout;
    expect(after).toMatch(new RegExp(`${unwantedName} +refused`));
    expect(after).not.toMatch(new RegExp(`${wantedName} +waiting`));
    expect((await roost(server, "accounts", "approve", unwantedName)).code).toBe(0);
    await admitted(server.url, unwanted);
  });

  test("shows devices, sessions, bytes and connections of each account", async () => {
    const server = await started();
    const account = await admitted(server.url);
    const metadata = "bWV0YQ==";
    const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata });
    await account.call("POST", "/v1/machines", { id: "machine-1", metadata });
    await account.call("POST", "/v1/push-tokens", { token: "ExponentPushToken[x]" });
    await account.call("POST", `/v3/sessions/${body.session.id}/messages`, {
      messages: [{ content: "x".repeat(200_000), localId: "a" }],
    });
    const upload = await account.call("POST", `/v1/sessions/${body.session.id}/attachments/request-upload`, {
      filename: "a.png",
      size: 2_097_152,
    });
    const put = await fetch(upload.body.uploadUrl, {
      method: "PUT",
      body: new Uint8Array(2_097_152),
      headers: { authorization: `Bearer ${account.token}`, "content-type": "application/octet-stream" },
    });
    expect(put.status).toBe(200);
    const row = async () =>
      (await roost(server, "accounts")).stdout.split("\n").find((line) => line.startsWith(account.id));
    expect(await row()).toMatch(/ 2 +1 +2\.2 MiB +20\d\d-\d\d-\d\d \d\d:\d\dZ$/);
    const phone = await account.connect();
    expect(await row()).toMatch(/ connected$/);
    phone.close();
  });

  test("disable shuts an account out at once, over HTTP, sockets and sign-in; enable lets it back; a restart keeps it", async () => {
    const server = await started();
    const keys = newKeys();
    const account = await admitted(server.url, keys);
    const other = await admitted(server.url);
    const [phone, bystander] = [await account.connect(), await other.connect()];
    const closed = new Promise((resolve) => phone.socket.once("disconnect", resolve));
    expect((await roost(server, "accounts", "disable", account.id)).code).toBe(0);
    // The transport, so that a client that comes back by itself hears why (realtime contract 14).
    expect(await closed).toBe("transport close");
    const shutOut = async () => {
      expect(await account.call("GET", "/v1/account/profile")).toMatchObject({
        status: 401,
        body: { error: "Invalid token" },
      });
      await expect(account.connect()).rejects.toThrow("Invalid authentication token");
      const again = await signIn(server.url, keys);
      expect(again.status).toBe(403);
      expect(again.body.error).toContain(`roost accounts enable ${account.id}`);
    };
    await shutOut();
    await bystander.settled();
    bystander.close();
    await server.restart();
    await shutOut();
    expect((await roost(server, "accounts")).stdout).toMatch(new RegExp(`${account.id} .* disabled`));
    expect((await roost(server, "accounts", "enable", account.id)).code).toBe(0);
    expect((await account.call("GET", "/v1/account/profile")).status).toBe(200);
    (await account.connect()).close();
    await admitted(server.url, keys);
  });

  test("a disabled account brings no device in: an approval that it gave before waits", async () => {
    const server = await started();
    const account = await admitted(server.url);
    const publicKey = Buffer.from(nacl.box.keyPair().publicKey).toString("base64");
    const poll = () => call(server.url, undefined, "POST", "/v1/auth/request", { publicKey });
    await poll();
    await account.call("POST", "/v1/auth/response", { publicKey, response: "x" });
    await roost(server, "accounts", "disable", account.id);
    expect((await poll()).body).toEqual({ state: "requested" });
    await roost(server, "accounts", "enable", account.id);
    expect((await poll()).body.state).toBe("authorized");
  });

  test("delete takes everything that the account owned, and nothing else; its tokens stay dead, its key starts anew", async () => {
    const server = await started();
    const keys = newKeys();
    const account = await admitted(server.url, keys);
    const friend = await admitted(server.url);
    const owned = [await fill(account, server), await fill(friend, server)];
    await account.call("POST", "/v1/friends/add", { uid: friend.id });
    const before = countsOf(server, friend.id);
    const phone = await account.connect();
    const closed = new Promise((resolve) => phone.socket.once("disconnect", resolve));
    const hint = await roost(server, "accounts", "delete", account.id);
    expect(hint).toMatchObject({ code: 2, stdout: "" });
    expect(hint.stderr).toContain("--yes");
    expect((await account.call("GET", "/v1/account/profile")).status).toBe(200);
    expect((await roost(server, "accounts", "delete", account.id, "--yes")).code).toBe(0);
    expect(await closed).toBe("transport close");
    expect(countsOf(server, account.id)).toEqual({});
    expect(rows(server, "SELECT * FROM accounts WHERE id = ?", account.id)).toEqual([]);
    expect(rows(server, "PRAGMA foreign_key_check")).toEqual([]);
    const { relationships, ...others } = countsOf(server, friend.id);
    expect({ ...others, relationships: 1 }).toEqual({ ...before, relationships: 1 });
    expect(relationships).toBeUndefined();
    expect(owned.map((session) => existsSync(join(server.dataDir, "files", "sessions", session)))).toEqual([
      false,
      true,
    ]);
    expect((await account.call("GET", "/v1/sessions")).status).toBe(401);
    await server.restart();
    expect((await account.call("GET", "/v1/sessions")).status).toBe(401);
    await expect(account.connect()).rejects.toThrow("Invalid authentication token");
    const again = await admitted(server.url, keys);
    expect(again.id).not.toBe(account.id);
    expect((await again.call("GET", "/v1/sessions")).body.sessions).toEqual([]);
  });

  test("works on the folder when no server runs, and a server that starts later knows", async () => {
    const server = await started({ happyRegistration: "claim" });
    const account = await admitted(server.url);
    const waiting = newKeys();
    const name = fingerprintIn((await signIn(server.url, waiting)).body.error);
    await server.restart(async () => {
      expect((await roost(server, "accounts")).stdout).toMatch(new RegExp(`${name} +waiting`));
      expect((await roost(server, "accounts", "approve", name)).code).toBe(0);
      expect((await roost(server, "accounts", "disable", account.id)).code).toBe(0);
      expect((await roost(server, "invite", "--for", "7d")).stdout).toMatch(/\/i\/[A-Za-z0-9]{20}\n/);
    });
    await admitted(server.url, waiting);
    expect((await account.call("GET", "/v1/sessions")).status).toBe(401);
  });

  test("help shows the words of a command", async () => {
    const server = await started();
    for (const words of [
      ["help", "accounts"],
      ["accounts", "--help"],
    ])
      expect(await roost(server, ...words)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining("roost accounts revoke ACCOUNT --all"),
      });
  });

  test("mistakes are one clear sentence: 2 for usage, 1 for what is not there", async () => {
    const server = await started();
    const wrong: [string[], number, string][] = [
      [["accounts", "aprove", "x"], 2, "Usage:"],
      [["accounts", "approve"], 2, "Usage:"],
      [["accounts", "list", "x"], 2, "Usage:"],
      [["accounts", "revoke", "x"], 2, "Usage:"],
      [["accounts", "disable", "x", "--all"], 2, "Usage:"],
      [["accounts", "disable", "nobody"], 1, "There is no such account."],
      [["accounts", "approve", "AAAA-AAAA-AAAA"], 1, "No key waits under this name."],
      [["accounts", "tokens", "nobody"], 1, "There is no such account."],
      [["invite", "--uses", "0"], 2, "--uses needs a number"],
      [["invite", "--uses"], 2, "--uses needs a number"],
      [["invite", "--for", "5"], 2, "--for needs a time"],
      [["invite", "somebody"], 2, "Usage:"],
    ];
    for (const [words, code, sentence] of wrong) {
      const done = await roost(server, ...words);
      expect({ words, code: done.code, stdout: done.stdout }).toEqual({ words, code, stdout: "" });
      expect(done.stderr).toContain(sentence);
    }
  });
});

describe("tokens", () => {
  test("those in use are listed with their client; one that is revoked is shut out, the others stay", async () => {
    const server = await started();
    const keys = newKeys();
    const [phone, laptop] = [await admitted(server.url, keys), await admitted(server.url, keys)];
    await fetch(`${server.url}/v1/sessions`, {
      headers: { authorization: `Bearer ${phone.token}`, "x-happy-client": "ios/1.7.0" },
    });
    const socket = await laptop.connect({
      clientType: "user-scoped",
      happyClient: "cli-daemon/1.2.1\u001b[2J",
    });
    const closed = new Promise((resolve) => socket.socket.once("disconnect", resolve));
    const idOf = (token: string) => JSON.parse(atob(token.split(".")[1] ?? "")).jti as string;
    const { stdout } = await roost(server, "accounts", "tokens", phone.id);
    expect(stdout).toMatch(new RegExp(`${idOf(phone.token)} .*ios/1\\.7\\.0 `));
    expect(stdout).toMatch(new RegExp(`${idOf(laptop.token)} .*cli-daemon/1\\.2\\.1\\?\\[2J `));
    expect(stdout).not.toContain(phone.token);
    expect((await roost(server, "accounts", "revoke", phone.id, idOf(laptop.token))).code).toBe(0);
    expect(await closed).toBe("transport close");
    const stands = async () => {
      expect((await laptop.call("GET", "/v1/sessions")).status).toBe(401);
      await expect(laptop.connect()).rejects.toThrow("Invalid authentication token");
      expect((await phone.call("GET", "/v1/sessions")).status).toBe(200);
    };
    await stands();
    await server.restart();
    await stands();
    const after = (await roost(server, "accounts", "tokens")).stdout;
    expect(after).toContain(idOf(phone.token));
    expect(after).not.toContain(idOf(laptop.token));
  });

  test("revoking all of an account ends every token and pending approval; its key signs in again at once", async () => {
    const server = await started();
    const keys = newKeys();
    const account = await admitted(server.url, keys);
    const other = await admitted(server.url);
    const publicKey = Buffer.from(nacl.box.keyPair().publicKey).toString("base64");
    const poll = () => call(server.url, undefined, "POST", "/v1/auth/request", { publicKey });
    await poll();
    await account.call("POST", "/v1/auth/response", { publicKey, response: "x" });
    expect((await roost(server, "accounts", "revoke", account.id, "--all")).code).toBe(0);
    expect((await account.call("GET", "/v1/sessions")).status).toBe(401);
    expect((await poll()).body).toEqual({ state: "requested" });
    expect((await other.call("GET", "/v1/sessions")).status).toBe(200);
    const again = await admitted(server.url, keys);
    expect(again.id).toBe(account.id);
    expect((await again.call("GET", "/v1/sessions")).status).toBe(200);
    (await again.connect()).close();
    await server.restart();
    expect((await account.call("GET", "/v1/sessions")).status).toBe(401);
    expect((await again.call("GET", "/v1/sessions")).status).toBe(200);
  });
});

// Who may come in, with clients as they are: keys that sign in, invite addresses with a path, sockets that put the path into their
// namespace, and the commands of the person who runs the server, beside it and without it.
import { Database as Sqlite } from "bun:sqlite";
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import nacl from "tweetnacl";
import type { Config } from "../src/config/settings.ts";
import { type Account, accountWith, call, listen } from "./support/happy-client.ts";
import { type TestServer, testServer } from "./support/server.ts";
import { type Keys, newKeys, signed, signIn } from "./support/sign-in.ts";

// Commands are processes of their own, and other tests may have the machine.
setDefaultTimeout(60_000);

const servers: TestServer[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function started(overrides: Partial<Config> = {}): Promise<TestServer> {
  const server = await testServer(overrides);
  servers.push(server);
  return server;
}

async function admitted(url: string, keys: Keys = newKeys()): Promise<Account> {
  const answer = await signIn(url, keys);
  expect(answer).toMatchObject({ status: 200 });
  return accountWith(url, answer.body.token);
}

const main = resolve(import.meta.dir, "../src/main.ts");

/** `roost <words>` on the server's data folder, as a process of its own. */
async function roost(server: TestServer, ...words: string[]) {
  const child = Bun.spawn([process.execPath, main, ...words, "--data-dir", server.dataDir], {
    env: { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "/" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, code };
}

const FINGERPRINT = /[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}/;
const fingerprintIn = (text: string) => FINGERPRINT.exec(text)?.[0] ?? "";

function rows<T>(server: TestServer, text: string, ...values: (string | number)[]): T[] {
  const sqlite = new Sqlite(join(server.dataDir, "happy.db"), { readwrite: true });
  try {
    sqlite.run("PRAGMA busy_timeout = 5000");
    return sqlite.query<T, (string | number)[]>(text).all(...values);
  } finally {
    sqlite.close();
  }
}

describe("registration", () => {
  test("claim: the first key owns the server, later ones wait, and the owner always comes back", async () => {
    const server = await started({ registration: "claim" });
    const owner = newKeys();
    const { id } = await admitted(server.url, owner);
    const waiting = await signIn(server.url, newKeys());
    expect(waiting.status).toBe(403);
    expect(Object.keys(waiting.body)).toEqual(["error"]);
    expect(waiting.body.error).toMatch(
      /^This server .* "roost accounts approve [0-9A-Z-]{14}", then try again\.$/,
    );
    expect((await admitted(server.url, owner)).id).toBe(id);
    expect(rows(server, "SELECT id, is_owner FROM accounts")).toEqual([{ id, is_owner: 1 }]);
  });

  test("claim: of keys that sign in at the same time exactly one owns the server", async () => {
    const server = await started({ registration: "claim" });
    const answers = await Promise.all(Array.from({ length: 20 }, () => signIn(server.url, newKeys())));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(19);
    expect(rows(server, "SELECT count(*) AS n, sum(is_owner) AS owners FROM accounts")).toEqual([
      { n: 1, owners: 1 },
    ]);
  });

  test("claim: a key whose signature is bad neither claims nor waits", async () => {
    const server = await started({ registration: "claim" });
    const forged = { ...signed(newKeys()), challenge: "AAAA" };
    expect((await call(server.url, undefined, "POST", "/v1/auth", forged)).status).toBe(401);
    expect(rows(server, "SELECT 1 FROM accounts UNION ALL SELECT 1 FROM waiting_keys")).toEqual([]);
  });

  test("open: everybody comes in", async () => {
    const server = await started({ registration: "open" });
    const ids = await Promise.all(
      [newKeys(), newKeys(), newKeys()].map((keys) => admitted(server.url, keys)),
    );
    expect(new Set(ids.map(({ id }) => id)).size).toBe(3);
  });

  test("closed: nobody new comes in or waits, with an invite neither; who is here signs in", async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "roost-closed-"));
    folders.push(dataDir);
    const open = await testServer({ dataDir });
    const known = newKeys();
    await admitted(open.url, known);
    const invite = await roost(open, "invite");
    const path = new URL(invite.stdout.split("\n")[0] ?? "").pathname;
    await open.stop();
    const server = await started({ dataDir, registration: "closed" });
    const answer = await signIn(`${server.url}${path}`, newKeys());
    expect(answer).toMatchObject({ status: 403 });
    expect(answer.body.error).toContain("no new accounts");
    expect(rows(server, "SELECT * FROM waiting_keys")).toEqual([]);
    await admitted(server.url, known);
    expect((await roost(server, "invite")).stdout).toContain("registration is closed");
  });

  test("a mode that is changed while the server runs holds from the next sign-in on", async () => {
    const server = await started({ registration: "claim" });
    await admitted(server.url);
    expect((await signIn(server.url, newKeys())).status).toBe(403);
    // What a reload of the configuration does: its object stays, its values change.
    Object.assign(server.config, { registration: "open" });
    await admitted(server.url);
    Object.assign(server.config, { registration: "closed" });
    expect((await signIn(server.url, newKeys())).body.error).toContain("no new accounts");
  });

  test("invite: the first key needs one too, and hears how to get it", async () => {
    const server = await started({ registration: "invite" });
    const answer = await signIn(server.url, newKeys());
    expect(answer.status).toBe(403);
    expect(answer.body.error).toContain("by invitation only");
  });

  test("keys that wait are bounded, those that tried last are kept", async () => {
    const server = await started({ registration: "claim", rateLimits: false });
    await admitted(server.url);
    const first = newKeys();
    await signIn(server.url, first);
    rows(
      server,
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
       INSERT INTO waiting_keys SELECT 'F' || i, 'FAKE', '', NULL, ?, ? FROM n`,
      Date.now(),
      Date.now() - 60_000,
    );
    const last = newKeys();
    await signIn(server.url, last);
    const kept = rows<{ n: number }>(server, "SELECT count(*) AS n FROM waiting_keys");
    expect(kept).toEqual([{ n: 1_000 }]);
    const hex = (keys: Keys) => Buffer.from(keys.publicKey).toString("hex").toUpperCase();
    for (const keys of [first, last])
      expect(rows(server, "SELECT 1 FROM waiting_keys WHERE public_key = ?", hex(keys))).toHaveLength(1);
  });
});

describe("roost accounts", () => {
  test("lists who waits, lets one in and refuses another, while the server runs", async () => {
    const server = await started({ registration: "claim" });
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
    const server = await started({ registration: "claim" });
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

describe("an invite address", () => {
  const inviteUrl = async (server: TestServer, ...words: string[]) => {
    const { stdout, code } = await roost(server, "invite", ...words);
    expect(code).toBe(0);
    return `${server.url}${new URL(stdout.split("\n")[0] ?? "").pathname}`;
  };

  test("stands on the public address, and its code is kept as a hash only", async () => {
    const server = await started({ registration: "invite", publicUrl: "https://happy.example/roost/" });
    const { stdout } = await roost(server, "invite");
    const code = /^https:\/\/happy\.example\/roost\/i\/([A-Za-z0-9]{20})\n/.exec(stdout)?.[1] ?? "";
    expect(code).not.toBe("");
    const [row] = rows<{ code_hash: Uint8Array; uses_left: number }>(server, "SELECT * FROM invites");
    expect(Buffer.from(row?.code_hash ?? []).toString("latin1")).not.toContain(code);
    expect(row?.uses_left).toBe(1);
  });

  test("is a server of its own to a client: banner, sign-in, API, attachments and sockets work below it", async () => {
    const server = await started({ registration: "invite" });
    const url = await inviteUrl(server);
    for (const banner of [url, `${url}/`, `${url}//`])
      expect(await (await fetch(banner, { headers: { accept: "text/plain" } })).text()).toContain(
        "Welcome to Happy Server!",
      );
    const account = await admitted(url);
    const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "bWV0YQ==" });
    expect((await account.call("GET", "//v1/sessions")).body.sessions).toHaveLength(1);
    expect((await fetch(`${url}/v1/nope`)).status).toBe(404);
    expect((await fetch(`${url}/v1/auth`, { method: "OPTIONS" })).status).toBe(400);
    const upload = await account.call("POST", `/v1/sessions/${body.session.id}/attachments/request-upload`, {
      filename: "a",
      size: 3,
    });
    // Clients send their token only below the address that they were given.
    expect(upload.body.uploadUrl.startsWith(`${url}/v1/`)).toBe(true);
    const headers = { authorization: `Bearer ${account.token}`, "content-type": "application/octet-stream" };
    expect((await fetch(upload.body.uploadUrl, { method: "PUT", body: "abc", headers })).status).toBe(200);
    const download = await account.call(
      "POST",
      `/v1/sessions/${body.session.id}/attachments/request-download`,
      { ref: upload.body.ref },
    );
    expect(download.body.downloadUrl.startsWith(`${url}/v1/`)).toBe(true);
    expect(await (await fetch(download.body.downloadUrl, { headers })).text()).toBe("abc");
    // The unmodified client puts the path into the namespace, and asks the engine at /v1/updates/.
    const phone = await account.connect();
    expect(phone.socket.connected).toBe(true);
    const plain = await listen(server.url, { token: account.token, clientType: "user-scoped" });
    // As the CLI's daemon writes the address of its socket.
    const daemon = await listen(url.replace(/^http/, "ws"), {
      token: account.token,
      clientType: "machine-scoped",
      machineId: "m",
    });
    expect(await daemon.ask("ping")).toEqual({});
    daemon.close();
    await account.call("POST", `/v3/sessions/${body.session.id}/messages`, {
      messages: [{ content: "hello", localId: "a" }],
    });
    await Promise.all([phone.untilUpdate("new-message"), plain.untilUpdate("new-message")]);
    expect(await phone.ask("ping")).toEqual({});
    phone.close();
    plain.close();
  });

  test("admits as many keys as it was made for, however many try at once, and stays an address for them", async () => {
    const server = await started({ registration: "invite" });
    const url = await inviteUrl(server, "--uses", "3");
    const all = Array.from({ length: 12 }, newKeys);
    const answers = await Promise.all(all.map((keys) => signIn(url, keys)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(9);
    const keys = all[answers.findIndex(({ status }) => status === 200)] as Keys;
    const account = await admitted(url, keys);
    expect((await account.call("GET", "/v1/account/profile")).status).toBe(200);
    (await account.connect()).close();
  });

  test("admits nobody new after its time, and stays an address", async () => {
    const server = await started({ registration: "invite" });
    const url = await inviteUrl(server, "--uses", "5", "--for", "1h");
    const keys = newKeys();
    await admitted(url, keys);
    rows(server, "UPDATE invites SET expires_at = expires_at - ?", 3_600_001);
    expect((await signIn(url, newKeys())).status).toBe(403);
    const account = await admitted(url, keys);
    (await account.connect()).close();
  });

  test("a code that nobody made admits nobody, and an unused one is not used up by who is here", async () => {
    const server = await started({ registration: "claim" });
    const owner = newKeys();
    await admitted(server.url, owner);
    const url = await inviteUrl(server);
    await admitted(url, owner);
    expect((await signIn(`${server.url}/i/AAAAAAAAAAAAAAAAAAAA`, newKeys())).status).toBe(403);
    const guest = newKeys();
    const name = fingerprintIn((await signIn(server.url, guest)).body.error);
    const waits = async () => new RegExp(`${name} +waiting`).test((await roost(server, "accounts")).stdout);
    expect(await waits()).toBe(true);
    await admitted(url, guest);
    expect(await waits()).toBe(false);
  });

  test("other namespaces stay refused", async () => {
    const server = await started();
    const { token } = await admitted(server.url);
    await expect(listen(`${server.url}/other`, { token })).rejects.toThrow("Invalid namespace");
    await expect(listen(`${server.url}/i/x`, { token: "junk" })).rejects.toThrow(
      "Invalid authentication token",
    );
  });
});

/** Something in every table that an account can own rows in. @returns the session. */
async function fill(account: Account, server: TestServer): Promise<string> {
  const metadata = "bWV0YQ==";
  const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata });
  const sid = opened.body.session.id as string;
  const machineId = `machine-of-${account.id}`;
  await account.call("POST", "/v1/machines", { id: machineId, metadata });
  await account.call("POST", `/v3/sessions/${sid}/messages`, { messages: [{ content: "a", localId: "a" }] });
  await account.call("POST", `/v1/access-keys/${sid}/${machineId}`, { data: "x" });
  await account.call("POST", "/v1/artifacts", {
    id: crypto.randomUUID(),
    header: "AAEC",
    body: "AAEC",
    dataEncryptionKey: "AAEC",
  });
  await account.call("POST", "/v1/kv", { mutations: [{ key: "k", value: "AAEC", version: -1 }] });
  await account.call("POST", "/v1/push-tokens", { token: `ExponentPushToken[${account.id}]` });
  await account.call("POST", "/v1/connect/openai/register", { token: "sk" });
  const { body } = await account.call("POST", `/v1/sessions/${sid}/attachments/request-upload`, {
    filename: "a",
    size: 3,
  });
  await fetch(body.uploadUrl, {
    method: "PUT",
    body: "abc",
    headers: { authorization: `Bearer ${account.token}`, "content-type": "application/octet-stream" },
  });
  const now = Date.now();
  const pk = "(SELECT pk FROM accounts WHERE id = ?)";
  const own = (text: string) => rows(server, text, account.id, now, now);
  own(
    `INSERT INTO usage_reports (id, account_pk, key, data, created_at, updated_at) VALUES ('u' || random(), ${pk}, 'k', '{}', ?, ?)`,
  );
  own(
    `INSERT INTO feed_items (id, account_pk, counter, body, created_at, updated_at) VALUES ('f' || random(), ${pk}, 1000, '{}', ?, ?)`,
  );
  own(
    `INSERT INTO uploaded_files (id, account_pk, path, created_at, updated_at) VALUES ('p' || random(), ${pk}, 'public/x', ?, ?)`,
  );
  own(`INSERT INTO push_ledger (account_pk, session_id, kind, outcome, tokens, delivered, duration_ms, created_at)
    SELECT ${pk}, 's', 'k', 'sent', 1, 1, 1, ? WHERE ? > 0`);
  own(`INSERT INTO seen_tokens (account_pk, token_id, label, issued_at, first_seen_at, last_seen_at)
    SELECT ${pk}, 'x', '', 0, ?, ?`);
  rows(server, `INSERT INTO revoked_tokens SELECT 'r' || random(), ${pk}, ?`, account.id, now);
  const publicKey = Buffer.from(nacl.box.keyPair().publicKey).toString("base64");
  for (const kind of ["", "/account"]) {
    await call(account.url, undefined, "POST", `/v1/auth${kind}/request`, { publicKey });
    await account.call("POST", `/v1/auth${kind}/response`, { publicKey, response: "x" });
  }
  const empty = OWNED.filter(
    ([table]) => table !== "relationships" && !(table in countsOf(server, account.id)),
  );
  expect(empty).toEqual([]);
  return sid;
}

/** Every table with rows of accounts, and the column that says whose. */
const OWNED = [
  ...["sessions", "machines", "access_keys", "artifacts", "kv_entries", "usage_reports", "push_tokens"],
  ...[
    "service_account_tokens",
    "uploaded_files",
    "feed_items",
    "push_ledger",
    "seen_tokens",
    "revoked_tokens",
  ],
]
  .map((table) => [table, "account_pk"] as const)
  .concat([
    ["relationships", "from_pk"],
    ["terminal_auth_requests", "response_account_pk"],
    ["account_auth_requests", "response_account_pk"],
  ] as never);
const pkOf = new Map<string, number>();

/** How many rows each table has of the account; only those with any. */
function countsOf(server: TestServer, account: string): Record<string, number> {
  const [known] = rows<{ pk: number }>(server, "SELECT pk FROM accounts WHERE id = ?", account);
  if (known !== undefined) pkOf.set(account, known.pk);
  const pk = pkOf.get(account) ?? 0;
  const counts = OWNED.map(([table, column]) => {
    const [count] = rows<{ n: number }>(server, `SELECT count(*) AS n FROM ${table} WHERE ${column} = ?`, pk);
    return [table, count?.n ?? 0] as const;
  });
  return Object.fromEntries(counts.filter(([, n]) => n > 0));
}

// Who may come in, with clients as they are: keys that sign in, invite addresses with a path, and sockets that put the path into their
// namespace.
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "./support/config.ts";
import { call, listen } from "./support/happy-client.ts";
import { fingerprintIn, roost, rows } from "./support/operator.ts";
import { type TestServer, testServer } from "./support/server.ts";
import { admitted, type Keys, newKeys, publicKeyHex, signed, signIn } from "./support/sign-in.ts";

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

describe("registration", () => {
  test("claim: the first key owns the server, later ones wait, and the owner always comes back", async () => {
    const server = await started({ happyRegistration: "claim" });
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
    const server = await started({ happyRegistration: "claim" });
    const answers = await Promise.all(Array.from({ length: 20 }, () => signIn(server.url, newKeys())));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(19);
    expect(rows(server, "SELECT count(*) AS n, sum(is_owner) AS owners FROM accounts")).toEqual([
      { n: 1, owners: 1 },
    ]);
  });

  test("claim: a key whose signature is bad neither claims nor waits", async () => {
    const server = await started({ happyRegistration: "claim" });
    const forged = { ...signed(newKeys()), challenge: "AAAA" };
    expect((await call(server.url, undefined, "POST", "/v1/auth", forged)).status).toBe(401);
    expect(rows(server, "SELECT 1 FROM accounts UNION ALL SELECT 1 FROM waiting_keys")).toEqual([]);
  });

  test("open: everybody comes in", async () => {
    const server = await started({ happyRegistration: "open" });
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
    const server = await started({ dataDir, happyRegistration: "closed" });
    const answer = await signIn(`${server.url}${path}`, newKeys());
    expect(answer).toMatchObject({ status: 403 });
    expect(answer.body.error).toContain("no new accounts");
    expect(rows(server, "SELECT * FROM waiting_keys")).toEqual([]);
    await admitted(server.url, known);
    expect((await roost(server, "invite")).stdout).toContain("registration is closed");
  });

  test("a mode that is changed while the server runs holds from the next sign-in on", async () => {
    const server = await started({ happyRegistration: "claim" });
    await admitted(server.url);
    expect((await signIn(server.url, newKeys())).status).toBe(403);
    // What a reload of the configuration does: its object stays, its values change.
    Object.assign(server.config, { happyRegistration: "open" });
    await admitted(server.url);
    Object.assign(server.config, { happyRegistration: "closed" });
    expect((await signIn(server.url, newKeys())).body.error).toContain("no new accounts");
  });

  test("invite: the first key needs one too, and hears how to get it", async () => {
    const server = await started({ happyRegistration: "invite" });
    const answer = await signIn(server.url, newKeys());
    expect(answer.status).toBe(403);
    expect(answer.body.error).toContain("by invitation only");
  });

  test("keys that wait are bounded, those that tried last are kept", async () => {
    const server = await started({ happyRegistration: "claim", rateLimits: false });
    await admitted(server.url);
    const first = newKeys();
    await signIn(server.url, first);
    rows(
      server,
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2200)
       INSERT INTO waiting_keys (public_key, fingerprint, client, first_seen_at, last_seen_at, network)
       SELECT 'F' || i, 'FAKE', '', ?, ?, 'n' || (i % 2) FROM n`,
      Date.now(),
      Date.now() - 60_000,
    );
    const last = newKeys();
    await signIn(server.url, last);
    const kept = rows<{ n: number }>(server, "SELECT count(*) AS n FROM waiting_keys");
    expect(kept).toEqual([{ n: 2_000 }]);
    for (const keys of [first, last])
      expect(
        rows(server, "SELECT 1 FROM waiting_keys WHERE public_key = ?", publicKeyHex(keys)),
      ).toHaveLength(1);
  });
});

describe("an invite address", () => {
  const inviteUrl = async (server: TestServer, ...words: string[]) => {
    const { stdout, code } = await roost(server, "invite", ...words);
    expect(code).toBe(0);
    return `${server.url}${new URL(stdout.split("\n")[0] ?? "").pathname}`;
  };

  test("stands on the public address, and its code is kept as a hash only", async () => {
    const server = await started({ happyRegistration: "invite", publicUrl: "https://happy.example/roost/" });
    const { stdout } = await roost(server, "invite");
    const code = /^https:\/\/happy\.example\/roost\/i\/([A-Za-z0-9]{20})\n/.exec(stdout)?.[1] ?? "";
    expect(code).not.toBe("");
    const [row] = rows<{ code_hash: Uint8Array; uses_left: number }>(server, "SELECT * FROM invites");
    expect(Buffer.from(row?.code_hash ?? []).toString("latin1")).not.toContain(code);
    expect(row?.uses_left).toBe(1);
  });

  test("is a server of its own to a client: banner, sign-in, API, attachments and sockets work below it", async () => {
    const server = await started({ happyRegistration: "invite" });
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
    const server = await started({ happyRegistration: "invite" });
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
    const server = await started({ happyRegistration: "invite" });
    const url = await inviteUrl(server, "--uses", "5", "--for", "1h");
    const keys = newKeys();
    await admitted(url, keys);
    rows(server, "UPDATE invites SET expires_at = expires_at - ?", 3_600_001);
    expect((await signIn(url, newKeys())).status).toBe(403);
    const account = await admitted(url, keys);
    (await account.connect()).close();
  });

  test("a code that nobody made admits nobody, and an unused one is not used up by who is here", async () => {
    const server = await started({ happyRegistration: "claim" });
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

// The server is stopped in the middle of work, and started where it must not run. A stop takes under five seconds, finishes what is
// in flight, makes clients come back, and leaves one complete database file.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { type Account, newAccount } from "../support/happy-client.ts";
import { nothingLeftBehind } from "../support/left-behind.ts";
import { inspect } from "./database-file.ts";
import { frame, RawConnection } from "./raw-connection.ts";
import { startProcess } from "./server-process.ts";

const STOP_BOUND_MS = 5_000;

const { freshFolder, started, undo } = nothingLeftBehind("stop", {
  env: { ROOST_LOG_LEVEL: "info", ROOST_RATE_LIMITS: "false" },
});

/** One HTTP request over a connection of its own, written piece by piece. */
class SlowRequest {
  readonly answer: Promise<string>;
  readonly #socket;

  constructor(port: number) {
    this.#socket = connect(port, "127.0.0.1");
    let received = "";
    this.#socket.setEncoding("utf8").on("data", (text: string) => {
      received += text;
    });
    this.answer = new Promise((resolve, reject) => {
      this.#socket.on("close", () => resolve(received));
      this.#socket.on("error", reject);
    });
  }

  write(text: string): Promise<void> {
    return new Promise((resolve) => this.#socket.write(text, () => resolve()));
  }
}

/** Resolves when nobody listens there any more. */
async function untilRefused(url: string): Promise<void> {
  for (;;) {
    try {
      const { status } = await fetch(`${url}/health`, { keepalive: false });
      expect([200, 503]).toContain(status);
    } catch {
      return;
    }
  }
}

async function newSession(account: Account, tag: string): Promise<string> {
  const opened = await account.call("POST", "/v1/sessions", { tag, metadata: "m" });
  return opened.body.session.id;
}

test("SIGTERM under load: what was begun is finished, nothing acknowledged is lost, clients are told to come back", async () => {
  const dataDir = freshFolder();
  const server = await started(dataDir);
  const account = await newAccount(server.url);
  const sid = await newSession(account, "load");
  const slowSid = await newSession(account, "slow");
  await account.call("POST", "/v1/machines", { id: "machine", metadata: "m" });

  const listeners = await Promise.all(Array.from({ length: 20 }, () => account.connect()));
  const reasons = listeners.map(
    ({ socket }) => new Promise<string>((resolve) => socket.once("disconnect", resolve)),
  );

  const acknowledged: string[] = [];
  const busy = Promise.withResolvers<void>();
  let stopping = false;
  const load = Array.from({ length: 6 }, async (_, writer) => {
    for (let number = 0; ; number++) {
      const localId = `${writer}-${number}`;
      try {
        const path = `/v3/sessions/${sid}/messages`;
        const { status } = await account.call("POST", path, { messages: [{ content: "c", localId }] });
        if (status !== 200) expect([status, stopping]).toEqual([503, true]);
        else if (acknowledged.push(localId) === 100) busy.resolve();
      } catch (error) {
        if (!stopping) throw error;
        return;
      }
    }
  });

  const body = JSON.stringify({ messages: [{ content: "slow", localId: "slow" }] });
  const slow = new SlowRequest(server.port);
  await slow.write(
    `POST /v3/sessions/${slowSid}/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${account.token}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body.slice(0, 20)}`,
  );

  const heardAt = Date.now() - 1_000;
  const [phone] = listeners;
  phone?.socket.emit("machine-alive", { machineId: "machine", time: heardAt });
  await phone?.untilEphemeral("machine-activity", ({ activeAt }) => activeAt === heardAt);

  await busy.promise;
  stopping = true;
  const begun = performance.now();
  const ended = server.end("SIGTERM");
  await untilRefused(server.url);
  await slow.write(body.slice(20));
  expect(await slow.answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*"localId":"slow"/);
  expect(await Promise.all(reasons)).toEqual(listeners.map(() => "transport close"));
  expect(await ended).toBe(0);
  expect(performance.now() - begun).toBeLessThan(STOP_BOUND_MS);
  await Promise.all(load);

  expect(server.output.stderr).toBe("");
  expect(server.logged(40)).toEqual([]);
  const path = join(dataDir, "happy.db");
  expect(existsSync(`${path}-wal`) ? statSync(`${path}-wal`).size : 0).toBe(0);
  const { integrity } = inspect(path);
  expect(integrity).toEqual(["ok"]);
  using sqlite = new Database(path, { readonly: true });
  const rows = sqlite.query<{ local_id: string }, []>("SELECT local_id FROM messages ORDER BY pk").all();
  const kept = new Set(rows.map(({ local_id }) => local_id));
  expect([...acknowledged, "slow"].filter((localId) => !kept.has(localId))).toEqual([]);
  expect(
    sqlite
      .query<{ active: number; at: number }, []>("SELECT active, last_active_at AS at FROM machines")
      .get(),
  ).toEqual({ active: 1, at: heardAt });
}, 30_000);

test("a client that begins a request and never ends it does not hold up the stop", async () => {
  const server = await started(freshFolder());
  const stuck = new SlowRequest(server.port);
  await stuck.write(
    "POST /v1/auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
  );
  const idle = await fetch(`${server.url}/health`);
  expect(idle.status).toBe(200);
  const begun = performance.now();
  expect(await server.end("SIGTERM")).toBe(0);
  expect(performance.now() - begun).toBeLessThan(STOP_BOUND_MS);
  await stuck.answer.catch(() => "reset");
}, 30_000);

test("a socket that is not read does not hold up the stop either", async () => {
  const server = await started(freshFolder());
  const account = await newAccount(server.url);
  const sid = await newSession(account, "t");
  const stuck = await RawConnection.webSocket(server.port);
  stuck.write(frame(`40{"token":"${account.token}"}`));
  await stuck.until((received) => received.includes('40{"sid"'), STOP_BOUND_MS);
  stuck.stopReading();
  for (let number = 0; number < 12; number++) {
    const messages = [{ content: "x".repeat(1_000_000), localId: `${number}` }];
    expect((await account.call("POST", `/v3/sessions/${sid}/messages`, { messages })).status).toBe(200);
  }
  const begun = performance.now();
  expect(await server.end("SIGTERM")).toBe(0);
  expect(performance.now() - begun).toBeLessThan(STOP_BOUND_MS);
  stuck.destroy();
}, 30_000);

test("clients come back by themselves to a server that was restarted, and hear what happens then", async () => {
  const dataDir = freshFolder();
  const first = await started(dataDir);
  const account = await newAccount(first.url);
  const phone = await account.connect({ clientType: "user-scoped" });
  phone.socket.io.reconnection(true).reconnectionDelay(50).reconnectionDelayMax(50);
  const back = new Promise<void>((resolve) => phone.socket.io.once("reconnect", () => resolve()));
  expect(await first.end("SIGINT")).toBe(0);
  const second = await startProcess({ dataDir, port: first.port });
  undo(() => second.end("SIGKILL"));
  await back;
  await phone.settled();
  await newSession(account, "after");
  expect((await phone.untilUpdate("new-session")).seq).toBe(1);
  phone.close();
}, 30_000);

// A thousand sockets lose their connection and come back, five times: a stopped server, a killed one, and cut cables.
// Afterwards everybody hears one update exactly once, and the server has not grown.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Account, accountWith, type Listener, listen, newAccount } from "../support/happy-client.ts";
import { memoryOf, type ServerProcess, startProcess } from "./server-process.ts";

const ACCOUNTS = 10;
const SOCKETS = 1_000;
const ROUNDS = ["stop", "kill", "cable", "cable", "cable"] as const;
const BOUND_MS = 120_000;
/** The collector lets about 60 MB pile up over many more rounds than these; a leak of 50 kB a reconnect would show. */
const GROWTH_BYTES = 150 * 1024 * 1024;

const dataDir = mkdtempSync(join(tmpdir(), "roost-storm-"));
const listeners: Listener[] = [];
const accounts: { account: Account; sid: string }[] = [];
let server: ServerProcess;

const start = (port = 0) =>
  startProcess({ dataDir, port, env: { ROOST_LOG_LEVEL: "warn", ROOST_RATE_LIMITS: "false" } });

beforeAll(async () => {
  server = await start();
}, 30_000);
afterAll(async () => {
  for (const listener of listeners) listener.close();
  await server?.end("SIGKILL");
  rmSync(dataDir, { recursive: true, force: true });
});

/** Phones and agents in turn, all of them stubborn. */
async function connectAll(): Promise<void> {
  for (let index = 0; index < ACCOUNTS; index++) {
    const account = await newAccount(server.url);
    const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
    accounts.push({ account, sid: opened.body.session.id });
  }
  const waiting = Array.from({ length: SOCKETS }, async (_, index) => {
    const at = accounts[index % ACCOUNTS];
    if (at === undefined) throw new Error("no account");
    const scopes = [{ clientType: "user-scoped" }, { clientType: "session-scoped", sessionId: at.sid }];
    const scope = scopes[Math.floor(index / ACCOUNTS) % 2] ?? {};
    const stubborn = {
      reconnection: true,
      reconnectionDelay: 50,
      reconnectionDelayMax: 500,
      timeout: 60_000,
    };
    listeners.push(await listen(server.url, { token: at.account.token, ...scope }, stubborn));
  });
  await Promise.all(waiting);
}

/** Resolves when each has lost its connection and has been accepted again. */
function everybodyBack(): Promise<unknown> {
  return Promise.all(
    listeners.map(
      ({ socket }) =>
        new Promise<void>((resolve) => {
          socket.once("disconnect", () => socket.once("connect", () => resolve()));
        }),
    ),
  );
}

async function announceOnce(content: string): Promise<void> {
  for (const { account, sid } of accounts) {
    const messages = [{ content, localId: content }];
    const { status } = await accountWith(server.url, account.token).call(
      "POST",
      `/v3/sessions/${sid}/messages`,
      {
        messages,
      },
    );
    expect(status).toBe(200);
  }
  await Promise.all(listeners.map((listener) => listener.settled()));
}

test(
  `${SOCKETS} sockets reconnect ${ROUNDS.length} times and then hear one update exactly once`,
  async () => {
    await connectAll();
    await announceOnce("before");
    let calm = memoryOf(server.pid);
    for (const round of ROUNDS) {
      const begun = performance.now();
      const back = everybodyBack();
      if (round === "cable") for (const { socket } of listeners) socket.io.engine.close();
      else {
        expect(await server.end(round === "stop" ? "SIGTERM" : "SIGKILL")).toBe(round === "stop" ? 0 : 137);
        expect(server.output.stderr).toBe("");
        server = await start(server.port);
        calm = undefined;
      }
      await back;
      console.error(`reconnect-storm: ${round}, all back after ${Math.round(performance.now() - begun)} ms`);
      calm ??= memoryOf(server.pid);
    }
    for (const listener of listeners) listener.heard.length = 0;
    await announceOnce("after");
    for (const { heard } of listeners) {
      const messages = heard.filter(({ event, body }) => event === "update" && body.body.t === "new-message");
      expect(messages.map(({ body }) => body.body.message.localId)).toEqual(["after"]);
    }
    const now = memoryOf(server.pid);
    if (calm !== undefined && now !== undefined)
      expect(now.resident - calm.resident).toBeLessThan(GROWTH_BYTES);
    expect(server.logged(40)).toEqual([]);
    expect(server.output.stderr).toBe("");
  },
  BOUND_MS,
);

// A client that stops reading while much is said: what waits for it is bounded, it is closed with a log line, nobody else waits or
// loses anything, and it can come back.
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Account, type Listener, newAccount } from "../support/happy-client.ts";
import { frame, RawConnection } from "./raw-connection.ts";
import { memoryOf, type ServerProcess, startProcess } from "./server-process.ts";

const QUEUE_BYTES = 1024 * 1024;
/** Well above what the queue and the buffers of the two systems between can hold. */
const MESSAGES = 400;
const MESSAGE = "x".repeat(100_000);
const BOUND_MS = 60_000;
/** What the server may grow by: a fraction of the 40 MB that are said to every listener. */
const GROWTH_BYTES = 160 * 1024 * 1024;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Scene {
  readonly server: ServerProcess;
  readonly account: Account;
  readonly sid: string;
  readonly healthy: readonly Listener[];
}

async function scene(): Promise<Scene> {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-reader-"));
  closers.push(() => rmSync(dataDir, { recursive: true, force: true }));
  const env = { ROOST_LOG_LEVEL: "warn", ROOST_MAX_QUEUED_BYTES: `${QUEUE_BYTES}` };
  const server = await startProcess({ dataDir, env });
  closers.push(() => server.end("SIGKILL"));
  const account = await newAccount(server.url);
  const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
  const sid = opened.body.session.id;
  const healthy = await Promise.all([
    account.connect(),
    account.connect({ clientType: "session-scoped", sessionId: sid }),
    account.connect(),
  ]);
  closers.push(() => {
    for (const listener of healthy) listener.close();
  });
  return { server, account, sid, healthy };
}

/** Says all messages; returns the longest that one of them took. */
async function say({ account, sid }: Scene): Promise<number> {
  let slowest = 0;
  for (let number = 0; number < MESSAGES; number++) {
    const begun = performance.now();
    const messages = [{ content: MESSAGE, localId: `${number}` }];
    const { status } = await account.call("POST", `/v3/sessions/${sid}/messages`, { messages });
    expect(status).toBe(200);
    slowest = Math.max(slowest, performance.now() - begun);
  }
  return slowest;
}

async function expectNothingLost({ healthy }: Scene): Promise<void> {
  for (const listener of healthy) {
    await listener.settled();
    const seqs = listener.updates.flatMap(({ body }) => (body.t === "new-message" ? [body.message.seq] : []));
    expect(seqs).toEqual(Array.from({ length: MESSAGES }, (_, index) => index + 1));
    expect(listener.socket.connected).toBe(true);
  }
}

function expectBounded(server: ServerProcess, before: { peak: number } | undefined): void {
  const after = memoryOf(server.pid);
  if (before === undefined || after === undefined) return;
  expect(after.peak - before.peak).toBeLessThan(GROWTH_BYTES);
}

test(
  "a WebSocket that is not read is closed, and nobody else waits or loses a frame",
  async () => {
    const here = await scene();
    const { server, account } = here;
    const stuck = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const connection = await RawConnection.webSocket(server.port);
        connection.write(frame(`40{"token":"${account.token}"}`));
        await connection.until((received) => received.includes('40{"sid"'), BOUND_MS);
        connection.stopReading();
        return connection;
      }),
    );
    const before = memoryOf(server.pid);
    const slowest = await say(here);
    await expectNothingLost(here);
    expect(slowest).toBeLessThan(2_000);
    expectBounded(server, before);

    const lines = server.logged(40).filter(({ msg }) => msg.startsWith("a client does not read"));
    expect(lines).toHaveLength(stuck.length);
    for (const line of lines) {
      const { queuedBytes, limitBytes } = line as unknown as { queuedBytes: number; limitBytes: number };
      expect(limitBytes).toBe(QUEUE_BYTES);
      // One message may stand above the limit, not two.
      expect(queuedBytes).toBeLessThan(QUEUE_BYTES + 2 * MESSAGE.length);
    }
    for (const connection of stuck) {
      connection.resumeReading();
      expect(await connection.until(() => connection.closed, BOUND_MS)).toBe(true);
    }
    const back = await account.connect();
    await back.settled();
    back.close();
  },
  BOUND_MS,
);

test(
  "a long-polling client that never polls again is closed as well",
  async () => {
    const here = await scene();
    const { server, account } = here;
    const polling = `${server.url}/v1/updates/?EIO=4&transport=polling`;
    const handshake = await (await fetch(polling)).text();
    const address = `${polling}&sid=${JSON.parse(handshake.slice(1)).sid}`;
    await fetch(address, { method: "POST", body: `40{"token":"${account.token}"}` });
    expect(await (await fetch(address)).text()).toStartWith('40{"sid"');

    const before = memoryOf(server.pid);
    await say(here);
    await expectNothingLost(here);
    expectBounded(server, before);
    expect(server.logged(40).map(({ msg }) => msg)).toEqual([
      "a client does not poll: its queue is full; it was closed and may reconnect",
    ]);
    const gone = await fetch(address);
    expect([gone.status, await gone.json()]).toEqual([400, { code: 1, message: "Session ID unknown" }]);
  },
  BOUND_MS,
);

test(
  "a message above the limit still reaches everybody who reads",
  async () => {
    const here = await scene();
    const content = "y".repeat(8 * QUEUE_BYTES);
    const { account, sid, healthy } = here;
    await account.call("POST", `/v3/sessions/${sid}/messages`, { messages: [{ content, localId: "large" }] });
    for (const listener of healthy) {
      const update = await listener.untilUpdate("new-message", BOUND_MS);
      expect(update.body.message.content.c).toHaveLength(content.length);
    }
  },
  BOUND_MS,
);

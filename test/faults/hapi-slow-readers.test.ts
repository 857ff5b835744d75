// Readers that stop, with HAPI on: an event stream that is not read, a page that does not read while a terminal floods it. What waits for
// them is bounded, they are closed with a log line, nobody else waits or loses anything, and they can come back.
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EventStream } from "../hapi/event-stream.ts";
import type { ScriptedClient } from "../hapi/scripted-client.ts";
import { until } from "../support/until.ts";
import { asked, HAPI_ENV, HapiUser, keepAlive, messagesIn } from "./hapi-process.ts";
import { frame, RawConnection } from "./raw-connection.ts";
import { memoryOf, type ServerProcess, startProcess } from "./server-process.ts";

const QUEUE_BYTES = 1024 * 1024;
/** Well above what the queue and the buffers of the two systems between can hold. */
const MESSAGES = 400;
/** Several strings, each short enough to be stored as it is. */
const MESSAGE = Array.from({ length: 3 }, () => "x".repeat(33_000));
const MESSAGE_BYTES = 100_000;
const BOUND_MS = 90_000;
/** What the server may grow by: a fraction of what is said to every listener. */
const GROWTH_BYTES = 160 * 1024 * 1024;
const STOPPED = 5;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Scene {
  readonly server: ServerProcess;
  readonly user: HapiUser;
  readonly sid: string;
  readonly agent: ScriptedClient;
}

async function scene(): Promise<Scene> {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-hapi-reader-"));
  closers.push(() => rmSync(dataDir, { recursive: true, force: true }));
  const env = { ...HAPI_ENV, ROOST_LOG_LEVEL: "warn", ROOST_MAX_QUEUED_BYTES: `${QUEUE_BYTES}` };
  const server = await startProcess({ dataDir, env });
  closers.push(() => server.end("SIGKILL"));
  const user = await HapiUser.of(server, dataDir);
  const sid = await user.session();
  const agent = await user.agent(sid);
  closers.push(() => agent.close());
  return { server, user, sid, agent };
}

/** Those that the server gave up, and how much waited for them. */
function expectGivenUp(server: ServerProcess, words: string, count: number): void {
  const lines = server.logged(40).filter(({ msg }) => msg.startsWith(words));
  expect(lines).toHaveLength(count);
  for (const line of lines) {
    const { queuedBytes, limitBytes } = line as unknown as { queuedBytes: number; limitBytes: number };
    expect(limitBytes).toBe(QUEUE_BYTES);
    // One message may stand above the limit, not two.
    expect(queuedBytes).toBeLessThan(QUEUE_BYTES + 2 * MESSAGE_BYTES);
  }
}

function expectBounded(server: ServerProcess, before: { peak: number } | undefined): void {
  const after = memoryOf(server.pid);
  if (before === undefined || after === undefined) return;
  expect(after.peak - before.peak).toBeLessThan(GROWTH_BYTES);
}

test(
  "event streams that are not read are closed, and nobody else waits or loses an event",
  async () => {
    const { server, user, sid, agent } = await scene();
    const healthy: EventStream[] = [];
    for (const filter of ["all=true", `sessionId=${sid}`, "all=true&visibility=visible"])
      healthy.push((await user.events(filter)).stream);
    closers.push(() => {
      for (const stream of healthy) stream.close();
    });
    const stuck = await Promise.all(
      Array.from({ length: STOPPED }, async () => {
        const connection = await RawConnection.open(server.port);
        connection.write(
          `GET /api/events?all=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${user.jwt}\r\n\r\n`,
        );
        await connection.until((received) => received.includes("subscriptionId"), BOUND_MS);
        connection.stopReading();
        return connection;
      }),
    );
    const before = memoryOf(server.pid);
    const content = { role: "agent", content: { type: "codex", data: { type: "tool-call", MESSAGE } } };
    let slowestMs = 0;
    for (let number = 0; number < MESSAGES; number++) {
      const begun = performance.now();
      await asked(agent, "message", { sid, message: content, localId: `${number}` });
      slowestMs = Math.max(slowestMs, performance.now() - begun);
      if (number % 50 === 0) keepAlive(agent, sid);
    }
    const all = Array.from({ length: MESSAGES }, (_, index) => index + 1);
    for (const stream of healthy) {
      await until("everything to be heard", () => messagesIn(stream, sid).length >= MESSAGES, BOUND_MS);
      expect(messagesIn(stream, sid).map(({ seq }) => seq)).toEqual(all);
    }
    expect(slowestMs).toBeLessThan(2_000);
    expectBounded(server, before);
    expectGivenUp(server, "a client does not read: its queue is full", STOPPED);
    for (const connection of stuck) {
      connection.resumeReading();
      expect(await connection.until(() => connection.closed, BOUND_MS)).toBe(true);
      expect(connection.received).not.toEndWith("0\r\n\r\n");
    }
    const { stream: back } = await user.events();
    back.close();
  },
  BOUND_MS,
);

test(
  "pages that do not read while their terminals flood are closed; others see theirs whole, and one is taken over",
  async () => {
    const { server, user, sid, agent } = await scene();
    const page = await user.page();
    closers.push(() => page.close());
    const size = { cols: 80, rows: 24 };
    page.emit("terminal:create", { sessionId: sid, terminalId: "seen", ...size });
    const stuck = await Promise.all(
      Array.from({ length: 3 }, async (_, index) => {
        const connection = await RawConnection.webSocket(
          server.port,
          "/socket.io/?EIO=4&transport=websocket",
        );
        connection.write(frame(`40/terminal,{"token":"${user.jwt}"}`));
        await connection.until((received) => received.includes('40/terminal,{"sid"'), BOUND_MS);
        const wish = JSON.stringify({ sessionId: sid, terminalId: `stuck${index}`, ...size });
        connection.write(frame(`42/terminal,["terminal:create",${wish}]`));
        connection.stopReading();
        return connection;
      }),
    );
    await until("all terminals to be opened", () => opened(agent).length === 4);
    const before = memoryOf(server.pid);
    const data = "x".repeat(MESSAGE_BYTES);
    for (let number = 0; number < MESSAGES; number++) {
      for (let index = 0; index < stuck.length; index++)
        agent.emit("terminal:output", { sessionId: sid, terminalId: `stuck${index}`, data });
      agent.emit("terminal:output", { sessionId: sid, terminalId: "seen", data: `${number} ${data}` });
      if (number % 10 === 0) await agent.flush();
    }
    const seen = () => page.heard.all.filter(({ event }) => event === "terminal:output");
    await until("everything to be seen", () => seen().length >= MESSAGES, BOUND_MS);
    const numbers = seen().map(({ payload }) => Number.parseInt((payload as { data: string }).data, 10));
    expect(numbers).toEqual(Array.from({ length: MESSAGES }, (_, index) => index));
    expectBounded(server, before);
    expectGivenUp(server, "a client does not read", stuck.length);
    for (const connection of stuck) {
      connection.resumeReading();
      expect(await connection.until(() => connection.closed, BOUND_MS)).toBe(true);
    }
    // Its PTY runs on; another page takes it over with the end of what it put out.
    keepAlive(agent, sid);
    const other = await user.page();
    closers.push(() => other.close());
    other.emit("terminal:create", { sessionId: sid, terminalId: "stuck0", ...size });
    const replayed = await other.heard.first("the replay", BOUND_MS, ({ event, payload }) =>
      event === "terminal:output" ? (payload as { data: string }).data : undefined,
    );
    expect(replayed.length).toBeWithin(128 * 1024, 256 * 1024 + 1);
    expect(agent.socket.connected).toBe(true);
    expect((await user.send(sid, "still there")).status).toBe(200);
  },
  BOUND_MS,
);

test(
  "a CLI that does not read what is sent to it is closed, and its message waits for it",
  async () => {
    const { server, user, sid, agent } = await scene();
    const connection = await RawConnection.webSocket(server.port, "/socket.io/?EIO=4&transport=websocket");
    connection.write(frame(`40/cli,{"token":"${user.token}","sessionId":"${sid}"}`));
    await connection.until((received) => received.includes('40/cli,{"sid"'), BOUND_MS);
    connection.stopReading();
    const before = memoryOf(server.pid);
    const text = "x".repeat(MESSAGE_BYTES);
    for (let number = 0; number < MESSAGES; number++) {
      expect((await user.send(sid, text, `${number}`)).status).toBe(200);
      if (number % 50 === 0) keepAlive(agent, sid);
    }
    expectBounded(server, before);
    expectGivenUp(server, "a client does not read", 1);
    connection.resumeReading();
    expect(await connection.until(() => connection.closed, BOUND_MS)).toBe(true);
    const heard = agent.heard.all.flatMap(({ event, payload }) =>
      event === "update" ? [(payload as { seq: number }).seq] : [],
    );
    expect(heard).toEqual(Array.from({ length: MESSAGES }, (_, index) => index + 1));
    expect(await user.after(sid, 0)).toHaveLength(MESSAGES);
  },
  BOUND_MS,
);

const opened = ({ heard }: ScriptedClient) => heard.all.filter(({ event }) => event === "terminal:open");

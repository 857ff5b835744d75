// What one stranger can do through the frames hub to the hub's clients, and to everybody else on the server: a real process, under the
// memory limit of the shipped unit, and the attacks that were proven against it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FramesClient, rawPeer } from "../../support/frames-client.ts";
import { framesToken } from "../../support/frames-token.ts";
import { rounds } from "../../support/full.ts";
import { healthWaits, percentile } from "../../support/health-waits.ts";
import { type MemoryLimit, memoryLimit, peakBytes } from "../../support/memory-limit.ts";
import { Network } from "../../support/network.ts";
import { type ServerProcess, startProcess } from "../server-process.ts";

const MIB = 1024 * 1024;
/** The hub as it always was: no token asked for. */
const OPEN = { GOHUB_HUB_ENABLED: "true", GOHUB_AUTH_ENABLED: "false" };
const TOKENS = {
  GOHUB_AUTH_ENABLED: "true",
  GOHUB_AUTH_ALLOW_ANONYMOUS: "true",
  GOHUB_AUTH_SECRET_KEY: "test-secret",
};

let dataDir: string;
let limit: MemoryLimit;
let server: ServerProcess | undefined;
const sockets: Socket[] = [];
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "roost-abuse-"));
  limit = memoryLimit();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server?.end("SIGKILL");
  server = undefined;
  expect(limit.kills()).toBe(0);
  limit.release();
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(env: Record<string, string>): Promise<ServerProcess> {
  server = await startProcess({
    dataDir,
    wrapper: limit.wrapper,
    env: { ROOST_METRICS_TOKEN: "scrape", ...env },
  });
  return server;
}

async function peer(url: string, query: Record<string, string>): Promise<Socket> {
  const socket = await rawPeer(url, query);
  sockets.push(socket);
  return socket;
}

async function upgrade(
  url: string,
  query: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<number> {
  const response = await fetch(`${url}/ws?${new URLSearchParams(query)}`, {
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      ...headers,
    },
  });
  if (response.status !== 101) await response.text();
  return response.status;
}

async function figure(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`, { headers: { authorization: "Bearer scrape" } })).text();
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? Number.NaN);
}

/** A client's text frame; a mask of zeros changes nothing. */
function masked(message: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(8);
  head[0] = 0x81;
  head[1] = 0x80 | 126;
  head.writeUInt16BE(text.length, 2);
  return Buffer.concat([head, text]);
}

/** 4,000 bytes on the wire, and twice as many in memory. */
const flooding = (target_id: string) => ({
  message_id: 1,
  message_type: "direct_message",
  data: { target_id, content: `${"x".repeat(3_900)}☃` },
});

/** Writes as fast as the server takes it, in rounds, and comes again when it is thrown out; until the time is over, or it is refused. */
async function flood(url: string, name: string, frames: readonly Buffer[], boundMs: number): Promise<number> {
  const deadline = performance.now() + boundMs;
  let sent = 0;
  while (performance.now() < deadline) {
    const socket = await peer(url, { client_id: `${name}${sent}` }).catch(() => undefined);
    if (socket === undefined) {
      await Bun.sleep(50);
      continue;
    }
    let wake = () => {};
    socket.on("drain", () => wake());
    socket.on("close", () => wake());
    socket.resume();
    for (let next = 0; !socket.destroyed && performance.now() < deadline; next = (next + 1) % frames.length) {
      sent++;
      if (socket.write(frames[next] ?? "")) continue;
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      const timer = setTimeout(resolve, 500);
      if (!socket.destroyed) await promise;
      clearTimeout(timer);
    }
    socket.destroy();
  }
  return sent;
}

describe("250 sockets that do not read", () => {
  test("and senders that flood them: everybody else is answered, memory stays far below the unit's limit", async () => {
    const { url, pid } = await start(OPEN);
    const victims = Array.from({ length: 250 }, (_, index) => `victim${index}`);
    for (const client_id of victims) await peer(url, { client_id });
    const boundMs = rounds(5_000, 30_000);
    const frames = victims.map((victim) => masked(flooding(victim)));
    const times = await healthWaits(url, () =>
      Promise.all(["a", "b", "c", "d"].map((name) => flood(url, name, frames, boundMs))),
    );
    // The burst that is allowed is over within a second, of an idle machine; this one may be busy with other tests.
    expect(percentile(times, 0.5)).toBeLessThan(200);
    expect(percentile(times, 0.95)).toBeLessThan(2_000);
    expect(await figure(url, "gohub_messages_total")).toBeLessThan(20_000 + boundMs * 2);
    expect(peakBytes(pid)).toBeLessThan(300 * MIB);
    expect(await figure(url, 'roost_bound_refusals_total{bound="frames-messages"}')).toBeGreaterThan(0);
  }, 90_000);

  test("have one budget together, also where no rate is set: the slowest go, who reads stays and hears everything", async () => {
    const [readers, budgetBytes] = [rounds(24, 250), rounds(4, 64) * MIB];
    const { url, pid } = await start({
      ...OPEN,
      ROOST_FRAMES_MAX_MESSAGES_PER_SECOND: "0",
      ROOST_FRAMES_MAX_QUEUED_BYTES: String(budgetBytes),
    });
    const before = peakBytes(pid);
    const victims = Array.from({ length: readers }, (_, index) => `victim${index}`);
    for (const client_id of victims) await peer(url, { client_id });
    const reader = await FramesClient.connect(url, { client_id: "reader" });
    const sender = await FramesClient.connect(url, { client_id: "sender" });
    const messages = [...victims, "reader"].map(flooding);
    const closed = () => figure(url, 'roost_bound_refusals_total{bound="frames-queues"}');
    let most = 0;
    let sent = 0;
    // The system's own buffers take some megabytes for each before anything waits here.
    for (let left = 3_000; left > 0; left--, sent++) {
      for (const message of messages) sender.send(message);
      // What it sends ahead of the server would count as waiting for a handler.
      await sender.settled();
      if (sent % 50 > 0) continue;
      most = Math.max(most, await figure(url, "gohub_queued_bytes"));
      if ((await closed()) > 0) left = Math.min(left, 100);
    }
    await reader.until(({ frames: heard }) => heard.length === sent, 60_000);
    expect(reader.ending).toBeUndefined();
    expect(await closed()).toBeGreaterThan(0);
    expect(most).toBeWithin(1, budgetBytes);
    expect(await figure(url, "gohub_connected_clients")).toBeWithin(3, readers + 2);
    // What waits is within the budget; the rest is what the collector of garbage had not come to yet.
    expect(peakBytes(pid) - before).toBeLessThan(200 * MIB + 2 * budgetBytes);
  }, 180_000);
});

test("a name is taken over by nobody else, with another token or with none", async () => {
  const { url } = await start(TOKENS);
  const alice = await FramesClient.connect(url, { token: await framesToken({ user_id: "alice" }) });
  const guest = await FramesClient.connect(url, { client_id: "guest" });
  const mallory = await framesToken({ user_id: undefined, sub: "mallory" });
  const attempts: Record<string, string>[] = [
    { client_id: "alice" },
    { client_id: "alice", token: mallory },
    { client_id: "guest" },
    { client_id: "guest", token: mallory },
  ];
  for (const query of attempts) expect([query, await upgrade(url, query)]).toEqual([query, 409]);
  for (const client of [alice, guest]) expect((await client.settled()).ending).toBeUndefined();
});

test("the web page of a stranger gets in nowhere, whatever its address claims to be; this server's own and one with a token do", async () => {
  const { url } = await start(TOKENS);
  const host = new URL(url).host;
  for (const [origin, asked] of [
    ["https://evil.example", host],
    [`http://evil.example:${new URL(url).port}`, `evil.example:${new URL(url).port}`],
    ["null", host],
  ] as const)
    expect([origin, await upgrade(url, {}, { origin, host: asked })]).toEqual([origin, 403]);
  expect(await upgrade(url, {}, { origin: url })).toBe(101);
  expect(await upgrade(url, { token: await framesToken() }, { origin: "https://app.example" })).toBe(101);
});

test("bad tokens en masse are refused at once, and cost the address its rate, not those who prove themselves", async () => {
  const { url } = await start(TOKENS);
  const token = await framesToken({ user_id: "alice" });
  const wrong = `${token.slice(0, -4)}AAAA`;
  const statuses = new Map<number, number>();
  const times = await healthWaits(url, async () => {
    for (let begin = 0; begin < 3_000; begin += 50) {
      const batch = await Promise.all(Array.from({ length: 50 }, () => upgrade(url, { token: wrong })));
      for (const status of batch) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  });
  expect([...statuses.keys()].toSorted()).toEqual([401, 429]);
  expect(percentile(times, 0.95)).toBeLessThan(1_000);
  expect(await upgrade(url, { token })).toBe(101);
  expect(await figure(url, "gohub_connected_clients")).toBeLessThanOrEqual(1);
}, 60_000);

test("one address holds so many clients and no more; with a token there is still room", async () => {
  const { url } = await start({ ...TOKENS, ROOST_FRAMES_MAX_CLIENTS_PER_ADDRESS: "20" });
  const statuses: number[] = [];
  for (let index = 0; index < 20; index++) await peer(url, { client_id: `c${index}` });
  for (let index = 0; index < 5; index++) statuses.push(await upgrade(url, { client_id: `more${index}` }));
  expect(statuses).toEqual([429, 429, 429, 429, 429]);
  expect(await upgrade(url, { token: await framesToken({ user_id: "alice" }) })).toBe(101);
  for (const socket of sockets.splice(0)) socket.destroy();
  while ((await figure(url, "gohub_connected_clients")) > 1) await Bun.sleep(10);
  expect(await upgrade(url, { client_id: "again" })).toBe(101);
});

test("frames that clients without a token begin and never finish are not kept: their senders are closed, a reader stays", async () => {
  const { url, pid } = await start(OPEN);
  const reader = await FramesClient.connect(url, { client_id: "reader" });
  const claimed = 15 * MIB;
  const head = Buffer.alloc(14);
  head[0] = 0x82;
  head[1] = 0x80 | 127;
  head.writeBigUInt64BE(BigInt(claimed), 2);
  const chunk = Buffer.alloc(64 * 1024, "x");
  const until = performance.now() + rounds(4_000, 15_000);
  const before = peakBytes(pid);
  const network = new Network();
  const senders = await Promise.all(
    Array.from({ length: rounds(150, 1_000) }, (_, index) => peer(url, { client_id: `sender${index}` })),
  );
  await Promise.all(
    senders.map(async (sender) => {
      sender.write(head);
      for (let sent = 0; sent < claimed - chunk.byteLength && !sender.destroyed; sent += chunk.byteLength) {
        if (performance.now() > until) return;
        await network.carry(chunk.byteLength);
        if (sender.write(chunk)) continue;
        const { promise, resolve } = Promise.withResolvers<void>();
        sender.once("drain", resolve);
        sender.once("close", resolve);
        if (!sender.destroyed) await promise;
      }
    }),
  );
  expect(peakBytes(pid) - before).toBeLessThan(250 * MIB);
  expect(senders.filter(({ destroyed }) => destroyed).length).toBeGreaterThan(100);
  expect((await reader.settled()).ending).toBeUndefined();
}, 60_000);

test("JSON that is nested half a million deep is an error for its sender, before anything walks it", async () => {
  const { url } = await start({
    ...OPEN,
    GOHUB_SERVER_READ_BUFFER_SIZE: "1000000",
    // A message of this size costs as much as a thousand.
    ROOST_FRAMES_MAX_MESSAGES_PER_SECOND: "0",
  });
  const [sender, target] = [
    await FramesClient.connect(url, { client_id: "sender" }),
    await FramesClient.connect(url, { client_id: "target" }),
  ];
  const content = `${"[".repeat(490_000)}${"]".repeat(490_000)}`;
  const times = await healthWaits(url, async () => {
    for (let count = 0; count < 20; count++)
      sender.send(`{"message_type":"direct_message","data":{"target_id":"target","content":${content}}}`);
    await sender.until(({ messages }) => messages.length === 20, 20_000);
  });
  expect(percentile(times, 0.95)).toBeLessThan(1_000);
  expect(sender.messages.map(({ data }) => data.code)).toEqual(Array.from({ length: 20 }, () => 1001));
  expect((await target.settled()).frames).toEqual([]);
  expect(await figure(url, 'roost_bound_refusals_total{bound="json-depth"}')).toBe(20);
}, 30_000);

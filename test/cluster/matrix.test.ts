// The test matrix of the hub (frames contract, section 18) on nodes that are processes of their own, with a real etcd that dies and
// comes back under them.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { type Etcd, startEtcd, withEtcd, withoutEtcd } from "../support/etcd.ts";
import { FramesClient, rawPeer } from "../support/frames-client.ts";
import { until } from "../support/until.ts";
import { type NodeProcess, startNode } from "./node-process.ts";

let etcd: Etcd | undefined;
let prefixes = 0;
const nodes: NodeProcess[] = [];

beforeAll(async () => {
  if (!withoutEtcd) etcd = await startEtcd();
}, 20_000);
afterAll(async () => await etcd?.stop());
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.kill()));
});

async function alone(env: Record<string, string> = {}): Promise<NodeProcess> {
  const node = await startNode(env);
  nodes.push(node);
  return node;
}

/** Nodes of one cluster; `join` starts another one of the newest. */
async function cluster(count: number, env: Record<string, string> = {}): Promise<NodeProcess[]> {
  prefixes++;
  return await Promise.all(Array.from({ length: count }, () => join(env)));
}

const join = (env: Record<string, string> = {}) =>
  alone({
    GOHUB_CLUSTER_ENABLED: "true",
    GOHUB_CLUSTER_ETCD_ENDPOINTS: etcd?.url ?? "",
    GOHUB_CLUSTER_ETCD_KEY_PREFIX: `/matrix${prefixes}`,
    ...env,
  });

const connect = (node: NodeProcess | undefined, id: string) =>
  FramesClient.connect(node?.url ?? "", { client_id: id });

test("T1 one node: every client hears a broadcast once, as text and as bytes", async () => {
  const node = await alone();
  const clients = await Promise.all(["a", "b", "c"].map((id) => connect(node, id)));
  expect(await node.count()).toBe(3);
  await node.broadcast("broadcast test message");
  await node.broadcast(Uint8Array.from([0x00, 0xff]));
  for (const client of clients)
    expect((await client.settled()).frames).toEqual([
      "broadcast test message",
      Uint8Array.from([0x00, 0xff]),
    ]);
}, 30_000);

test("T4 one node: a silent peer goes after the read timeout, a client that answers pings stays", async () => {
  const node = await alone({ GOHUB_SERVER_READ_TIMEOUT: "300ms" });
  const noise = setInterval(() => void node.broadcast("noise").catch(() => {}), 50);
  try {
    const alive = await connect(node, "alive");
    const silent = await rawPeer(node.url, { client_id: "silent" });
    silent.resume();
    const began = performance.now();
    expect(await node.count()).toBe(2);
    await until("the silent peer to go", async () => (await node.count()) === 1, 2_000);
    expect(performance.now() - began).toBeWithin(250, 900);
    await Bun.sleep(2_000 - (performance.now() - began));
    expect(await node.count()).toBe(1);
    expect(alive.ending).toBeUndefined();
    silent.destroy();
  } finally {
    clearInterval(noise);
  }
}, 30_000);

test("T5 one node: a peer that stops reading fills its queue, is refused more, and is gone after the write timeout", async () => {
  const node = await alone({ GOHUB_SERVER_MESSAGE_BUFFER_CAP: "1", GOHUB_SERVER_WRITE_TIMEOUT: "200ms" });
  const quick = await connect(node, "quick");
  const slow = await rawPeer(node.url, { client_id: "slow" });
  const megabyte = "x".repeat(1024 * 1024);
  let refused: unknown;
  for (let count = 0; refused === undefined && count < 64; count++)
    await node.push("slow", megabyte).catch((error: Error) => {
      refused = error.name;
    });
  expect(refused).toBe("ErrSendBufferFull");
  await node.push("quick", "meanwhile");
  await quick.until(({ frames }) => frames.includes("meanwhile"));
  await until("the slow client to go", async () => (await node.count()) === 1, 1_200);
  await expect(node.push("slow", "x")).rejects.toHaveProperty("name", "ErrClientNotFound");
  expect(await node.metrics()).toMatch(/gohub_messages_dropped_total\{reason="buffer_full"\} [1-9]/);
  slow.destroy();
}, 30_000);

withEtcd.describe("nodes as processes, over a real etcd", () => {
  test("T2 two nodes: a hundred broadcasts, each heard exactly once by every client, in order; a third node hears none of the past", async () => {
    const [one, two] = await cluster(2);
    const clients = [await connect(one, "a"), await connect(two, "b")];
    const texts = Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? "same" : `${index}`));
    for (const text of texts) void one?.broadcast(text);
    for (const client of clients) await client.until(({ frames }) => frames.length >= 100);
    for (const client of clients) expect((await client.settled()).frames).toEqual(texts);
    const third = await join();
    const late = await connect(third, "c");
    await two?.broadcast("to three");
    for (const client of [...clients, late]) await client.until(({ frames }) => frames.at(-1) === "to three");
    expect(late.frames).toEqual(["to three"]);
  }, 30_000);

  test("T3 two nodes: a push finds its client on the other node, and nobody else hears it", async () => {
    const [one, two] = await cluster(2);
    const [a, b, other] = [await connect(one, "a"), await connect(two, "b/ü"), await connect(two, "other")];
    await one?.push("b/ü", "for b");
    await one?.push("nobody", "into the void");
    await one?.broadcast("end");
    for (const client of [a, b, other]) await client.until(({ frames }) => frames.at(-1) === "end");
    expect([a.frames, b.frames, other.frames]).toEqual([["end"], ["for b", "end"], ["end"]]);
  }, 30_000);

  test("T3 with presence, a push to nobody is refused; a node that is killed takes its clients' presence with it", async () => {
    const [one, two] = await cluster(2, { GOHUB_HUB_PRESENCE: "true", GOHUB_CLUSTER_ETCD_LEASE_TTL: "5s" });
    const b = await connect(two, "b");
    const reaches = () =>
      one?.push("b", "hello").then(
        () => true,
        () => false,
      ) ?? false;
    await until("the presence of b", reaches);
    await b.until(({ frames }) => frames.includes("hello"));
    await expect(one?.push("nobody", "x")).rejects.toHaveProperty("name", "ErrClientNotFound");
    await two?.kill();
    await until("the lease of the dead node to end", async () => !(await reaches()), 15_000);
  }, 40_000);

  test("T11 three nodes, etcd killed and restarted under traffic: local clients never wait, nobody hears anything twice, and afterwards all hear all", async () => {
    const [one, two, three] = await cluster(3);
    const [a, b, c] = [await connect(one, "a"), await connect(two, "b"), await connect(three, "c")];
    const everybody = [a, b, c];
    let sent = 0;
    const published = new Set<string>();
    const traffic = setInterval(() => {
      const text = `m${sent++}`;
      void one?.broadcast(text).then((result) => {
        if (result.published) published.add(text);
      });
    }, 10);
    try {
      await c.until(({ frames }) => frames.length >= 50);
      await etcd?.kill();
      const during = sent;
      await a.until(({ frames }) => frames.includes(`m${during + 50}`));
      expect(two && (await two.count())).toBe(1);
      await etcd?.start();
      const after = sent;
      // The watches come back within their backoff.
      await until(
        "messages to arrive again",
        () => [b, c].every(({ frames }) => Number(String(frames.at(-1)).slice(1)) > after),
        15_000,
      );
    } finally {
      clearInterval(traffic);
    }
    const last = await (async () => {
      for (;;) {
        const result = await one?.broadcast("the end");
        if (result?.published) return "the end";
      }
    })();
    for (const client of everybody) await client.until(({ frames }) => frames.includes(last));
    const heardBy = (client: FramesClient) => client.frames.map(String).filter((text) => text !== last);
    // The own node's client heard everything, once, in order.
    expect(heardBy(a)).toEqual(Array.from({ length: sent }, (_, index) => `m${index}`));
    for (const client of [b, c]) {
      const heard = heardBy(client);
      expect(new Set(heard).size).toBe(heard.length);
      expect(heard).toEqual([...heard].sort((x, y) => Number(x.slice(1)) - Number(y.slice(1))));
      // Whatever etcd took arrived, in spite of the restart.
      const missing = [...published].filter((text) => !heard.includes(text));
      expect(missing).toEqual([]);
    }
    expect(published.size).toBeLessThan(sent);
    expect(await one?.metrics()).toMatch(/gohub_bus_reconnects_total\{bus="etcd"\} 1/);
    expect(await two?.metrics()).toMatch(/gohub_bus_gaps_total\{bus="etcd"\} 0/);
  }, 60_000);

  test("a node that dies and comes back is heard and hears again", async () => {
    const [one, two] = await cluster(2);
    const a = await connect(one, "a");
    await two?.kill();
    await one?.broadcast("while two is dead");
    const again = await join();
    const b = await connect(again, "b");
    await again.broadcast("back");
    await one?.broadcast("welcome");
    await a.until(({ frames }) => frames.length === 3);
    await b.until(({ frames }) => frames.length === 2);
    expect(a.frames.toSorted()).toEqual(["back", "welcome", "while two is dead"]);
    expect(b.frames.toSorted()).toEqual(["back", "welcome"]);
  }, 30_000);
});

const CROWD = 1_000;
const nodesOfCrowd = withoutEtcd ? 1 : 2;
test(`${CROWD} clients on ${nodesOfCrowd} nodes, one of them slow: everybody else hears every broadcast once, in time`, async () => {
  const settings = { GOHUB_SERVER_WRITE_TIMEOUT: "2s", GOHUB_SERVER_MESSAGE_BUFFER_CAP: "4" };
  const crowded = withoutEtcd ? [await alone(settings)] : await cluster(2, settings);
  const clients: FramesClient[] = [];
  for (let begin = 0; begin < CROWD; begin += 100) {
    const batch = Array.from({ length: 100 }, (_, index) =>
      connect(crowded[index % crowded.length], `c${begin + index}`),
    );
    clients.push(...(await Promise.all(batch)));
  }
  const slow = await rawPeer(crowded[0]?.url ?? "", { client_id: "slow" });
  const counts = await Promise.all(crowded.map((node) => node.count()));
  expect(counts.reduce((sum, count) => sum + count)).toBe(CROWD + 1);

  const text = (index: number) => `${index} ${"x".repeat(20_000)}`;
  for (let index = 0; index < 20; index++) await crowded[0]?.broadcast(text(index));
  // A slow client's own queue is the only one that fills.
  await until(
    "the slow client to be refused",
    async () => {
      for (let index = 0; index < 32; index++)
        await crowded[0]?.push("slow", "y".repeat(1_000_000)).catch(() => {});
      return (await crowded[0]?.metrics())?.match(/reason="buffer_full"\} [1-9]/) !== null;
    },
    5_000,
  );
  await crowded[0]?.broadcast("the end");
  await Promise.all(
    clients.map((client) => client.until(({ frames }) => frames.at(-1) === "the end", 10_000)),
  );
  const wrong = clients.filter(
    ({ frames }) =>
      frames.length !== 21 ||
      frames.slice(0, 20).some((frame, index) => !String(frame).startsWith(`${index} `)),
  );
  expect(wrong).toHaveLength(0);
  await until(
    "the slow client to go",
    async () => (await crowded[0]?.count()) === (counts[0] ?? 0) - 1,
    5_000,
  );
  slow.destroy();
  await Promise.all(clients.map((client) => client.close()));
  await until("all to be gone", async () => (await crowded[0]?.count()) === 0);
}, 60_000);

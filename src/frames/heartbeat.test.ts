// T4: a client that is silently gone is noticed within its deadline, also while it is being broadcast to; one that lives stays.
import { afterEach, expect, test } from "bun:test";
import { FramesClient, rawPeer } from "../../test/support/frames-client.ts";
import { type HubNode, type HubNodeOptions, hubNode } from "../../test/support/hub-node.ts";
import type { HubEvent } from "./events.ts";
import { Heartbeat } from "./heartbeat.ts";

const cleanup: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

interface Ended {
  readonly event: HubEvent;
  readonly at: number;
}

/** A node that broadcasts all the time, and remembers when whose connection ended. */
async function busyNode(
  settings: HubNodeOptions["settings"],
): Promise<{ node: HubNode; ended: Map<string, Ended> }> {
  const node = await hubNode({ settings: { readTimeoutMs: 300, ...settings } });
  const chatter = setInterval(() => void node.sdk.broadcastAll("noise"), 50);
  cleanup.push(
    () => node.stop(),
    () => clearInterval(chatter),
  );
  const ended = new Map<string, Ended>();
  node.sdk.on("client_disconnected", (event) =>
    ended.set(event.clientId ?? "", { event, at: performance.now() }),
  );
  return { node, ended };
}

test("T4 a peer that answers nothing goes after the deadline, one that answers pings stays", async () => {
  const { node, ended } = await busyNode({});
  const alive = await node.connect("alive");
  const silentSince = performance.now();
  const silent = await rawPeer(node.url, { client_id: "silent" });
  cleanup.push(() => void silent.destroy());
  // Reads what it is sent, as a peer does whose program hangs behind a working system.
  silent.resume();
  expect(node.sdk.getClientCount()).toBe(2);
  await Bun.sleep(2_000);
  const end = ended.get("silent");
  expect(end?.event.extra).toEqual({ code: 4003, reason: "heartbeat timeout" });
  expect((end?.at ?? 0) - silentSince).toBeWithin(300, 700);
  expect(node.sdk.getClientCount()).toBe(1);
  expect(alive.ending).toBeUndefined();
  expect((await alive.settled()).frames.length).toBeGreaterThan(20);
});

test("T4 without server pings only a client's own frames keep it", async () => {
  const { node, ended } = await busyNode({ serverPing: false });
  const quiet = await node.connect("quiet");
  const talking = await node.connect("talking");
  const talk = setInterval(() => talking.send({ message_id: 1 }), 100);
  cleanup.push(() => clearInterval(talk));
  expect(await quiet.closed).toEqual({ code: 4003, reason: "heartbeat timeout" });
  expect(ended.get("quiet")?.event.extra).toEqual({ code: 4003, reason: "heartbeat timeout" });
  await Bun.sleep(600);
  expect(talking.ending).toBeUndefined();
});

test("a protocol ping of the client counts where the server asks for life, and not where it does not", async () => {
  for (const serverPing of [true, false]) {
    const { node, ended } = await busyNode({ serverPing, readTimeoutMs: 200 });
    const peer = await rawPeer(node.url, { client_id: "pinging" });
    peer.resume();
    // A masked, empty ping frame.
    const ping = setInterval(() => peer.write(Uint8Array.from([0x89, 0x80, 0, 0, 0, 0])), 50);
    cleanup.push(
      () => clearInterval(ping),
      () => void peer.destroy(),
    );
    await Bun.sleep(700);
    expect(ended.has("pinging")).toBe(!serverPing);
  }
});

test("a client that wakes up before the deadline is asked again in its next silence", async () => {
  const { node } = await busyNode({ readTimeoutMs: 200 });
  const client = await FramesClient.connect(node.url, { client_id: "a" });
  // Several deadlines pass; each is survived by a ping of its own.
  await Bun.sleep(1_000);
  expect(client.ending).toBeUndefined();
  expect(node.sdk.getClientCount()).toBe(1);
});

test("a heartbeat that was stopped asks nothing and misses nobody, also when it had just asked", async () => {
  const events: string[] = [];
  const parts = { readTimeoutMs: 40, ping: () => events.push("ping"), onSilent: () => events.push("silent") };
  const [asked, stopped] = [new Heartbeat(parts), new Heartbeat(parts)];
  asked.probe(20);
  for (const heartbeat of [asked, stopped]) heartbeat.stop();
  await Bun.sleep(80);
  expect(events).toEqual(["ping"]);
});

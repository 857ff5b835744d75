// One hub on one node: who hears what, whose connection ends and why, and what the server side may do (frames contract 6, 7, 12, 17).
import { afterEach, describe, expect, test } from "bun:test";
import { rawPeer } from "../../test/support/frames-client.ts";
import { FRAMES_SECRET, framesToken } from "../../test/support/frames-token.ts";
import { type HubNode, type HubNodeOptions, hubNode } from "../../test/support/hub-node.ts";
import { stuckConnection } from "../../test/support/stuck-connection.ts";
import { until } from "../../test/support/until.ts";
import { ClientClosedError, ClientNotFoundError, SendBufferFullError } from "./errors.ts";
import type { HubEvent } from "./events.ts";

const nodes: HubNode[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});
async function start(options: HubNodeOptions = {}): Promise<HubNode> {
  const node = await hubNode(options);
  nodes.push(node);
  return node;
}

describe("T1 broadcast on one node", () => {
  test("every client receives exactly one text frame with these bytes", async () => {
    const node = await start();
    const clients = await Promise.all(["a", "b", "c"].map((id) => node.connect(id)));
    expect(node.sdk.getClientCount()).toBe(3);
    expect(await node.sdk.broadcastAll("broadcast test message")).toEqual({
      local: 3,
      dropped: 0,
      published: false,
    });
    for (const client of clients) expect((await client.settled()).frames).toEqual(["broadcast test message"]);
  });

  test("binary bytes arrive as a binary frame", async () => {
    const node = await start();
    const client = await node.connect("a");
    await node.sdk.broadcastAll(Uint8Array.from([0x00, 0xff]));
    await client.until(({ frames }) => frames.length === 1);
    expect(client.frames[0]).toEqual(Uint8Array.from([0x00, 0xff]));
  });

  test("frames of one sender keep their order, whichever way they were sent", async () => {
    const node = await start();
    const client = await node.connect("a");
    node.sdk.createRoom("r", "Room");
    node.sdk.joinRoom("r", "a");
    for (let index = 0; index < 300; index += 3) {
      void node.sdk.broadcastAll(`${index}`);
      void node.sdk.sendToClient("a", { data: `${index + 1}` });
      void node.sdk.broadcastToRoom("r", `${index + 2}`);
    }
    await client.until(({ frames }) => frames.length === 300);
    expect(client.frames).toEqual(Array.from({ length: 300 }, (_, index) => `${index}`));
  });
});

describe("push", () => {
  test("reaches that client only; the acknowledgement says that it was written", async () => {
    const node = await start();
    const [a, b] = [await node.connect("a"), await node.connect("b")];
    const acks: unknown[] = [];
    await node.sdk.sendToClient("a", { data: "hello", ack: (error) => acks.push(error) });
    expect((await a.settled()).frames).toEqual(["hello"]);
    expect((await b.settled()).frames).toEqual([]);
    expect(acks).toEqual([undefined]);
  });

  test("to nobody is ErrClientNotFound on a node that is alone", async () => {
    const node = await start();
    const pushed = node.sdk.sendToClient("nobody", { data: "x" });
    await expect(pushed).rejects.toBeInstanceOf(ClientNotFoundError);
    await expect(pushed).rejects.toHaveProperty("name", "ErrClientNotFound");
    expect(() => node.sdk.getClient("nobody")).toThrow(ClientNotFoundError);
  });
});

/** What was sent in this turn of the event loop has been written. */
const turnOver = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

describe("T5 a client that does not read", () => {
  test("one frame is in flight, the capacity waits, the next is ErrSendBufferFull; the client stays", async () => {
    const node = await start({ settings: { messageBufferCap: 1 } });
    const other = await node.connect("other");
    const { connection, sent } = stuckConnection();
    const client = node.hub.register({ id: "stuck" }, connection);
    const acks: string[] = [];
    const push = (data: string) =>
      node.sdk.sendToClient("stuck", {
        data,
        ack: (error) => acks.push(`${data} ${error?.name ?? "written"}`),
      });
    await push("1");
    await push("2");
    await expect(push("3")).rejects.toBeInstanceOf(SendBufferFullError);
    expect(sent).toEqual(["1"]);
    expect(node.hub.find("stuck")).toBe(client);
    expect(await node.sdk.broadcastAll("all")).toEqual({ local: 1, dropped: 1, published: false });
    expect((await other.settled()).frames).toEqual(["all"]);
    expect(node.metrics.render()).toContain('gohub_messages_dropped_total{reason="buffer_full"} 2');

    client.drained();
    expect(sent).toEqual(["1", "2"]);
    await push("4");
    client.shutdown({ code: 1000, reason: "" });
    expect(acks).toEqual(["1 written", "2 ErrClientClosed", "4 ErrClientClosed"]);
    await expect(push("5")).rejects.toBeInstanceOf(ClientNotFoundError);
    expect(() => client.send({ data: "6" })).toThrow(ClientClosedError);
  });

  test("an acknowledgement that pushes does not overtake what waits", async () => {
    const node = await start();
    const { connection, sent } = stuckConnection();
    const client = node.hub.register({ id: "stuck" }, connection);
    client.send({ data: "1", ack: () => client.send({ data: "3" }) });
    client.send({ data: "2" });
    await turnOver();
    expect(sent).toEqual(["1"]);
    client.drained();
    client.drained();
    expect(sent).toEqual(["1", "2", "3"]);
  });

  test("with on_full disconnect, a full queue ends the client", async () => {
    const node = await start({ settings: { messageBufferCap: 1, onFull: "disconnect" } });
    const { connection, closes } = stuckConnection();
    node.hub.register({ id: "stuck" }, connection);
    for (let index = 0; index < 3; index++) await node.sdk.broadcastAll("x");
    expect(closes).toEqual([[4002, "slow client"]]);
    expect(node.sdk.getClientCount()).toBe(0);
  });

  test("a real peer that stops reading: its queue fills, nobody else waits, and after the write timeout it is gone", async () => {
    const node = await start({ settings: { messageBufferCap: 1, writeTimeoutMs: 200 } });
    const other = await node.connect("other");
    const peer = await rawPeer(node.url, { client_id: "slow" });
    const ended: HubEvent[] = [];
    node.sdk.on("client_disconnected", (event) => ended.push(event));
    const megabyte = "x".repeat(1024 * 1024);
    let written = 0;
    let accepted = 0;
    let full: unknown;
    // How much the system's own buffers take is its affair; then one is in flight and one waits.
    while (full === undefined && accepted < 64) {
      await node.sdk.sendToClient("slow", { data: megabyte, ack: (error) => error ?? written++ }).then(
        () => accepted++,
        (error: unknown) => {
          full = error;
        },
      );
    }
    expect(full).toBeInstanceOf(SendBufferFullError);
    expect(accepted - written).toBe(2);
    expect(node.sdk.getClientCount()).toBe(2);
    await node.sdk.sendToClient("other", { data: "quick" });
    await other.until(({ frames }) => frames.includes("quick"));

    await until("the slow client to go", () => ended.length === 1, 1_000);
    expect(ended[0]).toMatchObject({ clientId: "slow", extra: { code: 4002, reason: "slow client" } });
    expect(node.sdk.getClientCount()).toBe(1);
    // The connection itself is dropped within a second: a peer that wakes up later finds no close frame.
    let tail: Buffer = Buffer.alloc(0);
    await Bun.sleep(900);
    const gone = new Promise((resolve) => peer.once("close", resolve));
    peer.on("data", (bytes) => {
      tail = Buffer.concat([tail, Buffer.from(bytes)]).subarray(-16);
    });
    peer.resume();
    await gone;
    expect(tail.toString()).not.toContain("slow client");
    await node.sdk.sendToClient("other", { data: "still quick" });
    await other.until(({ frames }) => frames.includes("still quick"));
  });

  test("a slow peer that reads on within a second learns why it was closed", async () => {
    const node = await start({ settings: { writeTimeoutMs: 150 } });
    const peer = await rawPeer(node.url, { client_id: "slow" });
    let tail: Buffer = Buffer.alloc(0);
    peer.on("data", (bytes) => {
      tail = Buffer.concat([tail, Buffer.from(bytes)]).subarray(-16);
    });
    peer.pause();
    const megabyte = "x".repeat(1024 * 1024);
    let waiting = false;
    while (!waiting) {
      waiting = true;
      await node.sdk.sendToClient("slow", {
        data: megabyte,
        ack: () => {
          waiting = false;
        },
      });
      await turnOver();
    }
    await until("the client to be given up", () => node.sdk.getClientCount() === 0);
    const closed = new Promise((resolve) => peer.once("close", resolve));
    peer.resume();
    await closed;
    expect(tail.subarray(-13).readUInt16BE()).toBe(4002);
    expect(tail.subarray(-11).toString()).toBe("slow client");
  });
});

describe("T7 the same id again", () => {
  test("the old connection is closed with 4000, the new one is the client, in the order of events", async () => {
    const auth = { secret: FRAMES_SECRET, issuer: "gohub", allowAnonymous: false, anonymousPermissions: [] };
    const node = await start({ settings: { auth } });
    const events: string[] = [];
    for (const type of ["client_connected", "client_disconnected"] as const)
      node.sdk.on(type, (event) => events.push(`${event.type} ${event.extra?.code ?? ""}`.trim()));
    const token = await framesToken({ user_id: "same" });
    const first = await node.connect("same", { token });
    const second = await node.connect("same", { token });
    expect(await first.closed).toEqual({ code: 4000, reason: "replaced" });
    expect(node.sdk.getClientCount()).toBe(1);
    await node.sdk.sendToClient("same", { data: "to the second" });
    await second.until(({ frames }) => frames.includes("to the second"));
    expect(events).toEqual(["client_connected", "client_disconnected 4000", "client_connected"]);
  });

  test("a late close of the old connection does not remove the new one, nor its rooms", async () => {
    const node = await start();
    node.sdk.createRoom("r", "Room");
    const [old, fresh] = [stuckConnection(), stuckConnection()];
    const first = node.hub.register({ id: "same" }, old.connection);
    node.sdk.joinRoom("r", "same");
    const second = node.hub.register({ id: "same" }, fresh.connection);
    expect(node.sdk.getRoomMembers("r")).toEqual([]);
    node.sdk.joinRoom("r", "same");
    first.ended(1006, "");
    expect(node.hub.find("same")).toBe(second);
    expect(node.sdk.getRoomMembers("r")).toEqual(["same"]);
  });
});

describe("the end of a connection", () => {
  test("the peer's own code and text are what the hub reports", async () => {
    const node = await start();
    const ended: HubEvent[] = [];
    node.sdk.on("client_disconnected", (event) => ended.push(event));
    const socket = new WebSocket(`${node.url.replace("http", "ws")}/ws?client_id=a`);
    await new Promise((resolve) => {
      socket.onopen = resolve;
    });
    socket.close(4321, "enough");
    await until("the end", () => ended.length === 1);
    expect(ended[0]).toMatchObject({ clientId: "a", extra: { code: 4321, reason: "enough" } });
    expect(node.sdk.getClientCount()).toBe(0);
  });

  test("H11 T15 a message above the limit closes with 1009; one at the limit is read", async () => {
    const node = await start();
    const client = await node.connect("a");
    const empty = JSON.stringify({ message_id: 1, data: { x: "" } });
    const exact = empty.replace('""', `"${"y".repeat(4_096 - empty.length)}"`);
    expect(exact).toHaveLength(4_096);
    client.send(exact);
    expect((await client.settled()).messages[0].message_type).toBe("pong");
    client.send("z".repeat(5_000));
    expect(await client.closed).toEqual({ code: 1009, reason: "message too large" });
    // Counted in bytes, not in characters.
    const other = await node.connect("b");
    other.send("ü".repeat(2_049));
    expect((await other.closed).code).toBe(1009);
  });

  test("the server's stop is 1001 for everybody", async () => {
    const node = await start();
    const clients = await Promise.all(["a", "b"].map((id) => node.connect(id)));
    node.sdk.createRoom("r", "Room");
    node.sdk.close();
    node.sdk.close();
    for (const client of clients) expect(await client.closed).toEqual({ code: 1001, reason: "shutdown" });
    expect(node.sdk.getClientCount()).toBe(0);
    expect(node.sdk.getRoomCount()).toBe(0);
  });

  test("the server side may disconnect a client", async () => {
    const node = await start();
    const client = await node.connect("a");
    node.sdk.disconnectClient("a");
    expect(await client.closed).toEqual({ code: 1000, reason: "disconnected" });
    expect(() => node.sdk.disconnectClient("a")).toThrow(ClientNotFoundError);
  });

  test("what was sent just before the end arrives before it", async () => {
    const node = await start();
    const client = await node.connect("a");
    await node.sdk.sendToClient("a", { data: "last words" });
    node.sdk.disconnectClient("a");
    await client.closed;
    expect(client.frames).toEqual(["last words"]);
  });

  test("a client that is gone is in no room", async () => {
    const node = await start();
    node.sdk.createRoom("r", "Room");
    const client = await node.connect("a");
    node.sdk.joinRoom("r", "a");
    await client.close();
    await until("the room to empty", () => node.sdk.getRoom("r").memberCount === 0);
    expect(node.metrics.render()).toContain("gohub_room_leaves 1");
  });
});

describe("handlers", () => {
  test("messages of one client are handled one after another, those of two clients side by side", async () => {
    const node = await start();
    const order: string[] = [];
    const gates = new Map<string, () => void>();
    node.sdk.registerMessageHandler("work", {
      handle: async ({ reply }, client, data) => {
        const name = `${client.id}${(data as { n: number }).n}`;
        order.push(`begin ${name}`);
        await new Promise<void>((resolve) => gates.set(name, resolve));
        order.push(`end ${name}`);
        reply("done", {});
      },
    });
    const [a, b] = [await node.connect("a"), await node.connect("b")];
    for (const n of [1, 2]) a.send({ message_id: n, message_type: "work", data: { n } });
    b.send({ message_id: 1, message_type: "work", data: { n: 1 } });
    await until("both to begin", () => gates.has("a1") && gates.has("b1"));
    gates.get("b1")?.();
    await until("b to end", () => order.includes("end b1"));
    expect(order).not.toContain("begin a2");
    gates.get("a1")?.();
    await until("the second", () => gates.has("a2"));
    gates.get("a2")?.();
    await a.until(({ messages }) => messages.length === 2);
    expect(order.filter((step) => step.includes(" a"))).toEqual(["begin a1", "end a1", "begin a2", "end a2"]);
  });

  test("a handler that fails, at once or later, is error 1003 without its text; the connection stays", async () => {
    const node = await start();
    const errors: HubEvent[] = [];
    node.sdk.on("client_error", (event) => errors.push(event));
    node.sdk.registerMessageHandler("now", {
      handle: () => {
        throw new Error("password is hunter2");
      },
    });
    node.sdk.registerMessageHandler("later", {
      handle: () => Promise.reject(new Error("password is hunter2")),
    });
    const client = await node.connect("a");
    for (const [message_id, message_type] of [
      [5, "now"],
      [6, "later"],
    ]) {
      const reply = await client.ask({ message_id: Number(message_id), message_type });
      expect(reply.data).toMatchObject({ code: 1003, request_id: message_id });
      expect(JSON.stringify(reply)).not.toContain("hunter2");
    }
    expect((await client.settled()).ending).toBeUndefined();
    expect(errors).toHaveLength(2);
    expect(node.lines.filter((line) => line.includes("a message handler failed"))).toHaveLength(2);
    expect(node.metrics.render()).toContain("gohub_errors_total 2");
  });

  test("the signal is aborted when the client goes", async () => {
    const node = await start();
    let aborted = false;
    const begun = Promise.withResolvers<void>();
    node.sdk.registerMessageHandler("wait", {
      handle: async ({ signal }) => {
        begun.resolve();
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        aborted = true;
      },
    });
    const client = await node.connect("a");
    client.send({ message_type: "wait" });
    await begun.promise;
    await client.close();
    await until("the abort", () => aborted);
    const { connection } = stuckConnection();
    const gone = node.hub.register({ id: "gone" }, connection);
    gone.ended(1006, "");
    expect(gone.signal.aborted).toBe(true);
  });

  test("registering a type twice replaces the handler and is worth a warning; a number may lead to a type", async () => {
    const node = await start();
    node.sdk.registerMessageHandler("ping", { handle: ({ reply }) => reply("other", {}) });
    expect(node.lines.some((line) => line.includes('"level":40') && line.includes('"ping"'))).toBe(true);
    node.hub.dispatcher.registerId(77, "ping");
    const client = await node.connect("a");
    client.send({ message_id: 77 });
    await client.until(({ messages }) => messages[0]?.message_type === "other");
  });

  test("a client that floods a slow handler hears 1005 for what does not fit", async () => {
    const node = await start();
    const gate = Promise.withResolvers<void>();
    node.sdk.registerMessageHandler("wait", { handle: () => gate.promise });
    const client = await node.connect("a");
    for (let id = 1; id <= 300; id++) client.send({ message_id: id, message_type: "wait" });
    await client.until(({ messages }) => messages.length === 300 - 1 - 256);
    expect(client.messages[0]).toMatchObject({
      message_type: "error",
      data: { code: 1005, request_id: 258 },
    });
    gate.resolve();
    expect((await client.settled()).messages).toHaveLength(43);
  });
});

// The doctor's place: open without an account, for few, for nobody's words, and apart from everything else.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { newAccount } from "../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer({ metricsToken: "t" });
});
afterAll(() => server.stop());

/** A socket on the wire: the packets that came, and how to wait for one. */
async function wire() {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/v1/updates/?EIO=4&transport=websocket`);
  const packets: string[] = [];
  const waiting = new Set<() => void>();
  socket.addEventListener("message", ({ data }) => {
    packets.push(String(data));
    for (const look of [...waiting]) look();
  });
  const until = (start: string) =>
    new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${start} did not come; ${packets.join(" ")}`)), 5_000);
      const look = () => {
        const found = packets.find((packet) => packet.startsWith(start));
        if (found === undefined) return;
        clearTimeout(timer);
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
    });
  await until("0{");
  return {
    socket,
    packets,
    until,
    closed: new Promise((resolve) => socket.addEventListener("close", resolve)),
  };
}

test("eight may stay at a time; who leaves makes room", async () => {
  const inside = [];
  for (let visitor = 0; visitor < 8; visitor++) {
    const one = await wire();
    one.socket.send("40/doctor,");
    await one.until("40/doctor,");
    inside.push(one);
  }
  const ninth = await wire();
  ninth.socket.send("40/doctor,");
  expect(await ninth.until("44/doctor,")).toContain("Busy");
  inside[0]?.socket.close();
  await inside[0]?.closed;
  const until = Date.now() + 5_000;
  for (;;) {
    const next = await wire();
    inside.push(next, ninth);
    next.socket.send("40/doctor,");
    const answer = await Promise.race([next.until("40/doctor,"), next.until("44/doctor,")]);
    if (answer.startsWith("40")) break;
    if (Date.now() > until) throw new Error("nobody was let in again");
  }
  for (const { socket } of inside) socket.close();
});

test("what a visitor says is not heard, what others hear does not reach it, and it is no client in the figures", async () => {
  const visitor = await wire();
  visitor.socket.send("40/doctor,");
  await visitor.until("40/doctor,");
  const account = await newAccount(server.url);
  const phone = await account.connect();
  const before = visitor.packets.length;
  for (const packet of [
    '42/doctor,["message",{"sid":"x","message":"y"}]',
    '42/doctor,1["ping"]',
    '42/doctor,["rpc-call",{"method":"m"}]',
  ])
    visitor.socket.send(packet);
  await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
  await phone.untilUpdate("new-session");
  await phone.settled();
  expect(visitor.packets.slice(before)).toEqual([]);
  const page = await (
    await fetch(`${server.url}/metrics`, { headers: { authorization: "Bearer t" } })
  ).text();
  const sockets = page.split("\n").filter((line) => line.startsWith("websocket_connections_total"));
  expect(sockets).toHaveLength(1);
  expect(sockets[0]).toEndWith(" 1");
  phone.close();
  visitor.socket.close();
});

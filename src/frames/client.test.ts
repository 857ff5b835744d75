// One client by itself: how its connection ends for each reason, and that nothing of it goes on afterwards.
import { afterEach, describe, expect, spyOn, test } from "bun:test";
import { EndOfTurn } from "../server/end-of-turn.ts";
import { Allowance } from "./allowance.ts";
import { Client, type ClientParts, type CloseReason, type Connection, closeReasons } from "./client.ts";
import { Pace } from "./pace.ts";
import { QueueBudget } from "./queue-budget.ts";
import { Shares } from "./shares.ts";

const clients: Client[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.shutdown(closeReasons.lost);
});

function connected(changes: Partial<ClientParts> = {}) {
  const events: string[] = [];
  const connection: Connection = {
    queuedBytes: 0,
    send: (data) => {
      events.push(`sent ${data}`);
      return "written";
    },
    cork: (work) => work(),
    ping: () => events.push("ping"),
    close: (code, reason) => events.push(`close ${code} ${reason}`),
    closeWithin: (withinMs, code, reason) => events.push(`close within ${withinMs} ms ${code} ${reason}`),
  };
  const none = () => 0;
  const share = new Shares({
    maxClientsPerAddress: 0,
    maxConnectionsPerSecond: 0,
    maxMessagesPerSecond: 0,
  }).ofIdentity("a");
  const client = new Client({
    identity: { id: "a" },
    connection,
    allowance: new Allowance(share, none),
    turn: new EndOfTurn((error) => {
      throw error;
    }),
    budget: new QueueBudget(
      () => 2 ** 20,
      () => {},
    ),
    pace: new Pace(),
    capacity: 10,
    readTimeoutMs: 60_000,
    writeTimeoutMs: 60_000,
    serverPing: true,
    closeOnExpiry: true,
    handle: (_, frame) => void events.push(`handled ${frame}`),
    onSent: () => {},
    onShutdown: () => events.push("forgotten"),
    onEnded: (_, { code, reason }) => events.push(`ended ${code} ${reason}`),
    ...changes,
  });
  clients.push(client);
  return { client, events };
}

describe("the end", () => {
  test.each<[keyof typeof closeReasons, string[]]>([
    ["disconnected", ["sent x", "forgotten", "close 1000 disconnected", "ended 1000 disconnected"]],
    ["shutdown", ["sent x", "forgotten", "close 1001 shutdown", "ended 1001 shutdown"]],
    ["replaced", ["sent x", "forgotten", "close 4000 replaced", "ended 4000 replaced"]],
    ["tokenExpired", ["sent x", "forgotten", "close 4001 token expired", "ended 4001 token expired"]],
    ["heartbeat", ["sent x", "forgotten", "close 4003 heartbeat timeout", "ended 4003 heartbeat timeout"]],
    [
      "flooding",
      ["sent x", "forgotten", "close within 800 ms 1008 too many messages", "ended 1008 too many messages"],
    ],
    // Its socket takes nothing more; what waits for it is not pressed into it.
    ["slow", ["forgotten", "close within 800 ms 4002 slow client", "ended 4002 slow client"]],
    ["overBudget", ["forgotten", "close within 0 ms 4002 slow client", "ended 4002 slow client"]],
    ["lost", ["forgotten", "ended 1006 "]],
  ])("for %s", (reason, expected) => {
    const { client, events } = connected();
    client.send({ data: "x" });
    client.shutdown(closeReasons[reason]);
    expect(events).toEqual(expected);
  });

  test("comes once, for the first reason", () => {
    const { client, events } = connected();
    const reasons: CloseReason[] = [closeReasons.replaced, closeReasons.slow, closeReasons.replaced];
    for (const reason of reasons) client.shutdown(reason);
    client.ended(1006, "");
    expect(events).toEqual(["forgotten", "close 4000 replaced", "ended 4000 replaced"]);
  });

  test("is the end of its pings, and of its deadline", async () => {
    const { client, events } = connected({ readTimeoutMs: 40 });
    client.probe();
    client.shutdown(closeReasons.disconnected);
    const then = events.length;
    await Bun.sleep(80);
    expect(events).toHaveLength(then);
  });

  test("leaves no message to handle", () => {
    const { client, events } = connected();
    client.accept("1");
    client.shutdown(closeReasons.disconnected);
    expect(client.accept("2")).toBe(true);
    expect(events.filter((event) => event.startsWith("handled"))).toEqual(["handled 1"]);
  });
});

describe("the time of its token", () => {
  const expiring = (inMs: number, changes: Partial<ClientParts> = {}) =>
    connected({
      identity: { id: "a", claims: { permissions: [], iss: "gohub", exp: (Date.now() + inMs) / 1_000 } },
      ...changes,
    });

  test("ends it, unless that is switched off", async () => {
    const [one, lasting] = [expiring(30), expiring(30, { closeOnExpiry: false })];
    await Bun.sleep(80);
    expect(one.events.at(-1)).toBe("ended 4001 token expired");
    expect(lasting.events).toEqual([]);
  });

  test("is waited for in steps that a timer can count, and not beyond the client's end", async () => {
    const looks = spyOn(Date, "now");
    try {
      const [long, gone] = [expiring(315_360_000_000), expiring(30)];
      gone.client.shutdown(closeReasons.disconnected);
      looks.mockClear();
      await Bun.sleep(80);
      expect(looks).toHaveBeenCalledTimes(0);
      expect(long.events).toEqual([]);
    } finally {
      looks.mockRestore();
    }
  });
});

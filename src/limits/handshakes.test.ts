// Who gets a place, who loses one and who waits, with a clock that the test moves.
import { afterEach, expect, test } from "bun:test";
import { createLog } from "../observability/log.ts";
import { Metrics } from "../observability/metrics.ts";
import { Addresses } from "./addresses.ts";
import { Bounds } from "./bounds.ts";
import { Handshakes, Place } from "./handshakes.ts";

const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanup.splice(0)) step();
});

function room({ maxHandshakes = 10, maxHandshakesPerAddress = 3 } = {}) {
  let now = 0;
  const addresses = new Addresses(() => now);
  const bounds = new Bounds(new Metrics(), createLog("silent"));
  const handshakes = new Handshakes({
    limits: () => ({ maxHandshakes, maxHandshakesPerAddress }),
    addresses,
    bounds,
    now: () => now,
  });
  cleanup.push(() => handshakes.close());
  const ended: string[] = [];
  const hold = (place: Place | undefined, name: string): Place => {
    if (place === undefined) throw new Error(`${name} has no place`);
    place.end = () => ended.push(name);
    return place;
  };
  return {
    handshakes,
    addresses,
    bounds,
    ended,
    wait: (ms: number) => {
      now += ms;
    },
    /** A place at once. @throws Error when it would have to wait. */
    enter: (name: string, address = "198.51.100.1", isWebSocket = false): Place => {
      const place = handshakes.enter({ address, isWebSocket });
      if (place instanceof Promise) throw new Error(`${name} has to wait`);
      return hold(place, name);
    },
    later: async (name: string, address = "198.51.100.1"): Promise<Place> =>
      hold(await handshakes.enter({ address, isWebSocket: false }), name),
  };
}

test("over its own limit a stranger's oldest goes, when it has had its time; until then the newcomer waits", async () => {
  const { enter, later, wait, ended, handshakes } = room();
  for (const name of ["a", "b", "c"]) enter(name);
  const d = later("d");
  expect(ended).toEqual([]);
  wait(1_000);
  await d;
  expect(ended).toEqual(["a"]);
  expect(handshakes.size).toBe(3);
});

test("who leaves makes room at once, and waiting is in order", async () => {
  const { enter, later, handshakes, ended } = room();
  const [a, b] = [enter("a"), enter("b"), enter("c")];
  const order: string[] = [];
  const both = ["d", "e"].map((name) => later(name).then(() => order.push(name)));
  a?.leave();
  b?.leave();
  await Promise.all(both);
  expect(order).toEqual(["d", "e"]);
  expect(ended).toEqual([]);
  expect([handshakes.size, handshakes.waiting]).toEqual([3, 0]);
});

test("one whose token is being checked, and one that is still being opened, are never ended", async () => {
  const { enter, later, wait, ended } = room();
  enter("busy").isBusy = true;
  enter("opening").end = undefined;
  enter("idle");
  wait(60_000);
  await later("new");
  expect(ended).toEqual(["idle"]);
});

test("an address that accounts come from has half of all places, and its sockets have longer", async () => {
  const { enter, later, wait, ended, addresses } = room();
  addresses.authenticated("198.51.100.1", "account");
  for (const name of ["a", "b", "c", "d", "e"]) enter(name);
  const f = later("f");
  wait(1_000);
  await Bun.sleep(120);
  expect(ended).toEqual([]);
  wait(3_000);
  await f;
  expect(ended).toEqual(["a"]);
});

test("the limit for all holds over all addresses; the addresses take turns in the line", async () => {
  const { enter, later, wait, ended, bounds } = room({ maxHandshakes: 4 });
  for (const index of [1, 2, 3, 4]) enter(`old ${index}`, `203.0.113.${index}`);
  const order: string[] = [];
  const waiting = [
    ["flood 1", "192.0.2.1"],
    ["flood 2", "192.0.2.1"],
    ["other", "192.0.2.2"],
  ].map(([name = "", address]) => later(name, address).then(() => order.push(name)));
  wait(1_000);
  await Promise.all(waiting);
  expect(ended).toEqual(["old 1", "old 2", "old 3"]);
  expect(order).toEqual(["flood 1", "other", "flood 2"]);
  expect(bounds.count("handshakes")).toBe(3);
});

test("a full line turns strangers away; of a known address the oldest goes, so that nobody is kept out", () => {
  const { enter, handshakes, ended, addresses, bounds } = room();
  const flood = (address: string) => handshakes.enter({ address, isWebSocket: false });
  for (let index = 0; index < 3 + 10; index++) flood("192.0.2.1");
  expect(flood("192.0.2.1")).toBeUndefined();
  expect(bounds.count("handshakes-per-address")).toBe(1);
  addresses.authenticated("192.0.2.2", "account");
  for (let index = 0; index < 5; index++) enter(`known ${index}`, "192.0.2.2");
  for (let index = 0; index < 20; index++) flood("192.0.2.2");
  expect(ended).toEqual([]);
  expect(flood("192.0.2.2")).toBeInstanceOf(Place);
  expect(ended).toEqual(["known 0"]);
});

test("who goes away while it waits, and who waits too long, leaves the line", async () => {
  const { enter, handshakes, wait } = room();
  for (const name of ["a", "b", "c"]) enter(name).isBusy = true;
  const gone = new AbortController();
  const waiting = [
    handshakes.enter({ address: "198.51.100.1", isWebSocket: false, signal: gone.signal }),
    handshakes.enter({ address: "198.51.100.1", isWebSocket: false }),
  ];
  gone.abort();
  expect(await waiting[0]).toBeUndefined();
  expect(handshakes.waiting).toBe(1);
  wait(5_000);
  expect(await waiting[1]).toBeUndefined();
  expect(handshakes.waiting).toBe(0);
});

test("where what sockets send cannot be seen, few WebSockets have a place; polling is not concerned", async () => {
  const { enter, handshakes, wait, ended } = room({ maxHandshakes: 100, maxHandshakesPerAddress: 100 });
  handshakes.webSocketLimit = () => 2;
  enter("polling");
  for (const name of ["a", "b"]) enter(name, "198.51.100.1", true);
  const next = handshakes.enter({ address: "198.51.100.1", isWebSocket: true });
  wait(1_000);
  expect(await next).toBeInstanceOf(Place);
  expect(ended).toEqual(["a"]);
});

test("IPv6 is counted by the network", () => {
  const { enter } = room();
  for (const host of ["1", "2", "3"]) enter(host, `2001:db8:1:2::${host}`);
  expect(() => enter("4", "2001:db8:1:2:ffff::4")).toThrow("has to wait");
  enter("elsewhere", "2001:db8:1:3::1");
});

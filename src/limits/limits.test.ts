// The common parts of limits: which network an address is of, who counts as shared, what a refusal leaves behind.
import { expect, test } from "bun:test";
import { createLog } from "../observability/log.ts";
import { Metrics } from "../observability/metrics.ts";
import { Addresses } from "./addresses.ts";
import { Bounds } from "./bounds.ts";
import { MemoryCeiling } from "./memory-ceiling.ts";
import { isPrivate } from "./network.ts";

test.each([
  ["127.0.0.1", true],
  ["10.1.2.3", true],
  ["172.17.0.1", true],
  ["172.32.0.1", false],
  ["192.168.1.4", true],
  ["100.64.0.9", true],
  ["203.0.113.4", false],
  ["::1", true],
  ["fe80::1%eth0", true],
  ["fd00::5", true],
  ["2001:db8::1", false],
  ["nonsense", false],
])("whether %p can be a proxy's: %p", (address, expected) => expect(isPrivate(address)).toBe(expected));

test("an address is known by one account and shared by several only where it can be a proxy's", () => {
  const addresses = new Addresses();
  expect(addresses.standing("172.17.0.1")).toBe("unknown");
  addresses.authenticated("172.17.0.1", "a");
  expect(addresses.standing("172.17.0.1")).toBe("known");
  addresses.authenticated("172.17.0.1", "b");
  expect(addresses.standing("172.17.0.1")).toBe("shared");
  addresses.authenticated("203.0.113.4", "a");
  addresses.authenticated("203.0.113.4", "b");
  expect(addresses.standing("203.0.113.4")).toBe("known");
  addresses.authenticated("2001:db8:1:2::1", "a");
  expect(addresses.standing("2001:db8:1:2:ffff::9")).toBe("known");
  expect(addresses.shared()).toEqual(["172.17.0.1"]);
});

test("an address is forgotten a day after its last account, and of too many the one that was seen least lately", () => {
  let now = 0;
  const addresses = new Addresses(() => now);
  addresses.authenticated("198.51.100.1", "a");
  now = 24 * 3_600_000 + 1;
  expect(addresses.standing("198.51.100.1")).toBe("unknown");
  for (let n = 0; n <= 20_000; n++)
    addresses.authenticated(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, "a");
  expect(addresses.standing("10.0.0.0")).toBe("unknown");
  expect(addresses.standing("10.0.0.1")).toBe("known");
});

test("every refusal is counted, and the log has the first and then a sum every ten seconds", () => {
  let now = 0;
  const lines: string[] = [];
  const log = createLog("warn", { write: (line: string) => lines.push(line) });
  const bounds = new Bounds(new Metrics(), log, () => now);
  for (let n = 0; n < 5; n++) bounds.refused("handshakes", { limit: 7 });
  now = 10_000;
  bounds.refused("handshakes", { limit: 7 });
  expect(bounds.count("handshakes")).toBe(6);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { bound: "handshakes", limit: 7, msg: expect.stringContaining("wait to be let in") },
    { bound: "handshakes", notLogged: 4 },
  ]);
});

test("past the ceiling the fullest part gives up, piece by piece, until the sum fits or nothing is left to give", () => {
  const ceiling = new MemoryCeiling(() => 100);
  const sockets = [90, 50, 10];
  ceiling.join({ name: "bodies", held: () => 20 });
  ceiling.join({
    name: "sockets",
    held: () => sockets.reduce((sum, bytes) => sum + bytes, 0),
    giveUp: () => sockets.shift() ?? 0,
  });
  expect(ceiling.fits(1)).toBe(false);
  expect(ceiling.relieve()).toBe(90);
  expect(ceiling.heldBytes).toBe(80);
  ceiling.join({ name: "stubborn", held: () => 500, giveUp: () => 0 });
  expect(ceiling.relieve()).toBe(60);
});

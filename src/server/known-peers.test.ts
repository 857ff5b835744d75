// Which connections carried an account's request: noted by both parts of the other end, forgotten in time, and never too many.
import { expect, test } from "bun:test";
import { KnownPeers } from "./known-peers.ts";

test("a peer is known by address and port", () => {
  const peers = new KnownPeers();
  peers.note("198.51.100.1", 4_000);
  expect(peers.has("198.51.100.1", 4_000)).toBe(true);
  expect(peers.has("198.51.100.1", 4_001)).toBe(false);
  expect(peers.has("198.51.100.2", 4_000)).toBe(false);
});

test("it is forgotten a quarter of an hour after its last request", () => {
  let now = 0;
  const peers = new KnownPeers(() => now);
  peers.note("a", 1);
  peers.note("b", 2);
  now = 600_000;
  peers.note("a", 1);
  now = 900_000;
  peers.sweep();
  expect([peers.has("a", 1), peers.has("b", 2)]).toEqual([true, false]);
});

test("of too many the one that was noted least lately goes", () => {
  let now = 0;
  const peers = new KnownPeers(() => now);
  for (let port = 0; port < 16_384; port++) peers.note("a", port);
  now = 61_000;
  peers.note("a", 0);
  peers.note("b", 1);
  expect(peers.size).toBe(16_384);
  expect([peers.has("a", 0), peers.has("a", 1), peers.has("b", 1)]).toEqual([true, false, true]);
});

// What one caller may take of the hub, that a flood ends, and that nothing is remembered for ever.
import { describe, expect, test } from "bun:test";
import { Allowance } from "./allowance.ts";
import { type ShareSizes, Shares } from "./shares.ts";

const SIZES: ShareSizes = {
  maxClientsPerAddress: 3,
  maxConnectionsPerSecond: 2,
  maxMessagesPerSecond: 100,
};

function shares(sizes: ShareSizes = SIZES) {
  const clock = { now: 0 };
  const made = new Shares(sizes, () => clock.now);
  const allowance = (share = made.ofAddress("192.0.2.1", false)) =>
    new Allowance(
      share,
      () => sizes.maxMessagesPerSecond,
      () => clock.now,
    );
  return { shares: made, clock, allowance };
}

const count = (times: number, work: () => unknown) => {
  const counts: Record<string, number> = {};
  for (let index = 0; index < times; index++) {
    const result = String(work());
    counts[result] = (counts[result] ?? 0) + 1;
  }
  return counts;
};

describe("one connection", () => {
  test("has half of its caller's rate, five times as many at once; above it is told once a second, and closed when it goes on", () => {
    const { allowance, clock } = shares();
    const one = allowance();
    expect(count(250, () => one.take(100))).toEqual({ allowed: 250 });
    expect(count(100, () => one.take(100))).toEqual({ refused: 1, quiet: 99 });
    expect(one.take(100)).toBe("flood");
    clock.now = 1_000;
    expect(count(61, () => one.take(100))).toEqual({ allowed: 50, refused: 1, quiet: 9, flood: 1 });
  });

  test("pays for a long message as for several", () => {
    const { allowance } = shares();
    const one = allowance();
    expect(count(60, () => one.take(4_096)).allowed).toBe(50);
  });

  test("that pays for what reaches many waits the longer", () => {
    const { allowance, clock } = shares();
    const one = allowance();
    one.take(100);
    one.spend(349);
    expect(one.take(100)).toBe("refused");
    clock.now = 1_000;
    expect(one.take(100)).toBe("refused");
    clock.now = 3_000;
    expect(one.take(100)).toBe("allowed");
  });
});

test("what reaches many is paid for by the connection, its address and all strangers; a proven identity pays alone", () => {
  const { shares: made, allowance } = shares();
  const [one, neighbour, other] = [allowance(), allowance(), allowance(made.ofAddress("192.0.2.2", false))];
  const proven = allowance(made.ofIdentity("x"));
  one.take(100);
  one.spend(499);
  expect([neighbour.take(100), other.take(100), proven.take(100)]).toEqual(["refused", "allowed", "allowed"]);
  one.spend(500);
  expect([other.take(100), proven.take(100)]).toEqual(["refused", "allowed"]);
  proven.spend(500);
  expect(allowance(made.ofIdentity("x")).take(100)).toBe("refused");
});

test("connections of one address have its rate together; another address has its own", () => {
  const { shares: made, allowance } = shares();
  const crowd = Array.from({ length: 4 }, () => allowance());
  const allowed = crowd.map((one) => count(400, () => one.take(100)).allowed ?? 0);
  expect(allowed.reduce((sum, each) => sum + each)).toBe(500);
  expect(allowance(made.ofAddress("192.0.2.2", false)).take(100)).toBe("allowed");
});

test("all addresses together have twice what one has at once, and four times its rate; whoever is proven is not one of them", () => {
  const { shares: made, clock, allowance } = shares();
  const of = (share = made.ofIdentity("x")) => count(300, () => allowance(share).take(100)).allowed ?? 0;
  const allowed = Array.from({ length: 10 }, (_, network) => of(made.ofAddress(`192.0.2.${network}`, false)));
  expect(allowed.reduce((sum, each) => sum + each)).toBe(1_000);
  expect(of()).toBe(300);
  clock.now = 1_000;
  const later = Array.from({ length: 10 }, (_, network) =>
    of(made.ofAddress(`198.51.100.${network}`, false)),
  );
  expect(later.reduce((sum, each) => sum + each)).toBe(400);
});

test("a flood costs its address the next connections; coming again is not cheaper than keeping to the rate", () => {
  const { shares: made, clock, allowance } = shares();
  const share = made.ofAddress("192.0.2.1", false);
  const one = allowance(share);
  count(351, () => one.take(100));
  expect(share.connections.take()).toBe(false);
  clock.now = 5_000;
  expect(share.connections.take()).toBe(false);
  clock.now = 6_000;
  expect(share.connections.take()).toBe(true);
});

test("of a flood by many connections at once, each is closed at its next message", () => {
  const { allowance } = shares();
  const crowd = Array.from({ length: 50 }, () => allowance());
  const verdicts = count(650, () => crowd[Math.floor(Math.random() * 50)]?.take(100));
  expect(verdicts).toMatchObject({ allowed: 500, flood: 50 });
});

test("clients are counted, and a shared address has room for more", () => {
  const { shares: made } = shares();
  const share = made.ofAddress("10.0.0.1", false);
  share.clients = 3;
  expect(share.hasPlace).toBe(false);
  expect(made.ofAddress("10.0.0.1", true).hasPlace).toBe(true);
  expect(made.ofAddress("10.0.0.1", false).hasPlace).toBe(false);
});

test("zero is no limit", () => {
  const { shares: made, allowance } = shares({
    maxClientsPerAddress: 0,
    maxConnectionsPerSecond: 0,
    maxMessagesPerSecond: 0,
  });
  const share = made.ofAddress("192.0.2.1", false);
  share.clients = 1_000_000;
  expect(share.hasPlace).toBe(true);
  expect(count(10_000, () => share.connections.take())).toEqual({ true: 10_000 });
  const one = allowance(share);
  expect(count(10_000, () => one.take(100))).toEqual({ allowed: 10_000 });
});

describe("what is remembered", () => {
  test("goes when its buckets are full again and it has no clients", () => {
    const { shares: made, clock } = shares();
    const busy = made.ofAddress("busy", false);
    busy.clients = 1;
    for (let index = 0; index < 1_500; index++) made.ofAddress(`a${index}`, false).connections.take();
    expect(made.size).toBe(1_501);
    clock.now = 10_000;
    made.ofAddress("another", false);
    expect(made.size).toBe(2);
    expect(made.ofAddress("busy", false)).toBe(busy);
  });

  test("is bounded, and of too many those go that came least lately; never one with clients", () => {
    const { shares: made } = shares();
    const busy = made.ofAddress("busy", false);
    busy.clients = 1;
    for (let index = 0; index < 21_000; index++) made.ofAddress(`a${index}`, false).connections.take();
    expect(made.size).toBe(20_000);
    expect(made.ofAddress("busy", false)).toBe(busy);
    expect(made.ofAddress("a20999", false).connections.full).toBe(false);
    expect(made.ofAddress("a0", false).connections.full).toBe(true);
  });

  test("an identity and an address of the same name are two", () => {
    const { shares: made } = shares();
    expect(made.ofIdentity("x")).not.toBe(made.ofAddress("x", false));
  });
});

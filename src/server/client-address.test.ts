// Who is asking behind proxies: only what a trusted proxy wrote is believed, so that no client chooses its own address.
import { describe, expect, test } from "bun:test";
import { clientAddress, isTrusted, parseRanges, unmapped } from "./client-address.ts";

const TRUSTED = parseRanges(["127.0.0.1", "10.0.0.0/8", "fd00::/8"]);
const CLIENT = "203.0.113.7";
const FORGED = "198.51.100.66";

describe("the client's address", () => {
  test.each([
    ["without the header the peer's", "127.0.0.1", undefined, "127.0.0.1"],
    ["of an untrusted peer its own, whatever it claims", CLIENT, FORGED, CLIENT],
    ["behind one proxy what that wrote", "127.0.0.1", CLIENT, CLIENT],
    ["the nearest hop that is not trusted, not the first", "127.0.0.1", `${FORGED}, ${CLIENT}`, CLIENT],
    ["behind two proxies beyond both", "127.0.0.1", `${FORGED}, ${CLIENT}, 10.1.2.3`, CLIENT],
    ["not beyond an untrusted hop in the middle", "127.0.0.1", `10.9.9.9, ${CLIENT}, 10.1.2.3`, CLIENT],
    ["where all are trusted the farthest", "127.0.0.1", "10.0.0.1, 10.0.0.2", "10.0.0.1"],
    ["the last known where a hop is no address", "127.0.0.1", `${FORGED}, unknown, 10.1.2.3`, "10.1.2.3"],
    ["with or without spaces", "127.0.0.1", `${FORGED},${CLIENT}`, CLIENT],
    ["of IPv4 in IPv6 the IPv4", "::ffff:127.0.0.1", `::ffff:${CLIENT}`, CLIENT],
    ["in IPv6", "fd00::1", `${FORGED}, 2001:db8::7`, "2001:db8::7"],
    ["of an empty header the peer's", "127.0.0.1", "", "127.0.0.1"],
  ])("%s", (_name, peer, forwarded, expected) => {
    const headers = new Headers(forwarded === undefined ? {} : { "x-forwarded-for": forwarded });
    expect(clientAddress(peer, headers, TRUSTED)).toBe(expected);
  });

  test("of several headers all hops count, in their order", () => {
    const headers = new Headers([
      ["x-forwarded-for", FORGED],
      ["x-forwarded-for", CLIENT],
    ]);
    expect(clientAddress("127.0.0.1", headers, TRUSTED)).toBe(CLIENT);
  });

  test("nobody is trusted unless he is named", () => {
    const headers = new Headers({ "x-forwarded-for": FORGED });
    expect(clientAddress("127.0.0.1", headers, [])).toBe("127.0.0.1");
  });
});

test.each([
  ["10.255.0.1", true],
  ["11.0.0.1", false],
  ["::ffff:10.0.0.1", true],
  ["fdff::1", true],
  ["fe80::1", false],
  ["", false],
  ["localhost", false],
])("%s is trusted: %p", (address, trusted) => {
  expect(isTrusted(address, TRUSTED)).toBe(trusted);
});

test.each(["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/a", "nowhere", "fd00::/129", ""])(
  "%j is no range",
  (entry) => {
    expect(() => parseRanges([entry])).toThrow(`"${entry}" is not an address or a range`);
  },
);

test("a mapped address is the one inside", () => {
  expect(["::ffff:1.2.3.4", "::ffff:1:2", "1.2.3.4"].map(unmapped)).toEqual([
    "1.2.3.4",
    "::ffff:1:2",
    "1.2.3.4",
  ]);
});

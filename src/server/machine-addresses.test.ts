// Holds the list to: what other machines can reach and a person can type, and a URL for every kind of address.
import { expect, test } from "bun:test";
import type { NetworkInterfaceInfo } from "node:os";
import { localhostUrl, localUrl, networkAddresses, networkUrls } from "./machine-addresses.ts";

const facts = { netmask: "", mac: "", cidr: null };
const v4 = (address: string, internal = false): NetworkInterfaceInfo => ({
  ...facts,
  address,
  internal,
  family: "IPv4",
});
const v6 = (address: string, internal = false): NetworkInterfaceInfo => ({
  ...facts,
  address,
  internal,
  family: "IPv6",
  scopeid: 0,
});

const INTERFACES = {
  lo: [v4("127.0.0.1", true), v6("::1", true)],
  eth0: [v4("192.168.1.20"), v6("fe80::1"), v4("192.168.1.21")],
  down: undefined,
  wg0: [v4("10.8.0.2")],
};

test("IPv4 addresses of every network, in the system's order, without loopback", () => {
  expect(networkAddresses(INTERFACES)).toEqual(["192.168.1.20", "192.168.1.21", "10.8.0.2"]);
  expect(networkAddresses({})).toEqual([]);
});

test("this machine's own list has no loopback", () => {
  for (const address of networkAddresses()) expect(address).not.toStartWith("127.");
});

test.each([
  ["0.0.0.0", false, ["http://192.168.1.20:3005", "http://192.168.1.21:3005", "http://10.8.0.2:3005"]],
  ["::", true, ["https://192.168.1.20:3005", "https://192.168.1.21:3005", "https://10.8.0.2:3005"]],
  ["127.0.0.1", false, []],
  ["192.168.1.20", false, []],
  ["fd00::1", false, []],
])("others reach a server at %s (secure: %p) at %p", (host, secure, urls) => {
  expect(networkUrls(host, 3005, secure, INTERFACES)).toEqual(urls);
});

test.each([
  ["0.0.0.0", "http://127.0.0.1:3005", "http://localhost:3005"],
  ["::", "http://[::1]:3005", "http://localhost:3005"],
  ["192.168.1.20", "http://192.168.1.20:3005", "http://192.168.1.20:3005"],
  ["fd00::1", "http://[fd00::1]:3005", "http://[fd00::1]:3005"],
  ["home.example", "http://home.example:3005", "http://home.example:3005"],
])("this machine reaches a server at %s at %s, a person at %s", (host, byNumber, byName) => {
  expect([localUrl(host, 3005, false), localhostUrl(host, 3005, false)]).toEqual([byNumber, byName]);
  expect(localUrl(host, 443, true)).toStartWith("https://");
});

// A port tells one client, and a successor on the same port is never taken for it, nor it for the successor.
import { expect, test } from "bun:test";
import { type TlsClient, TlsClients } from "./tls-door-clients.ts";

const client = (address: string): TlsClient => ({
  peer: { address, port: 50_000, localPort: 443 },
  certificate: undefined,
  version: "TLSv1.3",
});

test("a port that was given back rests before another client may have it, and nothing is kept of it after that", () => {
  let now = 0;
  const clients = new TlsClients(() => now);
  expect(clients.enter(1, client("a"))).toBe(true);
  expect(clients.enter(1, client("b"))).toBe(false);
  expect(clients.of(1)?.peer.address).toBe("a");
  clients.leave(1);
  expect([clients.of(1), clients.enter(1, client("b"))]).toEqual([undefined, false]);
  now += 4999;
  expect(clients.enter(1, client("b"))).toBe(false);
  now += 1;
  expect(clients.enter(1, client("b"))).toBe(true);
  clients.leave(1);
  clients.leave(1);
  expect(clients.size).toBe(1);
  now += 5000;
  expect(clients.enter(2, client("c"))).toBe(true);
  expect(clients.size).toBe(1);
});

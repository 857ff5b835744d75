// Who stalls by the hundred loses its own handshakes first, whatever comes from elsewhere.
import { expect, test } from "bun:test";
import { TlsHandshakes } from "./tls-door-handshakes.ts";

test("the longest of the network with most makes way, once", () => {
  const handshakes = new TlsHandshakes<{ name: string }>({ most: 4, withinMs: 60_000 });
  const ended: string[] = [];
  const begin = (name: string, address: string) => {
    const key = { name };
    handshakes.begin(key, address, () => ended.push(name));
    return key;
  };
  begin("lone", "192.0.2.1");
  begin("first", "2001:db8::1");
  const second = begin("second", "2001:db8::2");
  begin("third", "2001:db8::3");
  expect(handshakes.isFull).toBe(true);
  handshakes.makeWay();
  expect([ended, handshakes.isFull]).toEqual([["first"], false]);
  expect([handshakes.over(second), handshakes.over(second)]).toEqual([true, false]);
  handshakes.stop();
  expect([ended, handshakes.size, handshakes.makeWay()]).toEqual([["first", "lone", "third"], 0, undefined]);
});

// One client an id, and that an old one cannot take the new one with it.
import { expect, test } from "bun:test";
import type { Client } from "./client.ts";
import { Clients } from "./clients.ts";
import { ClientNotFoundError } from "./errors.ts";

const client = (id: string) => ({ id }) as Client;

test("is found by its id until it is removed", () => {
  const clients = new Clients();
  const [a, b] = [client("a"), client("b")];
  clients.add(a);
  clients.add(b);
  expect([clients.count, clients.has("a"), clients.find("a"), clients.get("b")]).toEqual([2, true, a, b]);
  expect([...clients.all()]).toEqual([a, b]);
  clients.remove(a);
  expect([clients.count, clients.has("a"), clients.find("a")]).toEqual([1, false, undefined]);
  expect(() => clients.get("a")).toThrow(ClientNotFoundError);
});

test("a client that lost its id to another does not remove it", () => {
  const clients = new Clients();
  const [old, fresh] = [client("same"), client("same")];
  clients.add(old);
  clients.add(fresh);
  clients.remove(old);
  expect(clients.find("same")).toBe(fresh);
  clients.remove(fresh);
  expect(clients.count).toBe(0);
});

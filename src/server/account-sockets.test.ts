// Seats of accounts: as many as the limit says, also for those that come at the same time, and given back however a socket ends.
import { expect, test } from "bun:test";
import { EventEmitter } from "node:events";
import type { Socket } from "socket.io";
import { AccountSockets } from "./account-sockets.ts";

const connection = () => new EventEmitter() as unknown as Socket["conn"] & EventEmitter;
const socketOn = (conn: object) => ({ conn }) as Socket;

test("an account has as many seats as it may; others have their own", () => {
  const accounts = new AccountSockets(() => 2);
  expect(accounts.take("a", connection())).toBe(true);
  const second = connection();
  expect(accounts.take("a", second)).toBe(true);
  expect(accounts.take("a", connection())).toBe(false);
  // The same connection does not count twice.
  expect(accounts.take("a", second)).toBe(true);
  expect(accounts.take("b", connection())).toBe(true);
  expect([accounts.count("a"), accounts.count("b"), accounts.count("c")]).toEqual([2, 1, 0]);
});

test("a seat is free again when its connection closes, before or after its socket was let in", () => {
  const accounts = new AccountSockets(() => 1);
  const first = connection();
  accounts.take("a", first);
  first.emit("close");
  const second = connection();
  expect(accounts.take("a", second)).toBe(true);
  accounts.sit("a", socketOn(second));
  expect([...accounts.of("a")]).toHaveLength(1);
  accounts.leave("a", second);
  expect([[...accounts.of("a")].length, accounts.count("a")]).toEqual([0, 0]);
  // The seat is taken by another one by then.
  expect(accounts.take("a", connection())).toBe(true);
  second.emit("close");
  expect(accounts.count("a")).toBe(1);
});

test("only sockets that were let in are shown", () => {
  const accounts = new AccountSockets(() => 0);
  const conn = connection();
  accounts.take("a", conn);
  expect([...accounts.of("a")]).toEqual([]);
});

// What is written to the listener inside arrives whole and in order, however little the system takes at one time; an end comes after it.
import { afterEach, expect, test } from "bun:test";
import { openInner } from "../../test/support/tls-door.ts";
import { until } from "../../test/support/until.ts";
import { InnerConnection, type InnerEvents } from "./tls-door-inner.ts";

const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanup.splice(0).reverse()) step();
});

async function opened(events: Partial<InnerEvents> = {}) {
  const inner = await openInner();
  cleanup.push(() => inner.close());
  const accepted = inner.next();
  const { promise: isOpen, resolve } = Promise.withResolvers<number>();
  const connection = new InnerConnection(inner.port, {
    opened: (port) => {
      resolve(port);
      return true;
    },
    data: () => {},
    drained: () => {},
    ended: () => {},
    closed: () => {},
    ...events,
  });
  cleanup.push(() => connection.destroy());
  const port = await isOpen;
  const socket = await accepted;
  return { connection, socket, port };
}

test("a piece larger than the system takes, another behind it, and the end", async () => {
  let drained = 0;
  const { connection, socket, port } = await opened({ drained: () => drained++ });
  expect(socket.remotePort).toBe(port);
  const large = Buffer.alloc(32 * 1024 * 1024);
  for (let at = 0; at < large.length; at += 4096) large.writeUInt32LE(at, at);
  expect(connection.write(large)).toBe(false);
  expect(connection.write(Buffer.from("behind"))).toBe(false);
  expect(connection.heldBytes).toBeGreaterThan(16 * 1024 * 1024);
  connection.end();
  const hash = new Bun.CryptoHasher("sha256");
  let ended = false;
  socket.on("data", (piece: Buffer) => void hash.update(piece));
  socket.once("end", () => {
    ended = true;
  });
  socket.resume();
  await until("the end", () => ended);
  expect(hash.digest("hex")).toBe(
    new Bun.CryptoHasher("sha256").update(large).update("behind").digest("hex"),
  );
  expect([connection.heldBytes, drained]).toEqual([0, 0]);
});

test("that what waited was taken is told once", async () => {
  let drained = 0;
  const { connection, socket } = await opened({ drained: () => drained++ });
  connection.write(Buffer.alloc(16 * 1024 * 1024));
  socket.resume();
  await until("it is told", () => drained > 0);
  expect(connection.write(Buffer.from("more"))).toBe(true);
  await until("all has arrived", () => socket.bytesRead === 16 * 1024 * 1024 + 4);
  expect(drained).toBe(1);
});

test("a pause holds what comes, and nothing of it is lost", async () => {
  let got = 0;
  const { connection, socket } = await opened({ data: (piece) => (got += piece.length) });
  connection.pause();
  const bytes = 64 * 1024 * 1024;
  socket.write(Buffer.alloc(bytes));
  await until("the system is full", () => socket.writableLength > 0);
  await until("a piece at most", () => got < bytes / 2);
  connection.resume();
  await until("all of it", () => got === bytes);
});

test("where nobody listens it is closed once, with the reason", async () => {
  const reasons: (Error | undefined)[] = [];
  const connection = new InnerConnection(1, {
    opened: () => true,
    data: () => {},
    drained: () => {},
    ended: () => {},
    closed: (error) => reasons.push(error),
  });
  await until("the end", () => reasons.length > 0);
  connection.destroy();
  expect(reasons.map((error) => error instanceof Error)).toEqual([true]);
});

// A body of events over a real socket: its head comes first, its writer waits for its client, and hears when that leaves.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { until } from "../../../test/support/until.ts";
import { EventBody } from "./sse.ts";

let serve: (body: EventBody) => void;
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: () => {
    const body = new EventBody(() => left++);
    serve(body);
    return new Response(body.readable);
  },
});
let left = 0;
const sockets: Socket[] = [];
beforeAll(() => {
  left = 0;
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await server.stop(true);
});

/** Asks, and reads nothing unless it is told to. */
async function ask(isReading: boolean): Promise<{ socket: Socket; body: EventBody; text: () => string }> {
  const asked = Promise.withResolvers<EventBody>();
  serve = asked.resolve;
  const socket = connect(server.port ?? 0, "127.0.0.1");
  sockets.push(socket);
  let text = "";
  if (isReading) socket.on("data", (bytes) => (text += bytes.toString()));
  else socket.pause();
  socket.on("error", () => {});
  socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  return { socket, body: await asked.promise, text: () => text };
}

test("the head leaves although there is nothing to say yet", async () => {
  const { body, text } = await ask(true);
  await until("the head", () => text().includes("\r\n\r\n1\r\n\n"));
  expect(body.write("id: 1\ndata: {}\n\n")).toBe(true);
  await until("the event", () => text().includes("id: 1"));
  body.close();
  expect(body.write("more")).toBe(false);
  await until("the end", () => text().endsWith("0\r\n\r\n"));
});

test("where there is something to say at once, nothing comes before it", async () => {
  const { body, text } = await ask(true);
  body.write("first");
  await Bun.sleep(60);
  body.close();
  await until("the end", () => text().endsWith("0\r\n\r\n"));
  expect(text().split("\r\n\r\n")[1]).toBe("5\r\nfirst\r\n0");
});

test("a writer that asks first waits for a client that does not read, and one that does not is refused", async () => {
  const { body, socket } = await ask(false);
  const piece = "x".repeat(32 * 1024);
  let written = 0;
  let waiting: Promise<void> | undefined;
  await until("its buffers are full", async () => {
    while (written < 100_000_000) {
      waiting = body.taken();
      if (waiting !== undefined) break;
      body.write(piece);
      written += piece.length;
    }
    if (waiting === undefined) return false;
    return (await Promise.race([waiting.then(() => "taken"), Bun.sleep(300)])) !== "taken";
  });
  expect(written).toBeLessThan(50_000_000);
  let more = 0;
  while (body.write(piece)) more += piece.length;
  expect(more).toBeLessThan(2 * 1024 * 1024);
  const before = left;
  socket.destroy();
  await until("its end is heard", () => left === before + 1);
  // Nobody waits for ever for who has left.
  await waiting;
  expect(body.write("x")).toBe(false);
  expect(body.taken()).toBeUndefined();
});

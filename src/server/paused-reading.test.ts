// A connection whose reading is paused delivers nothing and loses nothing, can still be written to, and its end is not missed.
import { afterEach, expect, test } from "bun:test";
import { until } from "../../test/support/until.ts";
import { kernelConnections } from "./connections-linux.ts";
import { pausedReading } from "./paused-reading.ts";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

const MIB = 1024 * 1024;

/** The client is in a process of its own: one that sends from this loop would wait for itself. */
async function stage() {
  const received: string[] = [];
  let closed = false;
  const sockets: { send(text: string): unknown }[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, bun) => (bun.upgrade(request) ? undefined : new Response("no")),
    websocket: {
      maxPayloadLength: 64 * MIB,
      open: (socket) => void sockets.push(socket),
      message: (_, text) => void received.push(String(text)),
      close: () => {
        closed = true;
      },
    },
  });
  cleanup.push(() => server.stop(true));
  const script = `const w = new WebSocket("ws://127.0.0.1:${server.port}");
    w.onopen = () => console.log("open");
    w.onmessage = ({ data }) => data === "go" ? w.send("x".repeat(${20 * MIB})) : console.log(data);`;
  const client = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  cleanup.push(() => client.kill("SIGKILL"));
  let told = "";
  (async () => {
    for await (const chunk of client.stdout) told += new TextDecoder().decode(chunk);
  })();
  const socket = await until("the socket to be open", () => sockets[0]);
  const kernel = kernelConnections();
  const fd = kernel?.list().find(({ localPort }) => localPort === server.port)?.fd ?? -1;
  return { socket, fd, kernel, received, client, told: () => told, closed: () => closed };
}

test.if(process.platform === "linux")(
  "a paused connection keeps what comes, and has it afterwards",
  async () => {
    const { socket, fd, kernel, received, told } = await stage();
    const reading = pausedReading();
    expect([...(reading?.pause([fd]) ?? [])]).toEqual([fd]);
    const before = kernel?.bytesRead(fd);
    socket.send("go");
    await until("bytes to wait in the kernel", () => (kernel?.unread(fd) ?? 0) > 64 * 1024);
    socket.send("written while paused");
    await until("the client to have it", () => told().includes("written while paused"));
    expect([kernel?.bytesRead(fd), received.length]).toEqual([before ?? -1, 0]);
    expect(reading?.resume([fd])).toBe(true);
    await until("the frame", () => received[0]?.length === 20 * MIB);
  },
);

test.if(process.platform === "linux")(
  "a client that goes while it is paused is seen to go at the latest when it is read again",
  async () => {
    const { fd, client, closed } = await stage();
    const reading = pausedReading();
    reading?.pause([fd]);
    client.kill("SIGKILL");
    await client.exited;
    reading?.resume([fd]);
    await until("its end", closed);
  },
);

test.if(process.platform === "linux")("a descriptor that is none of the loop's is not paused", () => {
  const reading = pausedReading();
  expect(reading?.pause([9_999])?.size).toBe(0);
  expect(reading?.resume([9_999])).toBe(false);
});

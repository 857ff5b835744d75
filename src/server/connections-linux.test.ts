// Real connections to a real server: the kernel's view of them is the one that Bun shows, and counts what Bun does not show.
import { afterEach, expect } from "bun:test";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { onLinux } from "../../test/support/needs.ts";
import { until } from "../../test/support/until.ts";
import { kernelConnections } from "./connections-linux.ts";

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0)) step();
});

function serve(hostname: string) {
  const asked: { address: string; port: number }[] = [];
  const server = Bun.serve({
    hostname,
    port: 0,
    fetch: (request, bun) => {
      const from = bun.requestIP(request);
      if (from !== null) asked.push({ address: from.address, port: from.port });
      return new Response(null, { status: bun.upgrade(request) ? 101 : 200 });
    },
    websocket: { message: () => {}, maxPayloadLength: 16 * 1024 * 1024 },
  });
  undo.push(() => server.stop(true));
  return { server, asked };
}

async function open(port: number, host: string): Promise<Socket> {
  const socket = connect({ port, host });
  undo.push(() => socket.destroy());
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  return socket;
}

const UPGRADE =
  "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

for (const host of ["127.0.0.1", "::1"]) {
  onLinux.test(`a connection from ${host} is found by the address and port that Bun tells`, async () => {
    const { server, asked } = serve(host);
    const socket = await open(server.port ?? 0, host);
    socket.write(UPGRADE);
    const from = await until("a request", () => asked[0]);
    const found = kernelConnections()
      ?.list()
      .filter(({ localPort }) => localPort === server.port);
    expect(found).toEqual([
      {
        fd: expect.any(Number),
        localPort: server.port ?? 0,
        remoteAddress: from.address,
        remotePort: from.port,
      },
    ]);
    expect(from.port).toBe(socket.localPort ?? 0);
  });
}

onLinux.test("an IPv4 connection to a listener of both families has the address that Bun tells", async () => {
  const { server, asked } = serve("::");
  const socket = await open(server.port ?? 0, "127.0.0.1");
  socket.write(UPGRADE);
  const from = await until("a request", () => asked[0]);
  const found = kernelConnections()
    ?.list()
    .find(({ localPort }) => localPort === server.port);
  expect(found?.remotePort).toBe(from.port);
  expect(from.address.replace("::ffff:", "")).toBe(found?.remoteAddress ?? "none");
});

onLinux.test(
  "bytes of a frame that is not whole yet are counted, and shutdown ends the connection",
  async () => {
    const { server } = serve("127.0.0.1");
    const kernel = kernelConnections();
    const socket = await open(server.port ?? 0, "127.0.0.1");
    const ended = new Promise((resolve) => socket.once("close", resolve));
    const port = socket.localPort;
    socket.on("error", () => {}).resume();
    socket.write(UPGRADE);
    const fd = await until(
      "its descriptor",
      () => kernel?.list().find(({ remotePort }) => remotePort === port)?.fd,
    );
    await until("the upgrade to be read", () => kernel?.bytesRead(fd) === UPGRADE.length);
    // A text frame of 4 MiB, of which all but its last byte comes.
    socket.write(Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0]));
    socket.write(Buffer.alloc(4 * 1024 * 1024 - 1));
    await until(
      "the frame to be read",
      () => kernel?.bytesRead(fd) === UPGRADE.length + 14 + 4 * 1024 * 1024 - 1,
    );
    expect(kernel?.shutdown(fd)).toBe(true);
    await ended;
    await until("the descriptor to be another's", () => kernel?.connection(fd)?.remotePort !== port);
  },
);

onLinux.test("what has arrived and waits to be read is not counted yet", async () => {
  const kernel = kernelConnections();
  const server = createServer({ pauseOnConnect: true });
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = await open((server.address() as AddressInfo).port, "127.0.0.1");
  const port = socket.localPort;
  socket.on("error", () => {}).write(Buffer.alloc(50_000));
  const reader = await accepted;
  const fd = await until(
    "its descriptor",
    () => kernel?.list().find(({ remotePort }) => remotePort === port)?.fd,
  );
  await until("some silence", () => (kernel?.silentMs(fd) ?? 0) >= 20);
  expect(kernel?.bytesRead(fd)).toBeLessThan(50_000);
  let read = 0;
  reader.on("data", (chunk) => {
    read += chunk.length;
  });
  reader.resume();
  await until("all to be read", () => read === 50_000);
  expect(kernel?.bytesRead(fd)).toBe(50_000);
  socket.destroy();
  reader.destroy();
  server.close();
});

onLinux.test("a descriptor that is no TCP connection is none, and skipped ones are not asked", async () => {
  const kernel = kernelConnections();
  expect(kernel?.connection(0)).toBeUndefined();
  expect(kernel?.connection(1_000_000)).toBeUndefined();
  expect(kernel?.bytesRead(1_000_000)).toBeUndefined();
  expect(kernel?.list(() => true)).toEqual([]);
});

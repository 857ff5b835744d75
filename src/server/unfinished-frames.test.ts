// What is done about bytes that arrived and were not handed over, with a kernel and a memory that the test makes up.
import { afterEach, expect, test } from "bun:test";
import { until } from "../../test/support/until.ts";
import { Bounds } from "../limits/bounds.ts";
import { MemoryCeiling } from "../limits/memory-ceiling.ts";
import { MemoryPieces } from "../limits/memory-pieces.ts";
import { createLog } from "../observability/log.ts";
import { Metrics } from "../observability/metrics.ts";
import type { KernelConnections } from "./connections-linux.ts";
import { type Sender, UnfinishedFrames } from "./unfinished-frames.ts";

const MIB = 1024 * 1024;
const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanup.splice(0)) step();
});

interface TestSender extends Sender {
  arrivedBytes: number;
  arrivedFrames: number;
  ended: boolean;
}

interface Ports {
  readonly port?: number;
  readonly localPort?: number;
}

function room({ kernel = true, limit = 50 * MIB } = {}) {
  const received = new Map<number, number>();
  const ports = new Map<number, number>();
  const localPorts = new Map<number, number>();
  const resident = { bytes: 100 * MIB };
  const bounds = new Bounds(new Metrics(), createLog("silent"));
  const ceiling = new MemoryCeiling(() => limit);
  const arriving = new MemoryPieces("unfinished frames", ceiling);
  const connections: KernelConnections = {
    list: (skip: (fd: number) => boolean = () => false) =>
      [...ports]
        .filter(([fd]) => !skip(fd))
        .map(([fd, remotePort]) => ({
          fd,
          localPort: localPorts.get(fd) ?? 1,
          remoteAddress: "198.51.100.1",
          remotePort,
        })),
    connection: () => undefined,
    bytesRead: (fd: number) => received.get(fd),
    shutdown: () => true,
  } as unknown as KernelConnections;
  const frames = new UnfinishedFrames({
    kernel: kernel ? connections : undefined,
    arriving,
    bounds,
    log: createLog("silent"),
    transportBytes: () => 16 * MIB,
    roomBytes: () => 32 * MIB,
    residentBytes: () => resident.bytes,
  });
  cleanup.push(() => frames.stop());
  let next = 10;
  return {
    frames,
    bounds,
    arriving,
    resident,
    ports,
    /** A socket with its descriptor, whose request had so many bytes. */
    open: (isStranger: boolean, bytes = 300, isShown = true, { port, localPort = 1 }: Ports = {}) => {
      const fd = next++;
      const from = port ?? 1000 + fd;
      localPorts.set(fd, localPort);
      const sender: TestSender = {
        remote: { address: "::ffff:198.51.100.1", port: from, localPort },
        address: "198.51.100.1",
        arrivedBytes: 0,
        arrivedFrames: 0,
        maxMessageBytes: 16 * MIB,
        queuedBytes: 0,
        close: () => sender.terminate(),
        ended: false,
        terminate: () => {
          sender.ended = true;
          frames.closed(sender);
        },
      };
      if (isShown) ports.set(fd, from);
      received.set(fd, bytes);
      frames.opened(sender, isStranger);
      return { sender, receive: (more: number) => received.set(fd, (received.get(fd) ?? 0) + more) };
    },
  };
}

/** So many looks at strangers have passed. */
const looks = (count: number) => Bun.sleep(10 + count * 30);

test("a stranger that sends more than a handshake needs is ended, one that does not is not", async () => {
  const { open, bounds } = room();
  const [large, small] = [open(true), open(true)];
  await looks(1);
  small.receive(50 * 1024);
  large.receive(200 * 1024);
  await until("the sender of the large frame to be ended", () => large.sender.ended);
  await looks(2);
  expect(small.sender.ended).toBe(false);
  expect(bounds.count("anonymous-bytes")).toBe(1);
});

test("what arrived before the first look is in doubt, and acted on in sum when memory has grown", async () => {
  const { open, resident } = room();
  // A proxy's connection that has carried other requests before.
  const used = open(true, 500 * MIB);
  await looks(3);
  expect(used.sender.ended).toBe(false);
  const bursts = Array.from({ length: 4 }, () => open(true, 10 * MIB));
  await looks(3);
  expect(bursts.filter(({ sender }) => sender.ended)).toHaveLength(0);
  resident.bytes += 60 * MIB;
  await until(
    "one of them to be ended",
    () => bursts.some(({ sender }) => sender.ended) || used.sender.ended,
  );
  await looks(2);
  expect(bursts.filter(({ sender }) => !sender.ended).length).toBeGreaterThan(0);
});

test("two sockets from one port of a stranger, to two ports of ours, are told apart", async () => {
  const { open } = room();
  const [first, second] = [1, 2].map((localPort) => open(true, 300, true, { port: 5_000, localPort }));
  await looks(2);
  first?.receive(MIB);
  await until("the first to end", () => first?.sender.ended === true);
  expect(second?.sender.ended).toBe(false);
  second?.receive(MIB);
  await until("the second to end", () => second?.sender.ended === true);
});

test("a socket that was let in may send a large frame; what it has sent of it counts when memory grows", async () => {
  const { open, frames, arriving, resident } = room();
  const { sender, receive } = open(true);
  await looks(1);
  frames.letIn(sender);
  receive(8 * MIB);
  resident.bytes += 40 * MIB;
  await until("the pieces to count", () => arriving.held() > 7 * MIB);
  // Handed over whole.
  sender.arrivedBytes += 8 * MIB;
  sender.arrivedFrames++;
  resident.bytes += 40 * MIB;
  await until("nothing to count any more", () => arriving.held() === 0);
  expect(sender.ended).toBe(false);
});

test("the frames of all sockets together keep below the ceiling, the largest goes first", async () => {
  const { open, arriving, resident } = room({ limit: 30 * MIB });
  const sockets = [14, 12, 10].map((mib) => open(false, 300 + mib * MIB));
  resident.bytes += 40 * MIB;
  await until("one of them to be ended", () => sockets.some(({ sender }) => sender.ended));
  await looks(10);
  expect(sockets.map(({ sender }) => sender.ended)).toEqual([true, false, false]);
  expect(arriving.held()).toBeLessThan(30 * MIB);
});

test("a socket that left where it was let in is a stranger again", async () => {
  const { open, frames } = room();
  const { sender, receive } = open(true);
  await looks(1);
  frames.letIn(sender);
  receive(2 * MIB);
  sender.arrivedBytes += 2 * MIB;
  await looks(2);
  expect(sender.ended).toBe(false);
  frames.leftOut(sender);
  await looks(2);
  expect(sender.ended).toBe(false);
  receive(MIB);
  await until("its sender to be ended", () => sender.ended);
});

test("closed sockets are forgotten, and their descriptors may be somebody else's", async () => {
  const { open, ports, frames } = room();
  const { sender } = open(true);
  await looks(1);
  frames.closed(sender);
  ports.clear();
  const next = open(true);
  await looks(1);
  next.receive(MIB);
  await until("the next to be ended", () => next.sender.ended);
  expect(sender.ended).toBe(false);
});

test("where nothing can be counted, so few sockets may wait that 96 MiB are not passed", async () => {
  expect(room({ kernel: false }).frames.webSocketLimit()).toBe(6);
  const { open, frames } = room();
  expect(frames.webSocketLimit()).toBeUndefined();
  // A kernel that tells nothing of the socket's own request.
  open(true, 0);
  await until("fewer sockets to be permitted", () => frames.webSocketLimit() === 6);
  const other = room();
  other.open(true, 300, false);
  await until("fewer sockets to be permitted", () => other.frames.webSocketLimit() === 6);
});

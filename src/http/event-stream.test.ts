// Event streams over real sockets: what goes out, when, how often it is made, and what becomes of a reader that stops.
import { afterEach, describe, expect, test } from "bun:test";
import { RawConnection } from "../../test/faults/raw-connection.ts";
import { EventClient } from "../../test/support/event-client.ts";
import { testLimits } from "../../test/support/limits.ts";
import { until } from "../../test/support/until.ts";
import { createLog } from "../observability/log.ts";
import type { EventReader } from "./event-reader.ts";
import { EventStreams, type EventStreamsParts, type StreamForm } from "./event-stream.ts";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

const MIB = 1024 * 1024;

interface ServeOptions extends Partial<EventStreamsParts> {
  readonly idleTimeout?: number;
  readonly ceiling?: number;
  readonly form?: StreamForm;
}

function serve(options: ServeOptions = {}) {
  const limits = testLimits({ maxMemoryBytesInFlight: options.ceiling ?? 192 * MIB });
  const lines: string[] = [];
  const streams = new EventStreams({
    queues: limits.queues,
    maxQueuedBytes: () => 16 * MIB,
    log: createLog("warn", { write: (line: string) => lines.push(line) } as never),
    ...options,
  });
  const readers = new Set<EventReader>();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: options.idleTimeout ?? 72,
    fetch: (request, bun) => {
      if (request.url.endsWith("/silent")) return new Response(new ReadableStream());
      return streams.open(
        request,
        { clientAddress: "127.0.0.1", extendIdle: (seconds) => bun.timeout(request, seconds) },
        {
          opened: (reader) => {
            readers.add(reader);
            reader.send(event({ first: true }));
          },
          ended: (reader) => readers.delete(reader),
        },
        options.form,
      );
    },
  });
  const event = (data: unknown) => streams.frame(`data: ${JSON.stringify(data)}\n\n`);
  const url = `http://127.0.0.1:${server.port}/`;
  cleanup.push(() => server.stop(true));
  return {
    streams,
    readers,
    limits,
    lines,
    url,
    port: server.port as number,
    tell: (data: unknown) => {
      const one = event(data);
      for (const reader of readers) reader.send(one);
    },
    listen: async (gzip = false) => {
      const client = await EventClient.open(url, { gzip });
      cleanup.push(() => client.close());
      return client;
    },
  };
}

describe.each([false, true])("with gzip: %p", (gzip) => {
  test("each event is there at once and in order, small and large", async () => {
    const { tell, listen } = serve();
    const client = await listen(gzip);
    expect(client.headers["content-encoding"]).toBe(gzip ? "gzip" : undefined);
    const sizes = [1, 150, 300, 4_000, 70_000, 300_000, 1_500_000];
    for (const [at, size] of sizes.entries()) {
      tell({ at, text: "ä".repeat(size) });
      await client.has(at + 2);
      expect(client.events.at(-1)?.data.text.length).toBe(size);
    }
    expect(client.events.slice(1).map(({ data }) => data.at)).toEqual([...sizes.keys()]);
  });

  test("a hundred readers cost one encoding of each event, and one write of a turn's events", async () => {
    const { tell, listen, streams } = serve();
    const clients = await Promise.all(Array.from({ length: 100 }, () => listen(gzip)));
    const before = { ...streams.counts };
    for (let at = 0; at < 20; at++) tell({ at, text: "x".repeat(500) });
    await Promise.all(clients.map((client) => client.has(21)));
    const { encoded, deflated } = streams.counts;
    expect([encoded - before.encoded, deflated - before.deflated]).toEqual([20, gzip ? 20 : 0]);
    for (const client of clients)
      expect(client.events.slice(1).map(({ data }) => data.at)).toEqual([...Array(20).keys()]);
  });

  test("at the end of the server every answer is whole", async () => {
    const { tell, listen, streams } = serve();
    const clients = await Promise.all(Array.from({ length: 3 }, () => listen(gzip)));
    tell({ text: "x".repeat(70_000) });
    streams.close();
    for (const client of clients) {
      await client.until("the end", () => client.ended !== undefined);
      expect([client.ended, client.events.length]).toEqual(["whole", 2]);
    }
    expect(streams.size).toBe(0);
    const late = await listen(gzip);
    await late.until("the end", () => late.ended !== undefined);
    expect(late.ended).toBe("whole");
  });
});

describe("a turn of the event loop", () => {
  test("is one piece on the wire", async () => {
    const { tell, readers, port } = serve();
    const connection = await RawConnection.open(port);
    cleanup.push(() => connection.destroy());
    connection.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await connection.until((received) => received.includes('"first"'), 5_000);
    expect(readers.size).toBe(1);
    const before = connection.received.length;
    for (let at = 0; at < 3; at++) tell({ at });
    await connection.until((received) => received.includes('{"at":2}'), 5_000);
    const text = '"data: {"at":0}\n\ndata: {"at":1}\n\ndata: {"at":2}\n\n';
    const expected = text.slice(1);
    expect(connection.received.slice(before)).toBe(`${expected.length.toString(16)}\r\n${expected}\r\n`);
  });
});

describe("a turn in which very much is said", () => {
  test("is written while it lasts, whole and in order", async () => {
    const { tell, listen, readers } = serve();
    const client = await listen();
    const [reader] = [...readers];
    let most = 0;
    for (let at = 0; at < 2_000; at++) {
      tell({ at, text: "x".repeat(1_000) });
      if (reader?.isTaking) most = Math.max(most, reader.queuedBytes);
    }
    expect(most).toBeLessThan(MIB / 4);
    await client.has(2_001);
    expect(client.events.slice(1).map(({ data }) => data.at)).toEqual([...Array(2_000).keys()]);
  });

  test("closes a reader that stops when its queue is full, within the turn", async () => {
    const { tell, port, readers, limits, lines } = serve({ maxQueuedBytes: () => 2 * MIB });
    await stopped(port);
    await until("it", () => readers.size === 1);
    const text = "x".repeat(256 * 1024);
    for (let at = 0; at < 200; at++) tell({ at, text });
    expect([readers.size, limits.queues.held()]).toEqual([0, 0]);
    expect(lines.join()).toContain("a client does not read: its queue is full");
  });
});

/** Opens a stream and reads nothing of it after its first frame. */
async function stopped(port: number, head = "") {
  const connection = await RawConnection.open(port);
  cleanup.push(() => connection.destroy());
  connection.write(`GET / HTTP/1.1\r\nHost: x\r\n${head}\r\n`);
  await connection.until((received) => received.includes("\r\n\r\n"), 5_000);
  connection.stopReading();
  return connection;
}

describe("a reader that stops", () => {
  test("is closed when its queue is full; the others miss nothing, and nothing is held for it any more", async () => {
    const { tell, listen, port, readers, streams, limits, lines } = serve({ maxQueuedBytes: () => 2 * MIB });
    const client = await listen();
    const connection = await stopped(port);
    await until("both", () => readers.size === 2);
    const text = "x".repeat(256 * 1024);
    let told = 0;
    let most = 0;
    while (readers.size === 2 && told < 200) {
      tell({ at: told++, text });
      await client.has(told + 1);
      most = Math.max(most, limits.queues.held());
    }
    expect(readers.size).toBe(1);
    expect(most).toBeGreaterThan(MIB);
    expect(most).toBeLessThanOrEqual(2 * MIB + 2 * text.length);
    expect([limits.queues.held(), streams.size]).toEqual([0, 1]);
    connection.resumeReading();
    await until("the reset", () => connection.closed);
    expect(lines.join()).toContain("a client does not read: its queue is full; its event stream was closed");
    tell({ at: told++ });
    await client.has(told + 1);
    expect(client.events.slice(1).map(({ data }) => data.at)).toEqual([...Array(told).keys()]);
  });

  test("is closed when it has taken nothing for a minute, and not before", async () => {
    let now = 0;
    const { tell, port, readers, streams } = serve({ now: () => now });
    await stopped(port);
    await until("it", () => readers.size === 1);
    await until("its queue to hold something", () => {
      tell({ text: "x".repeat(256 * 1024) });
      return [...readers][0]?.isTaking === false;
    });
    now = 59_999;
    streams.closeStalled();
    expect(readers.size).toBe(1);
    now = 60_000;
    streams.closeStalled();
    expect(readers.size).toBe(0);
  });

  test("gives way when everything that waits fills its share of memory", async () => {
    const { tell, port, readers, limits, lines } = serve({ ceiling: 8 * MIB });
    await stopped(port, "Accept-Encoding: gzip\r\n");
    await until("it", () => readers.size === 1);
    for (let at = 0; readers.size === 1 && at < 100; at++) {
      const text = Buffer.from(crypto.getRandomValues(new Uint8Array(48 * 1024))).toString("base64");
      tell({ text: text.repeat(20) });
      await Bun.sleep(0);
    }
    expect(readers.size).toBe(0);
    expect(limits.queues.held()).toBe(0);
    expect(lines.join()).toContain("all queues together are full");
  });

  test("and reads again before that gets everything, in order", async () => {
    const { tell, listen, readers, limits } = serve();
    for (const gzip of [false, true]) {
      const client = await listen(gzip);
      const [reader] = [...readers];
      client.pause();
      let told = 0;
      while (reader?.isTaking && told < 500) {
        const text = Buffer.from(crypto.getRandomValues(new Uint8Array(150_000))).toString("base64");
        tell({ at: told++, text });
        await Bun.sleep(0);
      }
      for (let more = 0; more < 10; more++) tell({ at: told++, text: "x".repeat(200_000) });
      expect(limits.queues.held()).toBeGreaterThan(0);
      client.resume();
      await client.has(told + 1);
      expect(client.events.slice(1).map(({ data }) => data.at)).toEqual([...Array(told).keys()]);
      await until("nothing to wait", () => limits.queues.held() === 0);
      client.close();
      await until("it to go", () => readers.size === 0);
    }
  });

  test("can be waited for by who sends only what is taken", async () => {
    const { tell, listen, readers } = serve();
    const client = await listen();
    const [reader] = [...readers] as [EventReader];
    expect(reader.taking()).toBeUndefined();
    client.pause();
    let told = 0;
    await until("it to take no more", () => {
      tell({ at: told++, text: "x".repeat(256 * 1024) });
      return reader.taking() !== undefined;
    });
    let isTaken = false;
    const taking = reader.taking()?.then(() => {
      isTaken = true;
    });
    await Bun.sleep(50);
    expect(isTaken).toBe(false);
    client.resume();
    await taking;
    expect(reader.taking()).toBeUndefined();
    await client.has(told + 1);
    client.pause();
    await until("it to take no more", () => {
      tell({ text: "x".repeat(256 * 1024) });
      return reader.taking() !== undefined;
    });
    const left = reader.taking();
    client.close();
    await left;
    expect([reader.isOpen, reader.taking()]).toEqual([false, undefined]);
  });

  test("does not keep the server from ending", async () => {
    const { tell, port, readers, streams } = serve();
    const connection = await stopped(port);
    await until("its queue to hold something", () => {
      tell({ text: "x".repeat(256 * 1024) });
      return [...readers][0]?.isTaking === false;
    });
    streams.close();
    expect([streams.size, connection.closed]).toEqual([1, false]);
    await cleanup[0]?.();
    await until("it to be forgotten", () => streams.size === 0);
  });
});

test("who leaves is forgotten at once", async () => {
  const { listen, readers, streams } = serve();
  const clients = await Promise.all([listen(), listen(true)]);
  expect([readers.size, streams.size]).toEqual([2, 2]);
  for (const client of clients) client.close();
  await until("both to be forgotten", () => readers.size === 0 && streams.size === 0);
});

test("who opens a stream may say more in its headers, and that it is never compressed", async () => {
  const form = {
    headers: { "content-type": "text/event-stream; charset=utf-8", "x-more": "1" },
    isPlain: true,
  };
  const { listen } = serve({ form });
  const client = await listen(true);
  expect(client.headers).toMatchObject({ ...form.headers, "cache-control": "no-cache" });
  expect(client.headers["content-encoding"]).toBeUndefined();
});

test("HEAD is answered with the headers and opens nothing", async () => {
  const { url, streams } = serve();
  const answer = await fetch(url, { method: "HEAD" });
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  expect(streams.size).toBe(0);
});

test("silence ends no stream, however short others may be silent", async () => {
  const { tell, listen, url } = serve({ idleTimeout: 1 });
  const client = await listen();
  // An answer that is silent that long and is no event stream is cut off meanwhile, twice over.
  for (let round = 0; round < 2; round++)
    await expect(fetch(`${url}silent`).then((answer) => answer.text())).rejects.toThrow();
  tell({ later: true });
  await client.has(2);
  expect(client.ended).toBeUndefined();
}, 30_000);

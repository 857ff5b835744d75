// What one client of a TLS door can take from the others, and what lies in the door for those who do not read.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { type TestCertificates, testCertificates, withOpenssl } from "../../test/support/certificates.ts";
import { ask, connectTls } from "../../test/support/tls-clients.ts";
import { openInner, openTestDoor, type TestDoor } from "../../test/support/tls-door.ts";
import { until } from "../../test/support/until.ts";
import type { TlsDoorParts } from "./tls-door.ts";
import { type TlsClient, TlsClients } from "./tls-door-clients.ts";

const { describe } = withOpenssl;
const MIB = 1024 * 1024;
let made: TestCertificates;
beforeAll(async () => {
  if (withOpenssl.met) made = await testCertificates();
});
afterAll(() => made?.certificates[Symbol.dispose]());

const cleanup: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

function opened(innerPort: number, more: Partial<TlsDoorParts> & { ceilingBytes?: number } = {}): TestDoor {
  const door = openTestDoor({ ...made, innerPort, ...more });
  cleanup.push(() => door.close());
  return door;
}

function pages(
  fetch: (request: Request) => Response | Promise<Response> = () => new Response("page"),
): number {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch });
  cleanup.push(() => server.stop(true));
  return server.port ?? 0;
}

/** Says nothing, or not all of what a handshake needs. */
function stalling(
  port: number,
  bytes: Uint8Array = new Uint8Array(),
): { socket: Socket; closed: () => boolean } {
  const socket = connect(port, "127.0.0.1");
  let isClosed = false;
  socket.on("error", () => {});
  socket.once("close", () => {
    isClosed = true;
  });
  socket.resume();
  if (bytes.length > 0) socket.write(bytes);
  cleanup.push(() => socket.destroy());
  return { socket, closed: () => isClosed };
}

/** The head of a ClientHello of 512 bytes, and nothing of it. */
const HALF_HELLO = Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3);

describe("handshakes", () => {
  test.each([
    ["says nothing", new Uint8Array()],
    ["says a half of it", HALF_HELLO],
  ])("who %s is cut off when the time is over, and others come in meanwhile", async (_, bytes) => {
    const door = opened(pages(), { handshakeMs: 400 });
    const { closed } = stalling(door.port, bytes);
    await until("the handshake", () => door.door.figures().handshakes === 1);
    expect((await ask(door, undefined)).text).toBe("page");
    expect(closed()).toBe(false);
    await until("the end", closed, 5000);
    await until("nothing open", () => door.door.figures().connections === 0);
  });

  test("who sends it byte by byte has no more time", async () => {
    const door = opened(pages(), { handshakeMs: 400 });
    const { socket, closed } = stalling(door.port, HALF_HELLO);
    const dripping = setInterval(() => socket.write(Uint8Array.of(0)), 20);
    cleanup.push(() => clearInterval(dripping));
    await until("the end", closed, 5000);
  });

  test("where too many are under way the longest goes, and a newcomer comes in", async () => {
    const door = opened(pages(), { maxHandshakes: 4 });
    const all = Array.from({ length: 10 }, () => stalling(door.port));
    await until("six to go", () => all.filter(({ closed }) => closed()).length === 6);
    expect((await ask(door, undefined)).text).toBe("page");
    expect(door.door.figures().handshakes).toBeLessThanOrEqual(4);
    expect(new Set(door.refused)).toEqual(new Set(["tls-handshakes"]));
  });
});

describe("connections", () => {
  test("two hundred at one time, all served, and nothing is left of them", async () => {
    let calls = 0;
    const inner = pages(async (request) => {
      calls++;
      return new Response(`${new URL(request.url).pathname} ${await request.text()}`);
    });
    let now = 0;
    const clients = new TlsClients(() => now);
    const door = opened(inner, { clients });
    const sockets = await Promise.all(Array.from({ length: 200 }, () => connectTls(door)));
    expect(door.door.figures().connections).toBe(200);
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(
        sockets.map((socket, index) => exchange(socket, `/${index}/${round}`)),
      );
      expect(answers).toEqual(sockets.map((_, index) => `/${index}/${round} `));
    }
    expect(calls).toBe(600);
    for (const socket of sockets) socket.destroy();
    await until("nothing open", () => door.door.figures().connections === 0);
    expect(door.waiting.held()).toBe(0);
    now += 60_000;
    expect(clients.enter(1, clientOf("192.0.2.1"))).toBe(true);
    await until("no port kept", () => clients.size === 1);
  });

  test("as many as may be: a newcomer is closed, until there is room", async () => {
    const door = opened(pages(), { maxConnections: 3 });
    const three = await Promise.all([1, 2, 3].map(() => connectTls(door)));
    await until("three", () => door.door.figures().handshakes === 0);
    await expect(ask(door, undefined)).rejects.toThrow();
    expect(door.refused).toContain("tls-connections");
    expect(await exchange(three[0] as TLSSocket, "/")).toBe("page");
    three[1]?.destroy();
    await until("room", () => door.door.figures().connections === 2);
    expect((await ask(door, undefined)).text).toBe("page");
    for (const socket of three) socket.destroy();
  });

  test.each([
    ["that rests is not used: another one is, and the client notices nothing", 3, true],
    ["is not found: the client is closed", Number.POSITIVE_INFINITY, false],
  ])("a port inside %s", async (_, resting, isServed) => {
    let asked = 0;
    class Resting extends TlsClients {
      override enter(port: number, client: TlsClient): boolean {
        return ++asked > resting && super.enter(port, client);
      }
    }
    const door = opened(pages(), { clients: new Resting() });
    const answer = await ask(door, undefined).catch(() => undefined);
    expect([answer?.text, asked]).toEqual(isServed ? ["page", 4] : [undefined, 5]);
    await until("nothing open", () => door.door.figures().connections === 0);
  });

  test("handshakes that stall keep nobody out, though they are connections", async () => {
    const door = opened(pages(), { maxConnections: 3 });
    for (let count = 0; count < 3; count++) stalling(door.port);
    await until("three", () => door.door.figures().handshakes === 3);
    expect((await ask(door, undefined)).text).toBe("page");
  });
});

describe("who does not read", () => {
  const SENT = 64 * MIB;

  test("inside: the client waits, and all of it arrives later", async () => {
    const inner = await openInner();
    cleanup.push(() => inner.close());
    const door = opened(inner.port);
    const accepted = inner.next();
    const client = await connectTls(door);
    cleanup.push(() => client.destroy());
    const socket = await accepted;
    const sent = pour(client, SENT);
    await until("bytes that wait", () => door.waiting.held() > 0);
    const before = await still(() => client.bytesWritten - client.writableLength);
    // What lies in four sockets' buffers of the system, and in the door.
    expect(before).toBeLessThan(SENT / 2);
    expect(door.waiting.held()).toBeLessThan(3 * MIB);
    expect(door.door.figures().blocked).toBe(1);
    const got = digest(socket, SENT);
    expect(await got).toBe(await sent);
    await until("nothing waits", () => door.waiting.held() === 0 && door.door.figures().blocked === 0);
  });

  test("outside: the listener inside waits, and all of it arrives later", async () => {
    const inner = await openInner();
    cleanup.push(() => inner.close());
    const door = opened(inner.port);
    const accepted = inner.next();
    const client = await connectTls(door);
    cleanup.push(() => client.destroy());
    client.pause();
    const socket = await accepted;
    const sent = pour(socket, SENT);
    await until("bytes that wait", () => door.waiting.held() > 0);
    const before = await still(() => socket.bytesWritten - socket.writableLength);
    expect(before).toBeLessThan(SENT / 2);
    expect(door.waiting.held()).toBeLessThan(3 * MIB);
    expect(await digest(client, SENT)).toBe(await sent);
  });

  test("when memory is short, who holds most is cut off", async () => {
    const inner = await openInner();
    cleanup.push(() => inner.close());
    const door = opened(inner.port, { ceilingBytes: 64 * 1024 });
    const accepted = inner.next();
    const client = await connectTls(door);
    client.pause();
    void pour(await accepted, SENT);
    await until("the end", () => door.door.figures().connections === 0);
    expect(door.waiting.held()).toBe(0);
    client.destroy();
  });
});

describe("ends", () => {
  test("a close inside reaches the client after all that came before it", async () => {
    const body = "x".repeat(5 * MIB);
    const door = opened(pages(() => new Response(body, { headers: { connection: "close" } })));
    expect((await ask(door, undefined)).text.length).toBe(body.length);
    await until("nothing open", () => door.door.figures().connections === 0);
  });

  test("a client that still sends when the listener inside closes gets its answer, and no reset", async () => {
    const inner = await openInner();
    cleanup.push(() => inner.close());
    const door = opened(inner.port);
    const accepted = inner.next();
    const client = await connectTls(door);
    cleanup.push(() => client.destroy());
    client.pause();
    let problem: unknown;
    client.once("error", (error) => {
      problem = error;
    });
    const sending = setInterval(() => client.write(Buffer.alloc(64 * 1024)), 2);
    cleanup.push(() => clearInterval(sending));
    const socket = await accepted;
    socket.end("answer", () => socket.destroy());
    await until("the end inside", () => socket.destroyed);
    const before = client.bytesWritten;
    await until("more that was sent", () => client.bytesWritten > before + MIB);
    expect(await textOf(client)).toBe("answer");
    clearInterval(sending);
    expect(problem).toBeUndefined();
  });

  test("a half close reaches the server inside, and what it still says reaches the client", async () => {
    const inner = await openInner();
    cleanup.push(() => inner.close());
    const door = opened(inner.port);
    const accepted = inner.next();
    const client = await connectTls(door, undefined, { allowHalfOpen: true } as object);
    client.end("question");
    const socket = await accepted;
    expect(await textOf(socket)).toBe("question");
    socket.end("answer");
    expect(await textOf(client)).toBe("answer");
    await until("nothing open", () => door.door.figures().connections === 0);
  });

  test("a client that goes ends the request inside at once", async () => {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    let isThere = false;
    const door = opened(
      pages((request) => {
        isThere = true;
        request.signal.addEventListener("abort", () => resolve());
        return new Promise<Response>(() => {});
      }),
    );
    const client = await connectTls(door);
    client.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    await until("the request", () => isThere);
    client.destroy();
    await ended;
    await until("nothing open", () => door.door.figures().connections === 0);
  });

  test("a listener inside that is gone closes the client", async () => {
    const door = opened(1);
    await expect(ask(door, undefined)).rejects.toThrow();
    await until("nothing open", () => door.door.figures().connections === 0);
  });

  test("stopping ends handshakes and refuses newcomers; what is open goes on until it is cut", async () => {
    const door = opened(pages());
    const client = await connectTls(door);
    const { closed } = stalling(door.port);
    await until("both", () => door.door.figures().connections === 2 && door.door.figures().handshakes === 1);
    let isStopped = false;
    const stopped = door.door.stop().then(() => {
      isStopped = true;
    });
    await until("the end of the handshake", closed);
    await expect(ask(door, undefined)).rejects.toThrow();
    expect([await exchange(client, "/"), isStopped]).toEqual(["page", false]);
    await door.door.cut();
    await stopped;
  });
});

const clientOf = (address: string): TlsClient => ({
  peer: { address, port: 1, localPort: 1 },
  certificate: undefined,
  version: "TLSv1.3",
});

/** One request on a connection that stays. @returns the answer's body. */
function exchange(socket: TLSSocket, path: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let received = "";
  const look = (piece: Buffer) => {
    received += piece;
    const [head, body] = received.split("\r\n\r\n");
    const length = Number(/content-length: (\d+)/i.exec(head ?? "")?.[1]);
    if (body === undefined || body.length < length) return;
    socket.off("data", look);
    resolve(body);
  };
  socket.on("data", look);
  socket.once("close", () => reject(new Error("closed")));
  socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  return promise;
}

/** @returns the SHA-256 of what was sent. */
async function pour(socket: Socket, bytes: number): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for (let sent = 0; sent < bytes; sent += MIB) {
    const piece = Buffer.alloc(MIB, (sent / MIB) % 251);
    hash.update(piece);
    if (socket.write(piece)) continue;
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once("drain", resolve);
    socket.once("close", resolve);
    await promise;
    socket.off("close", resolve);
    if (socket.destroyed) break;
  }
  return hash.digest("hex");
}

function digest(socket: Socket, bytes: number): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  let got = 0;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  socket.once("close", () => reject(new Error(`closed after ${got} bytes`)));
  socket.on("data", (piece: Buffer) => {
    hash.update(piece);
    got += piece.length;
    if (got === bytes) resolve(hash.digest("hex"));
  });
  socket.resume();
  return promise;
}

/** A figure that does not change any more. */
async function still(look: () => number): Promise<number> {
  let last = Number.NaN;
  let times = 0;
  return await until("a figure that stays", () => {
    const now = look();
    times = now === last ? times + 1 : 0;
    last = now;
    return times > 20 ? now : undefined;
  });
}

function textOf(socket: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  socket.on("data", (piece: Buffer) => {
    text += piece;
  });
  socket.once("end", () => resolve(text));
  socket.resume();
  return promise;
}

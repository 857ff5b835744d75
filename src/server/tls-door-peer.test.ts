// Behind a TLS door every limit sees the real other end of a connection, and nobody reaches the listener by another way.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { TLSSocket } from "node:tls";
import { type TestCertificates, testCertificates, withOpenssl } from "../../test/support/certificates.ts";
import { needs, onLinux } from "../../test/support/needs.ts";
import { ask, connectTls } from "../../test/support/tls-clients.ts";
import {
  openTlsListener,
  type TlsListener,
  type TlsListenerOptions,
} from "../../test/support/tls-listener.ts";
import { until } from "../../test/support/until.ts";
import { kernelConnections } from "./connections-linux.ts";
import type { TlsTerms } from "./tls-door-terms.ts";

let made: TestCertificates;
beforeAll(async () => {
  if (withOpenssl.met) made = await testCertificates();
});
afterAll(() => made?.certificates[Symbol.dispose]());

const cleanup: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

type Opened = TlsListener & Pick<TestCertificates, "authority">;

function opened(more: Partial<TlsListenerOptions> = {}): Opened {
  const { cert, key } = made.server;
  const terms: TlsTerms = { cert, key, clientCertificates: "none" };
  const listener = openTlsListener({ tls: { terms: () => terms, maxConnections: 1000 }, ...more });
  cleanup.push(() => listener.door.close(500));
  return { ...listener, authority: made.authority };
}

const { test: here } = needs.all(withOpenssl, onLinux);
const HELLO = "GET /socket HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
const KEY = "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/** A WebSocket of which a test sends the bytes. */
async function rawSocket(target: Opened, localAddress = "127.0.0.1"): Promise<TLSSocket> {
  const socket = await connectTls(target, undefined, { localAddress } as object);
  cleanup.push(() => socket.destroy());
  let received = "";
  socket.on("data", (piece: Buffer) => {
    received += piece.toString("latin1");
  });
  socket.write(HELLO + KEY);
  await until("the upgrade", () => received.startsWith("HTTP/1.1 101"));
  return socket;
}

/** The head of a masked frame of so many bytes. */
function frameHead(bytes: number): Buffer {
  const head = Buffer.alloc(14);
  head.writeUInt8(0x82, 0);
  head.writeUInt8(0x80 | 127, 1);
  head.writeBigUInt64BE(BigInt(bytes), 2);
  return head;
}

here("a stranger's unfinished frame is seen through the door, and its connection ended", async () => {
  const target = opened({ endpoint: { letsInLater: true } });
  const socket = await rawSocket(target);
  let isClosed = false;
  socket.once("close", () => {
    isClosed = true;
  });
  socket.write(frameHead(3 * 1024 * 1024));
  const sending = setInterval(() => socket.write(Buffer.alloc(32 * 1024)), 20);
  cleanup.push(() => clearInterval(sending));
  await until("the end", () => isClosed);
  expect(target.limits.bounds.count("anonymous-bytes")).toBe(1);
  await until("nothing open", () => target.door.tlsFigures()?.connections === 0);
});

here("who is let in sends its large frame, and gets it back", async () => {
  const target = opened();
  const tls = { ca: made.authority.cert };
  const socket = new WebSocket(`wss://127.0.0.1:${target.port}/socket`, { tls } as unknown as string[]);
  socket.binaryType = "arraybuffer";
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const bytes = crypto.getRandomValues(new Uint8Array(65_536));
  const large = Buffer.concat(Array.from({ length: 48 }, () => bytes));
  socket.onopen = () => socket.send(large);
  socket.onmessage = ({ data }) => resolve(Bun.hash(data as ArrayBuffer) as unknown as number);
  socket.onclose = () => reject(new Error("closed"));
  expect(await promise).toBe(Bun.hash(large) as unknown as number);
  socket.close();
});

here(
  "connections are counted once, at the door's port, and a stranger's silence ends them there",
  async () => {
    const target = opened({ maxPerAddress: 2 });
    const sockets = await Promise.all(Array.from({ length: 6 }, () => connectTls(target)));
    for (const socket of sockets) {
      socket.resume();
      cleanup.push(() => socket.destroy());
    }
    await until("four to go", () => target.limits.bounds.count("connections-per-address") >= 4);
    await until("two left", () => target.door.tlsFigures()?.connections === 2);
    expect(target.door.connections()).toEqual({ accounts: 0, strangers: 2 });
  },
);

here("an account's connection is known at the door's port, and stays", async () => {
  const target = opened({
    maxPerAddress: 2,
    http: [
      {
        paths: ["/account"],
        fetch: (_request, { caller }) => {
          caller.authenticated("one");
          return new Response("known");
        },
      },
    ],
  });
  const mine = await connectTls(target);
  cleanup.push(() => mine.destroy());
  let answered = "";
  mine.on("data", (piece: Buffer) => {
    answered += piece;
  });
  mine.write("GET /account HTTP/1.1\r\nhost: localhost\r\n\r\n");
  await until("the answer", () => answered.endsWith("known"));
  expect(target.door.connections()).toEqual({ accounts: 1, strangers: 0 });
});

here("a request to the listener inside by another way is refused", async () => {
  const target = opened();
  const socket = await connectTls(target);
  cleanup.push(() => socket.destroy());
  const shown = new Set([target.port, target.plainPort]);
  const inside = await until("the connection inside", () => {
    const all = kernelConnections()?.list() ?? [];
    return all.find(
      ({ localPort, remotePort }) =>
        !shown.has(localPort) &&
        !shown.has(remotePort) &&
        all.some((other) => other.localPort === remotePort && other.remotePort === localPort),
    );
  });
  const answers = await Promise.allSettled(
    [inside.localPort, inside.remotePort].map(async (port) => {
      const { status } = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5000) });
      return status;
    }),
  );
  expect(answers.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []))).toEqual([403]);
});

here("limits and the log have the client's address and not the door's", async () => {
  const target = opened();
  const socket = await rawSocket(target, "127.0.0.2");
  const [peer] = target.peers;
  const remote = { address: "127.0.0.2", port: socket.localPort, localPort: target.port };
  expect([peer?.remote, peer?.remoteAddress, peer?.address] as unknown[]).toEqual([
    remote,
    "127.0.0.2",
    "127.0.0.2",
  ]);
  const { text } = await ask(target, undefined, { options: { localAddress: "127.0.0.3" } as object });
  expect(JSON.parse(text).client).toBe("127.0.0.3");
});

withOpenssl.test("the door closes: what is in flight ends, and then everything", async () => {
  const { promise: hold, resolve: release } = Promise.withResolvers<void>();
  let isThere = false;
  const target = opened({
    http: [
      {
        paths: ["/slow"],
        fetch: async () => {
          isThere = true;
          await hold;
          return new Response("x".repeat(3_000_000));
        },
      },
    ],
  });
  const answer = ask(target, undefined, { path: "/slow" });
  await until("the request", () => isThere);
  const closing = target.door.close(10_000);
  await until("a closed door", async () => {
    const refused = await ask(target, undefined).catch(() => "refused");
    return refused === "refused";
  });
  release();
  expect((await answer).text.length).toBe(3_000_000);
  await closing;
  expect(target.door.tlsFigures()?.connections).toBe(0);
});

test.skipIf(!withOpenssl.met)("a door that closes waits for nobody longer than it may", async () => {
  const target = opened();
  // It answers no close.
  const socket = await connectTls(target, undefined, { allowHalfOpen: true } as object);
  cleanup.push(() => socket.destroy());
  await until("it is there", () => target.door.tlsFigures()?.handshakes === 0);
  const startedAt = performance.now();
  await target.door.close(50);
  expect(target.door.tlsFigures()?.connections).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(8_000);
});

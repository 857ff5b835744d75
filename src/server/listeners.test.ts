// One door with two listeners: each serves its own set of protocols and front page; certificate, limits and the stop are those of both.
import { afterEach, describe, expect, test } from "bun:test";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { io } from "socket.io-client";
import { testLimits } from "../../test/support/limits.ts";
import { claimOf, PATH, sharedSockets } from "../../test/support/shared-sockets.ts";
import { until } from "../../test/support/until.ts";
import { createLog } from "../observability/log.ts";
import { readCertificate } from "./certificate.ts";
import { type FrontDoor, type FrontDoorOptions, openFrontDoor } from "./front-door.ts";
import type { Served } from "./served.ts";

const TLS = join(import.meta.dir, "../../test/fixtures/tls");
const certificate = (name: "first" | "renewed") =>
  readCertificate({ cert: join(TLS, `${name}.crt`), key: join(TLS, `${name}.key`) });
const insecure = { tls: { rejectUnauthorized: false } };

const cleanup: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

/** A protocol that answers one path with its name, and a front page with the names of its listener. */
const protocol = (name: string): Served => ({
  name,
  http: [{ prefixes: [`/${name}`], fetch: () => new Response(name) }],
  sockets: [],
});
const frontPage = (text: string): Served => ({
  name: "the front page",
  http: [
    {
      prefixes: ["/"],
      fetch: async (_request, { served }) => new Response(`${text}: ${[...served].join(" ")}`),
    },
  ],
  sockets: [],
});

function opened(options: Partial<FrontDoorOptions> = {}): FrontDoor {
  const door = openFrontDoor({
    host: "127.0.0.1",
    listeners: [
      { port: 0, served: [protocol("a"), protocol("b"), frontPage("main")] },
      { port: 0, served: [protocol("b"), frontPage("second")] },
    ],
    trustedProxies: [],
    limits: testLimits(),
    log: createLog("silent"),
    ...options,
  });
  cleanup.push(() => door.close(500));
  return door;
}

const text = async (url: string) => (await fetch(url, insecure as RequestInit)).text();

describe.each([
  ["http", undefined],
  ["https", certificate("first")],
] as const)("over %s", (scheme, shown) => {
  test("each serves what it was given, with its own front page", async () => {
    const { ports, port } = opened({ certificate: shown });
    const [main, second] = ports.map((each) => `${scheme}://127.0.0.1:${each}`);
    expect([port, new Set(ports).size]).toEqual([ports[0] ?? 0, 2]);
    expect(await text(`${main}/a/x`)).toBe("a");
    expect(await text(`${second}/a/x`)).toBe("second: b the front page");
    expect([await text(`${main}/b`), await text(`${second}/b`)]).toEqual(["b", "b"]);
    expect(await text(`${main}/`)).toBe("main: a b the front page");
  });

  test("both stop: nothing new comes in, what is in flight ends, and the ports are free again", async () => {
    const { promise: hold, resolve: release } = Promise.withResolvers<void>();
    let arrived = 0;
    const fetch = async () => {
      arrived++;
      await hold;
      return new Response("done");
    };
    const slow: Served = { name: "slow", http: [{ prefixes: ["/"], fetch }], sockets: [] };
    const door = opened({
      certificate: shown,
      listeners: [0, 0].map((port) => ({ port, served: [slow] })) as never,
    });
    const urls = door.ports.map((port) => `${scheme}://127.0.0.1:${port}/`);
    const answers = urls.map((url) => text(url));
    await until("both to arrive", () => arrived === 2);
    const closing = door.close(5_000);
    for (const url of urls) expect(await text(url).catch(() => "refused")).toBe("refused");
    release();
    expect(await Promise.all(answers)).toEqual(["done", "done"]);
    await closing;
    const again = opened({
      listeners: door.ports.map((port) => ({ port, served: [protocol("a")] })) as never,
    });
    expect(again.ports).toEqual(door.ports);
  });
});

describe("the certificate", () => {
  /** Whose certificate a new connection is shown. */
  const shownAt = (port: number) =>
    new Promise<string>((resolve, reject) => {
      const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.once("error", reject);
    });

  test("is renewed at every port; a connection that is open stays, and is served until the stop", async () => {
    const { ports, renew, close } = opened({ certificate: certificate("first") });
    expect(await Promise.all(ports.map(shownAt))).toEqual(["first", "first"]);
    const kept = await Promise.all(ports.map((port) => keptAlive(port)));
    await renew(certificate("renewed"));
    expect(await Promise.all(ports.map(shownAt))).toEqual(["renewed", "renewed"]);
    for (const one of kept) expect(await one.ask()).toContain("HTTP/1.1 200");
    await close(200);
    await Promise.all(kept.map(({ ended }) => ended));
  });

  /** A TLS connection on which one request after another is asked. */
  async function keptAlive(port: number) {
    const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
    await new Promise<void>((resolve) => socket.once("secureConnect", () => resolve()));
    cleanup.push(() => void socket.destroy());
    const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    return {
      ended,
      ask: () =>
        new Promise<string>((resolve) => {
          socket.once("data", (data) => resolve(String(data)));
          socket.write("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
        }),
    };
  }
});

describe("limits hold for both together", () => {
  test.skipIf(process.platform !== "linux")("connections of one address, wherever they came in", async () => {
    const limits = testLimits();
    const { ports } = opened({ limits, connections: { maxPerAddress: () => 20, otherPorts: () => [] } });
    const open: Socket[] = [];
    for (let index = 0; index < 100; index++) {
      const socket = connectTcp({ port: ports[index % 2] ?? 0, host: "127.0.0.1" });
      socket.on("error", () => {});
      socket.once("close", () => open.splice(open.indexOf(socket), 1));
      open.push(socket);
    }
    cleanup.push(() => {
      for (const socket of [...open]) socket.destroy();
    });
    await until("all but 20 to be closed", () => open.length <= 20);
    expect(limits.bounds.count("connections-per-address")).toBeGreaterThanOrEqual(80);
  });

  test("sockets that are not let in yet, and what a socket may send", async () => {
    const sockets = await sharedSockets({
      claims: [claimOf("feeds", "/"), claimOf("shell", "/cli")],
      listeners: [["feeds"], ["shell"]],
    });
    cleanup.push(() => sockets.close());
    const silent = sockets.urls.map(
      (url) => new WebSocket(`${url.replace("http", "ws")}${PATH}?EIO=4&transport=websocket`),
    );
    await until("both to hold a place", () => sockets.limits.handshakes.size === 2);
    for (const one of silent) one.close();
    await until("both to leave", () => sockets.limits.handshakes.size === 0);
    for (const [index, [namespace, token]] of [
      ["/", "feeds"] as const,
      ["/cli", "shell"] as const,
    ].entries()) {
      const client = await sockets.connect(namespace, { auth: { token } }, sockets.urls[index]).connected();
      client.socket.emit("echo", "x".repeat(2 * 1024 * 1024));
      await new Promise((resolve) => client.socket.once("disconnect", resolve));
    }
  });

  test("clients of both see the transport close at the stop, so that they come back", async () => {
    const sockets = await sharedSockets({
      claims: [claimOf("feeds", "/"), claimOf("shell", "/cli")],
      listeners: [["feeds"], ["shell"]],
    });
    const clients = await Promise.all(
      [["/", "feeds"] as const, ["/cli", "shell"] as const].map(([namespace, token], index) =>
        sockets.connect(namespace, { auth: { token } }, sockets.urls[index]).connected(),
      ),
    );
    const reasons = clients.map(({ socket }) => new Promise((resolve) => socket.once("disconnect", resolve)));
    await sockets.door.close(1_000);
    expect(await Promise.all(reasons)).toEqual(["transport close", "transport close"]);
    for (const url of sockets.urls) {
      const late = io(url, { path: PATH, reconnection: false, forceNew: true });
      expect(await new Promise((resolve) => late.once("connect_error", () => resolve("refused")))).toBe(
        "refused",
      );
      late.close();
    }
  });
});

describe("a start that fails", () => {
  test("because one port is taken leaves none open", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };
    const free = opened();
    const [first = 0] = free.ports;
    await free.close(100);
    const open = (second: number) =>
      opened({
        listeners: [
          { port: first, served: [protocol("a")] },
          { port: second, served: [protocol("a")] },
        ],
      });
    expect(() => open(port)).toThrow();
    taken.close();
    // The first port was given back.
    expect(open(0).ports[0]).toBe(first);
  });

  test("because two want the same says which, before a port is opened", () => {
    const both = [{ ...protocol("a") }, { ...protocol("a"), name: "c" }];
    expect(() => opened({ listeners: [{ port: 0, served: both }] })).toThrow(
      "Both a and c claim the prefix /a.",
    );
    const socket = (name: string): Served => ({ name, http: [], sockets: [{ path: "/ws" } as never] });
    expect(() => opened({ listeners: [{ port: 0, served: [socket("a"), socket("b")] }] })).toThrow(
      "Both a and b want the sockets at /ws.",
    );
  });
});

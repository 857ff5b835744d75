// Who is let in, at which namespaces, from which pages, and what a connection may send before and after.
import { afterEach, describe, expect, test } from "bun:test";
import { frame, RawConnection } from "../../../test/faults/raw-connection.ts";
import {
  login,
  type OpenHapiOptions,
  type OpenHapiSockets,
  openHapiSockets,
  TOKEN,
} from "../../../test/support/hapi-sockets.ts";
import { claimOf } from "../../../test/support/shared-sockets.ts";
import { until } from "../../../test/support/until.ts";

/** Of the contract (hapi-socket 2). */
const CLI_FRAME_BYTES = 50_331_648;
const MIB = 1024 * 1024;
let opened: OpenHapiSockets;
afterEach(() => opened.close());
const open = async (options?: OpenHapiOptions) => {
  opened = await openHapiSockets(options);
  return opened;
};

const TOPICS: OpenHapiOptions = {
  beside: ["topics"],
  also: (paths) => {
    const claimed = paths.claim(
      "/socket.io/",
      claimOf("topics", "/", { cors: { origins: [], methods: ["GET"] } }),
    );
    claimed.admit(async (socket) => {
      if (socket.handshake.auth.token !== "topics") throw new Error("stub");
    });
  },
};

async function handshake(init?: RequestInit) {
  const answer = await fetch(`${opened.url}/socket.io/?EIO=4&transport=polling`, init);
  return { answer, text: await answer.text() };
}

describe("the path", () => {
  test.each([
    ["alone", undefined],
    ["with topics beside", TOPICS],
  ] as const)("announces what the original announces, %s", async (_name, options) => {
    await open(options);
    const { text } = await handshake();
    expect(text.charAt(0)).toBe("0");
    const { sid, ...rest } = JSON.parse(text.slice(1));
    expect(typeof sid).toBe("string");
    expect(rest).toEqual({
      upgrades: ["websocket"],
      pingInterval: 25_000,
      pingTimeout: 20_000,
      maxPayload: 50_331_648,
    });
  });

  test("the default namespace is joined by anybody and empty, and any other name is none", async () => {
    const { connect } = await open();
    const root = await connect("/", {}).connected();
    root.socket.emit("message", { sid: "s" });
    const cli = await opened.cli();
    await cli.settled();
    expect(root.heard).toEqual([]);
    expect(opened.hub.asked).toEqual([]);
    expect(await connect("/other", { token: TOKEN }).refused()).toBe("Invalid namespace");
  });

  test("the default namespace is topics' where they are on, and both are on one connection", async () => {
    const { connect } = await open(TOPICS);
    const shared = { forceNew: false };
    const topics = await connect("/", { token: "topics" }, shared).connected();
    const cli = await connect("/cli", { token: TOKEN }, shared).connected();
    expect(cli.socket.io).toBe(topics.socket.io);
    expect(await cli.ask("ping")).toEqual([]);
  });

  test.each([["polling"], ["websocket"]])("by %s both namespaces are reached", async (transport) => {
    const { connect } = await open();
    const options = { transports: [transport] };
    await connect("/cli", { token: TOKEN }, options).connected();
    await connect("/terminal", { token: login({ uid: 1, ns: "default" }) }, options).connected();
    expect(opened.sockets.counts()).toEqual({ cli: 1, terminal: 1 });
  });
});

describe("tokens", () => {
  test.each<[unknown]>([
    [{}],
    [{ token: "wrong" }],
    [{ token: 5 }],
    [{ token: null }],
    [{ token: [TOKEN] }],
    [{ token: `${TOKEN}:a:b` }],
    [{ token: login({ uid: 1, ns: "default" }) }],
  ])("/cli refuses %j as an invalid token", async (auth) => {
    const { connect } = await open();
    expect(await connect("/cli", auth as object).refused()).toBe("Invalid token");
  });

  test.each<[unknown, string]>([
    [{}, "Missing token"],
    [{ token: 5 }, "Missing token"],
    [{ token: "" }, "Missing token"],
    [{ token: TOKEN }, "Invalid token"],
    [{ token: login({ uid: "1", ns: "default" }) }, "Invalid token payload"],
    [{ token: login({ uid: 1 }) }, "Invalid token payload"],
  ])("/terminal refuses %j: %s", async (auth, message) => {
    const { connect } = await open();
    expect(await connect("/terminal", auth as object).refused()).toBe(message);
  });

  test("where too many were wrong none is looked at, and a right one comes back by itself until it is", async () => {
    const noted: string[][] = [];
    let waits: number | undefined;
    const guesses = {
      waitMs: () => waits,
      note: (address: string, token: string) => {
        noted.push([address, token]);
      },
    };
    const { connect } = await open({ guesses });
    expect(await connect("/cli", { token: "wrong" }).refused()).toBe("Invalid token");
    expect(noted).toEqual([["127.0.0.1", "wrong"]]);
    waits = 60_000;
    const cli = connect("/cli", { token: TOKEN }, { reconnection: true, reconnectionDelay: 10 });
    const refusals: string[] = [];
    cli.socket.on("connect_error", ({ message }) => refusals.push(message));
    await new Promise((resolve) => cli.socket.io.once("reconnect", resolve));
    expect(cli.socket.connected).toBe(false);
    waits = undefined;
    await cli.connected();
    expect([refusals, noted.length]).toEqual([[], 1]);
  });

  test("what cannot be looked up is no refusal: the connection ends, and its client comes back", async () => {
    const { connect, hub } = await open();
    hub.failing.add("absence");
    const cli = connect(
      "/cli",
      { token: TOKEN, sessionId: "s" },
      { reconnection: true, reconnectionDelay: 10 },
    );
    await until("a failed lookup", () =>
      opened.lines.some((line) => line.includes("could not be authenticated")),
    );
    hub.failing.clear();
    await cli.connected();
  });
});

describe("rooms", () => {
  test("are joined at the handshake, by sessions and machines of the namespace, and by nothing else", async () => {
    const { sockets, hub, cli } = await open();
    hub.addSession("own");
    hub.addSession("foreign", "other");
    hub.addMachine("m");
    await cli({ sessionId: "own", machineId: "m" });
    await cli({ sessionId: "foreign" });
    await cli({ sessionId: "later" });
    await cli({ sessionId: { toString: 1 }, machineId: ["m"] });
    hub.addSession("later");
    const connected = (session: string) => sockets.rooms.isConnected({ session });
    expect([connected("own"), connected("foreign"), connected("later")]).toEqual([true, false, false]);
    expect(sockets.rooms.isConnected({ machine: "m" })).toBe(true);
  });

  test("are left when the socket leaves the namespace, also where its connection stays open", async () => {
    const { sockets, hub, connect } = await open();
    hub.addSession("s");
    const shared = { forceNew: false };
    const cli = await connect("/cli", { token: TOKEN, sessionId: "s" }, shared).connected();
    const page = await connect("/terminal", { token: login({ uid: 1, ns: "default" }) }, shared).connected();
    cli.socket.disconnect();
    await until("the room to be empty", () => !sockets.rooms.isConnected({ session: "s" }));
    expect(await page.ask("nothing")).toEqual([]);
  });
});

describe("pages", () => {
  const status = async (origin: string, headers: Record<string, string> = {}) => {
    const { answer, text } = await handshake({ headers: { origin, ...headers } });
    return [answer.status, text.startsWith("0") ? "open" : JSON.parse(text)];
  };
  const refusal = [403, { code: 4, message: "Origin not allowed" }];

  test.each([
    ["alone", undefined],
    ["with topics beside", TOPICS],
  ] as const)("of a foreign origin are refused, %s", async (_name, options) => {
    await open({ ...options, origins: ["https://listed.example"] });
    expect(await status("http://evil.example")).toEqual(refusal);
    expect(await status("null")).toEqual(refusal);
    expect(await status("https://listed.example")).toEqual([200, "open"]);
    const { connect } = opened;
    const foreign = connect("/cli", { token: TOKEN }, { extraHeaders: { origin: "http://evil.example" } });
    expect(await foreign.refused()).toBe("websocket error");
  });

  test("of the address that they were loaded from are allowed, and of the public one, and of that port only", async () => {
    await open({ config: { publicUrl: "https://hub.example" } });
    expect(await status(opened.url)).toEqual([200, "open"]);
    expect(await status("https://hub.example")).toEqual([200, "open"]);
    expect(await status("http://127.0.0.1:1")).toEqual(refusal);
    expect(await status("https://lan.example", { host: "lan.example" })).toEqual([200, "open"]);
    // Nobody trusts this peer to speak for others.
    expect(await status("https://evil.example", { "x-forwarded-host": "evil.example" })).toEqual(refusal);
  });

  test("of the usual address are allowed where nobody gave another or a list, as by the original", async () => {
    const config = { port: 3005 };
    await open({ config, ownPort: 3006 });
    expect(await status("http://localhost:3006")).toEqual([200, "open"]);
    expect(await status("http://localhost:3005")).toEqual(refusal);
    expect(await status("https://localhost:3006")).toEqual(refusal);
    await opened.close();
    await open({ config, ownPort: 3006, origins: ["https://listed.example"] });
    expect(await status("http://localhost:3006")).toEqual(refusal);
    await opened.close();
    await open({ config: { ...config, publicUrl: "https://hub.example" }, ownPort: 3006 });
    expect(await status("http://localhost:3006")).toEqual(refusal);
  });

  test("where every origin is listed all are allowed", async () => {
    await open({ origins: ["*"] });
    expect(await status("http://evil.example")).toEqual([200, "open"]);
  });

  test("a preflight is answered as the original does", async () => {
    await open();
    const { answer } = await handshake({
      method: "OPTIONS",
      headers: { origin: opened.url, "access-control-request-headers": "x-a" },
    });
    expect(answer.status).toBe(204);
    const { headers } = answer;
    expect(headers.get("access-control-allow-origin")).toBe(opened.url);
    expect(headers.get("access-control-allow-methods")).toBe("GET,POST");
    expect(headers.get("access-control-allow-headers")).toBe("x-a");
    expect(headers.get("access-control-allow-credentials")).toBeNull();
    expect(
      (await handshake({ method: "OPTIONS", headers: { origin: "http://evil.example" } })).answer.status,
    ).toBe(204);
  });
});

describe("sizes", () => {
  test("a CLI that was let in sends frames of 48 MiB; one byte more ends its connection only", async () => {
    const { hub, cli } = await open();
    hub.addSession("s");
    const client = await cli({ sessionId: "s" });
    const other = await cli({ sessionId: "s" });
    const text = "x".repeat(CLI_FRAME_BYTES - 200);
    client.socket.emit("message", { sid: "s", message: text });
    await client.settled();
    expect(hub.of("message")).toEqual([
      ["default", { sid: "s", content: text, localId: undefined, createdAt: undefined }],
    ]);
    client.socket.emit("message", { sid: "s", message: "x".repeat(CLI_FRAME_BYTES) });
    await until("the connection to end", () => client.socket.disconnected);
    expect(await other.ask("ping")).toEqual([]);
  }, 60_000);

  test.each([
    ["nowhere", "/"],
    ["on /terminal", "/terminal"],
  ])("a connection that is %s may not send what /cli takes", async (_name, namespace) => {
    const { connect } = await open();
    const client = await connect(namespace, { token: login({ uid: 1, ns: "default" }) }).connected();
    client.socket.emit("terminal:write", { terminalId: "t", data: "x".repeat(5 * MIB) });
    await until("the connection to end", () => client.socket.disconnected);
  });

  test.each([
    ["that has named no namespace", [], true],
    ["in the open namespace", ["40"], true],
    ["whose token was refused", ['40/cli,{"token":"wrong"}'], true],
    ["of a CLI that was let in", [`40/cli,{"token":"${TOKEN}"}`], false],
    ["of a CLI that has left", [`40/cli,{"token":"${TOKEN}"}`, "41/cli,"], true],
  ])(
    "of a frame of 40 MiB that is not whole yet little is taken from a socket %s",
    async (_name, packets, isStranger) => {
      const { port, limits } = await open();
      const socket = await RawConnection.webSocket(port, "/socket.io/?EIO=4&transport=websocket");
      for (const packet of packets) {
        socket.write(frame(packet));
        if (packet.startsWith("40"))
          await socket.until(
            (received) => received.includes(packet.includes("cli") ? "/cli," : "40{"),
            5_000,
          );
      }
      // The first look at a stranger takes what has arrived as it is.
      await Bun.sleep(60);
      socket.write(frame("", { claims: BigInt(40 * MIB) }));
      const chunk = Buffer.alloc(64 * 1024, "x");
      for (let sent = 0; sent < 4 * MIB && !socket.closed; sent += chunk.byteLength)
        await socket.writeAll(chunk);
      if (isStranger) {
        await until("the socket to be ended", () => socket.closed);
        expect(limits.bounds.count("anonymous-bytes")).toBe(1);
      } else {
        await Bun.sleep(200);
        expect([socket.closed, limits.bounds.count("anonymous-bytes")]).toEqual([false, 0]);
      }
      socket.destroy();
    },
  );

  test("a token that is larger than any is refused before it is read", async () => {
    const { connect, limits } = await open();
    const client = connect("/cli", { token: "x".repeat(200 * 1024) });
    await until("the refusal", () => limits.bounds.count("anonymous-bytes") > 0);
    expect(client.socket.connected).toBe(false);
  });

  test("a namespace holds so many sockets, all of them four times as many, and one that goes makes room", async () => {
    const { connect, limits } = await open({ config: { maxAccountSockets: 2 } });
    const full = "Too many connections are open already";
    const cli = (namespace: string) => connect("/cli", { token: `${TOKEN}:${namespace}` });
    const first = await cli("a").connected();
    await cli("a").connected();
    expect(await cli("a").refused()).toBe(full);
    for (const name of ["b", "c", "d"]) {
      await cli(name).connected();
      await cli(name).connected();
    }
    expect(await cli("e").refused()).toBe(full);
    expect(limits.bounds.count("account-sockets")).toBe(2);
    first.socket.disconnect();
    await until(
      "a seat",
      async () =>
        (await cli("e")
          .connected()
          .catch(() => undefined)) !== undefined,
    );
  });
});

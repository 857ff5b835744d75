// Two protocols on one Socket.IO path, with real clients: each has its own proof, limits, web pages and bus, and neither is disturbed by
// what happens to the other, also where one connection carries both.
import { afterEach, describe, expect, test } from "bun:test";
import { NO_COUNTERS } from "../../test/support/hub-node.ts";
import { testLimits } from "../../test/support/limits.ts";
import {
  type Client,
  claimOf,
  PATH,
  type SharedSockets,
  sharedSockets,
} from "../../test/support/shared-sockets.ts";
import { until } from "../../test/support/until.ts";
import { MemoryExchange } from "../bus/memory.ts";
import { createLog } from "../observability/log.ts";
import type { NamespaceClaim } from "./socket-claims.ts";
import { SocketIoPaths } from "./socket-io.ts";

const MIB = 1024 * 1024;
const cleanup: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

/** "feeds" has `/`, small; "shell" has `/cli`, large, and `/terminal`. */
const FEEDS = (changes: Partial<NamespaceClaim> = {}) => claimOf("feeds", "/", changes);
const LARGE = { maxMessageBytes: 48 * MIB, maxQueuedBytes: 64 * MIB, maxPollingBytes: 4 * MIB };
const CLI = (changes: Partial<NamespaceClaim> = {}) =>
  claimOf("shell", "/cli", { limits: LARGE, ...changes });

async function served(...args: Parameters<typeof sharedSockets>): Promise<SharedSockets> {
  const sockets = await sharedSockets(...args);
  cleanup.push(() => sockets.close());
  return sockets;
}

const closed = (client: Client) =>
  new Promise<string>((resolve) => {
    if (!client.socket.connected) resolve("before");
    client.socket.once("disconnect", (reason) => resolve(reason));
  });

/** The first packet of a connection. */
async function handshake(url: string, init?: RequestInit) {
  const answer = await fetch(`${url}${PATH}?EIO=4&transport=polling`, init);
  const text = await answer.text();
  return { answer, text, open: JSON.parse(text.slice(1)) };
}

const transports = [["websocket"], ["polling"], ["polling", "websocket"]];

describe.each(transports.map((each) => [each.join(" then "), each] as const))(
  "by %s",
  (_name, transports) => {
    test("one connection carries both, each with its own proof and its own events", async () => {
      const { connect, claimed } = await served({ claims: [FEEDS(), CLI()] });
      const feeds = await connect("/", { transports, auth: { token: "feeds" } }).connected();
      const cli = await connect("/cli", { transports, auth: { token: "shell" } }).connected();
      expect(cli.socket.io).toBe(feeds.socket.io);
      expect(await Promise.all([feeds.ask("echo", "abc"), cli.ask("echo", "abcd")])).toEqual([3, 4]);
      claimed[0]?.namespace.to("r").emit("news", 1);
      claimed[1]?.namespace.to("r").emit("output", 2);
      await until("both to hear", () => feeds.heard.length > 0 && cli.heard.length > 0);
      expect([feeds.heard, cli.heard]).toEqual([[["news", 1]], [["output", 2]]]);
    });

    test("one is refused, and the other goes on; it may ask again on the same connection", async () => {
      const { connect } = await served({ claims: [FEEDS(), CLI()] });
      const cli = await connect("/cli", { transports, auth: { token: "shell" } }).connected();
      const feeds = connect("/", { transports, auth: { token: "shell" } });
      expect((await feeds.refused()).message).toBe("not feeds's");
      expect(await cli.ask("echo", "ab")).toBe(2);
      feeds.socket.auth = { token: "feeds" };
      feeds.socket.connect();
      await feeds.connected();
      expect(feeds.socket.io).toBe(cli.socket.io);
      expect(await feeds.ask("echo", "a")).toBe(1);
      // The first one leaves; the other one stays.
      cli.socket.disconnect();
      expect(await feeds.ask("echo", "abc")).toBe(3);
    });
  },
);

describe("limits", () => {
  test("the handshake speaks for all claims: most frequent pings, most patient answer, smallest body", async () => {
    const engine = { pingIntervalMs: 15_000, pingTimeoutMs: 45_000, connectTimeoutMs: 20_000 };
    const both = await served({ claims: [FEEDS(), CLI({ engine })] });
    expect((await handshake(both.url)).open).toMatchObject({
      pingInterval: 15_000,
      pingTimeout: 45_000,
      maxPayload: 1_000_000,
    });
    const alone = await served({ claims: [CLI()] });
    expect((await handshake(alone.url)).open).toMatchObject({
      pingInterval: 25_000,
      pingTimeout: 20_000,
      maxPayload: 4 * MIB,
    });
  });

  test("who wishes it has the handshake announce a larger body; what each namespace takes stays its own", async () => {
    const engine = { pingIntervalMs: 25_000, pingTimeoutMs: 20_000, connectTimeoutMs: 10_000 };
    const wishes = { ...engine, maxPayloadBytes: 48 * MIB };
    const { url } = await served({ claims: [FEEDS(), CLI({ engine: wishes })] });
    const { open } = await handshake(url);
    expect(open.maxPayload).toBe(48 * MIB);
    const post = (body: string) =>
      fetch(`${url}${PATH}?EIO=4&transport=polling&sid=${open.sid}`, { method: "POST", body });
    expect((await post('40{"token":"feeds"}')).status).toBe(200);
    expect(await (await fetch(`${url}${PATH}?EIO=4&transport=polling&sid=${open.sid}`)).text()).toStartWith(
      "40",
    );
    expect((await post(`42["echo","${"x".repeat(1_000_000)}"]`)).status).toBe(413);
  });

  test("a WebSocket takes large messages as soon as its namespace let it in, and no sooner", async () => {
    const { connect, limits } = await served({ claims: [FEEDS(), CLI()] });
    const cli = await connect("/cli", { auth: { token: "shell" } }).connected();
    expect(await cli.ask("echo", "x".repeat(20 * MIB))).toBe(20 * MIB);
    // The same connection, with a stranger's packet to the other namespace.
    const feeds = connect("/", { auth: { token: "x".repeat(200 * 1024) } });
    expect(await closed(cli)).toBe("transport close");
    expect(limits.bounds.count("anonymous-bytes")).toBe(1);
    feeds.socket.close();
  });

  test("what a namespace takes is its own limit, however much the connection may send", async () => {
    const { connect } = await served({ claims: [FEEDS(), CLI()] });
    const cli = await connect("/cli", { auth: { token: "shell" } }).connected();
    const feeds = await connect("/", { auth: { token: "feeds" } }).connected();
    expect(await feeds.ask("echo", "x".repeat(MIB - 100))).toBe(MIB - 100);
    expect(await cli.ask("echo", "x".repeat(2 * MIB))).toBe(2 * MIB);
    feeds.socket.emit("echo", "x".repeat(2 * MIB));
    expect(await closed(feeds)).toBe("transport close");
  });

  test("of a connection that left the large namespace the small one's limits hold again", async () => {
    const { connect } = await served({ claims: [FEEDS(), CLI()] });
    const feeds = await connect("/", { auth: { token: "feeds" } }).connected();
    const cli = await connect("/cli", { auth: { token: "shell" } }).connected();
    expect(await cli.ask("echo", "x".repeat(2 * MIB))).toBe(2 * MIB);
    cli.socket.disconnect();
    expect(await feeds.ask("echo", "abc")).toBe(3);
    feeds.socket.emit("echo", "x".repeat(2 * MIB));
    expect(await closed(feeds)).toBe("transport close");
  });

  test("a polling body is a stranger's until its namespace lets it in, then the namespace's", async () => {
    const { url } = await served({ claims: [FEEDS(), CLI()] });
    const post = async (sid: string, body: string) =>
      (await fetch(`${url}${PATH}?EIO=4&transport=polling&sid=${sid}`, { method: "POST", body })).status;
    const poll = async (sid: string) =>
      (await fetch(`${url}${PATH}?EIO=4&transport=polling&sid=${sid}`)).text();
    const inside = async (connect: string) => {
      const { sid } = (await handshake(url)).open;
      expect(await post(sid, connect)).toBe(200);
      expect(await poll(sid)).toContain('{"sid"');
      return sid;
    };
    const stranger = (await handshake(url)).open.sid;
    expect(await post(stranger, `40/cli,{"token":"${"x".repeat(20_000)}"}`)).toBe(413);
    const large = `42["echo","${"x".repeat(2 * MIB)}"]`;
    expect(await post(await inside('40{"token":"feeds"}'), large)).toBe(413);
    expect(await post(await inside('40/cli,{"token":"shell"}'), large.replace("42", "42/cli,"))).toBe(200);
    const tooLarge = `42/cli,["echo","${"x".repeat(5 * MIB)}"]`;
    expect(await post(await inside('40/cli,{"token":"shell"}'), tooLarge)).toBe(413);
  });
});

describe("web pages", () => {
  const FOREIGN = { message: "unauthorized", data: { code: 1 } };
  const claims = [
    FEEDS({ cors: { origins: ["https://a.example"], methods: ["GET"] }, foreignOrigin: FOREIGN }),
    CLI({ cors: { origins: (origin) => origin === "https://b.example", methods: ["GET", "POST"] } }),
  ];
  const from = (origin: string) => ({ extraHeaders: { origin } });

  test.each([["websocket"], ["polling"]])(
    "of an origin that only one allows are refused by the other: %s",
    async (transport) => {
      const { connect } = await served({ claims });
      const transports = [transport];
      const options = { transports, ...from("https://b.example") };
      const cli = await connect("/cli", { ...options, auth: { token: "shell" } }).connected();
      const refused = await connect("/", { ...options, auth: { token: "feeds" } }).refused();
      expect([refused.message, refused.data]).toEqual([FOREIGN.message, FOREIGN.data]);
      expect(await cli.ask("echo", "abc")).toBe(3);
      const other = { transports, ...from("https://a.example"), forceNew: true };
      await connect("/", { ...other, auth: { token: "feeds" } }).connected();
      const second = await connect("/cli", { ...other, auth: { token: "shell" } }).refused();
      expect(second.message).toBe("Origin not allowed");
    },
  );

  test("a program, which has no origin, may use both", async () => {
    const { connect } = await served({ claims });
    await connect("/", { auth: { token: "feeds" } }).connected();
    await connect("/cli", { auth: { token: "shell" } }).connected();
  });

  test("the engine's headers permit what any claim permits", async () => {
    const { url } = await served({ claims });
    const allowed = async (origin: string) =>
      (await handshake(url, { headers: { origin } })).answer.headers.get("access-control-allow-origin");
    expect(
      await Promise.all(["https://a.example", "https://b.example", "https://c.example"].map(allowed)),
    ).toEqual(["https://a.example", "https://b.example", "false"]);
    const preflight = await fetch(`${url}${PATH}`, {
      method: "OPTIONS",
      headers: { origin: "https://a.example" },
    });
    expect([preflight.status, preflight.headers.get("access-control-allow-methods")]).toEqual([
      204,
      "GET,POST",
    ]);
  });

  test("a claim that is alone on its path leaves foreign pages to their browser", async () => {
    for (const changes of [{}, { refuses: async () => undefined }]) {
      const { connect } = await served({ claims: claims.slice(0, 1).map((one) => ({ ...one, ...changes })) });
      await connect("/", { ...from("https://c.example"), auth: { token: "feeds" } }).connected();
    }
  });
});

describe("the request itself", () => {
  const looking = (header: string): Pick<NamespaceClaim, "refuses"> => ({
    refuses: async (request) =>
      request.headers.get("x-pass") === header || request.headers.get("x-pass") === "both"
        ? undefined
        : {
            answer: new Response(`no ${header}`, { status: 403 }),
            refusal: { message: `no ${header} then` },
          },
  });
  const claims = [FEEDS(looking("feeds")), CLI(looking("shell"))];
  const pass = (value: string) => ({ extraHeaders: { "x-pass": value }, forceNew: true });

  test("is refused where nobody wants it, with the first claim's answer", async () => {
    const { url } = await served({ claims });
    const answer = await fetch(`${url}${PATH}?EIO=4&transport=polling`);
    expect([answer.status, await answer.text()]).toEqual([403, "no feeds"]);
  });

  test("of a page that one refuses and the other has no place for is refused as well", async () => {
    const refuses = async () => ({
      answer: Response.json({ code: 4 }, { status: 403 }),
      refusal: { message: "not here" },
    });
    const { url } = await served({
      claims: [FEEDS({ cors: { origins: ["https://a.example"], methods: ["GET"] } }), CLI({ refuses })],
    });
    const status = async (origin: string) =>
      await handshake(url, { headers: { origin } }).catch(() => undefined);
    expect(
      (await fetch(`${url}${PATH}?EIO=4&transport=polling`, { headers: { origin: "https://b.example" } }))
        .status,
    ).toBe(403);
    expect((await status("https://a.example"))?.answer.status).toBe(200);
  });

  test("that speaks to one alone has its answer, whoever else wants it", async () => {
    const { url } = await served({
      claims: [
        CLI(),
        FEEDS({
          refuses: async (request) => ({
            answer: new Response("expired", { status: 401 }),
            refusal: { message: "later" },
            isOurs: request.url.includes("token="),
          }),
        }),
      ],
    });
    const ask = async (query: string) =>
      (await fetch(`${url}${PATH}?EIO=4&transport=polling${query}`)).status;
    expect([await ask("&token=old"), await ask("")]).toEqual([401, 200]);
  });

  test("that only one wants opens a connection on which the other refuses", async () => {
    const { connect } = await served({ claims });
    const options = { ...pass("shell"), forceNew: false };
    const cli = await connect("/cli", { ...options, auth: { token: "shell" } }).connected();
    expect((await connect("/", { ...options, auth: { token: "feeds" } }).refused()).message).toBe(
      "no feeds then",
    );
    expect(await cli.ask("echo", "abc")).toBe(3);
    await connect("/", { ...pass("both"), auth: { token: "feeds" } }).connected();
  });

  test("of an open connection is the business of those that are on it", async () => {
    const { url } = await served({ claims });
    const { sid } = (await handshake(url, { headers: { "x-pass": "both" } })).open;
    const at = `${url}${PATH}?EIO=4&transport=polling&sid=${sid}`;
    const post = (body: string, pass: string) =>
      fetch(at, { method: "POST", body, headers: { "x-pass": pass } }).then(({ status }) => status);
    expect(await post('40/cli,{"token":"shell"}', "none")).toBe(200);
    expect((await fetch(at, { headers: { "x-pass": "shell" } })).status).toBe(200);
    expect(await post('42/cli,["echo",1]', "none")).toBe(403);
    expect(await post('42/cli,["echo",1]', "shell")).toBe(200);
  });
});

describe("namespaces that nobody claims", () => {
  test.each(["/nothing", "/"])("%s is refused, in Socket.IO's own words", async (name) => {
    const { connect } = await served({ claims: [CLI()] });
    const cli = await connect("/cli", { auth: { token: "shell" } }).connected();
    expect((await connect(name).refused()).message).toBe("Invalid namespace");
    expect(await cli.ask("echo", "abc")).toBe(3);
  });

  test("an open one is joined without proof, and raises nothing; it yields to a claim", async () => {
    const open = (paths: SocketIoPaths) =>
      void paths.claimOpen(PATH, { protocol: "shell", namespace: "/", yields: true });
    const alone = await served({ claims: [CLI()], also: open });
    const joined = await alone.connect("/").connected();
    // It keeps its place only as long as no newcomer needs it, whose client has proved no more.
    expect(alone.limits.handshakes.size).toBe(1);
    joined.socket.emit("anything", "x".repeat(200 * 1024));
    expect(await closed(joined)).toBe("transport close");
    const listeners = [["feeds", "shell"], ["shell"]];
    const both = await served({ claims: [FEEDS(), CLI()], also: open, listeners });
    expect((await both.connect("/").refused()).message).toBe("not feeds's");
    const elsewhere = both.connect("/", { auth: { token: "feeds" } }, both.urls[1]);
    expect((await elsewhere.refused()).message).toBe("Invalid namespace");
  });

  test("at a listener that does not serve its protocol a namespace is none", async () => {
    const { connect, urls } = await served({
      claims: [FEEDS(), CLI()],
      listeners: [["feeds", "shell"], ["shell"], ["feeds"], ["others"]],
    });
    const options = { forceNew: true };
    for (const [index, allowed] of [
      [0, ["/", "/cli"]],
      [1, ["/cli"]],
      [2, ["/"]],
    ] as const) {
      for (const [name, token] of [
        ["/", "feeds"],
        ["/cli", "shell"],
      ] as const) {
        const client = connect(name, { ...options, auth: { token } }, urls[index]);
        if ((allowed as readonly string[]).includes(name)) await client.connected();
        else expect((await client.refused()).message).toBe("Invalid namespace");
      }
    }
    expect((await fetch(`${urls[3]}${PATH}?EIO=4&transport=polling`)).status).toBe(404);
    // What is announced there is that of the path; what a stranger may send is that of its claims.
    expect((await handshake(urls[1] ?? "")).open.maxPayload).toBe(1_000_000);
  });
});

describe("what goes wrong in one protocol", () => {
  test("a proof that fails unexpectedly looks like no refusal, and leaves the other alone", async () => {
    const { connect, claimed, lines } = await served({ claims: [FEEDS(), CLI()] });
    claimed[0]?.admit(() => {
      throw new Error("out of order");
    });
    const alone = connect("/", { auth: { token: "feeds" }, forceNew: true });
    const ended = new Promise((resolve) => alone.socket.io.once("close", resolve));
    expect(await ended).toBe("transport close");
    const cli = await connect("/cli", { auth: { token: "shell" } }).connected();
    const beside = await connect("/", { auth: { token: "feeds" } }).refused();
    expect(beside.message).toBe("Try again in a moment");
    expect(await cli.ask("echo", "abc")).toBe(3);
    expect(lines.filter((line) => line.includes("could not be authenticated"))).toHaveLength(2);
  });

  test("a welcome that fails ends its socket, and leaves the other alone", async () => {
    const { connect, claimed, lines } = await served({ claims: [FEEDS(), CLI()] });
    claimed[0]?.welcome(() => {
      throw new Error("out of order");
    });
    const cli = await connect("/cli", { auth: { token: "shell" } }).connected();
    const feeds = connect("/", { auth: { token: "feeds" } });
    const ended = new Promise((resolve) => feeds.socket.once("disconnect", resolve));
    expect(await ended).toBe("io server disconnect");
    expect(await cli.ask("echo", "abc")).toBe(3);
    expect(lines.some((line) => line.includes("could not be welcomed"))).toBe(true);
  });

  test("whom one sends away stays in the other; alone, its connection ends, so that it comes back", async () => {
    const { connect, claimed } = await served({ claims: [FEEDS(), CLI()] });
    const feeds = await connect("/", { auth: { token: "feeds" } }).connected();
    const cli = await connect("/cli", { auth: { token: "shell" } }).connected();
    const end = () => {
      for (const socket of claimed[0]?.namespace.sockets.values() ?? []) claimed[0]?.end(socket);
    };
    end();
    expect(await closed(feeds)).toBe("io server disconnect");
    expect(await cli.ask("echo", "abc")).toBe(3);
    // It may come again on the same connection.
    feeds.socket.connect();
    await feeds.connected();
    expect([await feeds.ask("echo", "ab"), await cli.ask("echo", "abc")]).toEqual([2, 3]);
    for (const client of [feeds, cli]) client.socket.disconnect();
    const alone = await connect("/", { auth: { token: "feeds" }, forceNew: true }).connected();
    end();
    expect(await closed(alone)).toBe("transport close");
  });

  test("a connection that nobody has let in any more has to prove itself again or go", async () => {
    const engine = { pingIntervalMs: 25_000, pingTimeoutMs: 20_000, connectTimeoutMs: 200 };
    const { connect, limits } = await served({ claims: [FEEDS({ engine }), CLI()] });
    const cli = await connect("/cli", { auth: { token: "shell" } }).connected();
    const feeds = await connect("/", { auth: { token: "feeds" } }).connected();
    expect(limits.handshakes.size).toBe(0);
    feeds.socket.disconnect();
    await Bun.sleep(400);
    expect(await cli.ask("echo", "abc")).toBe(3);
    expect(limits.handshakes.size).toBe(0);
    // Not through the client, which would close the transport itself.
    cli.socket.io.engine.write("1/cli,");
    await until("it to hold a place again", () => limits.handshakes.size === 1);
    cli.socket.io.engine.write('0/cli,{"token":"shell"}');
    await until("it to be let in again", () => limits.handshakes.size === 0);
    expect(await cli.ask("echo", "x".repeat(2 * MIB))).toBe(2 * MIB);
    cli.socket.io.engine.write("1/cli,");
    await until("it to hold a place once more", () => limits.handshakes.size === 1);
    await until("it to be sent away", () => limits.handshakes.size === 0);
  });

  test("a protocol that fails while the door closes keeps neither the door nor the other's clients", async () => {
    let told = 0;
    const failing = FEEDS({
      closing: () => {
        throw new Error("out of order");
      },
    });
    const { connect, door, lines } = await sharedSockets({
      claims: [failing, CLI({ closing: () => told++ })],
    });
    const cli = await connect("/cli", { auth: { token: "shell" } }).connected();
    const ended = closed(cli);
    await door.close(1_000);
    expect([await ended, told]).toEqual(["transport close", 1]);
    expect(lines.some((line) => line.includes("while its sockets were being closed"))).toBe(true);
  });
});

test("broadcasts cross to the same namespace of the other node, each on a line of its own", async () => {
  const exchange = new MemoryExchange();
  const node = async () => {
    const bus = exchange.join(createLog("silent"));
    const published: string[] = [];
    const { publish } = bus;
    bus.publish = (topic, ...rest) => {
      published.push(topic);
      return publish.call(bus, topic, ...rest);
    };
    const cluster = { bus, counters: NO_COUNTERS, timeoutMs: 2_000 };
    const sockets = await served({
      claims: [FEEDS({ cluster }), CLI({ cluster }), claimOf("shell", "/terminal")],
    });
    cleanup.push(() => bus.close());
    return { ...sockets, published };
  };
  const [one, two] = [await node(), await node()];
  const feeds = await two.connect("/", { auth: { token: "feeds" } }).connected();
  const cli = await two.connect("/cli", { auth: { token: "shell" } }).connected();
  const terminal = await two.connect("/terminal", { auth: { token: "shell" } }).connected();
  for (const [index, { namespace }] of one.claimed.entries()) namespace.to("r").emit("news", index);
  await until("both to hear", () => feeds.heard.length > 0 && cli.heard.length > 0);
  // This one has no bus.
  two.claimed[2]?.namespace.emit("end");
  await until("the end", () => terminal.heard.length > 0);
  expect([feeds.heard, cli.heard, terminal.heard]).toEqual([[["news", 0]], [["news", 1]], [["end"]]]);
  expect([...new Set(one.published)].sort()).toEqual(["topic//socket.io/", "topic//socket.io//cli"]);
  expect(await one.claimed[1]?.namespace.in("r").fetchSockets()).toHaveLength(1);
});

describe("claims that collide", () => {
  const at = () => new SocketIoPaths({ limits: testLimits(), log: createLog("silent") });

  test("the same namespace of one path, whoever comes first; on another path it is free", () => {
    const paths = at();
    paths.claim(PATH, FEEDS());
    paths.claim("/other/", CLI());
    expect(() => paths.claim(PATH, claimOf("shell", "/"))).toThrow(
      "Both feeds and shell claim the namespace / at /socket.io/.",
    );
    expect(() => paths.claimOpen(PATH, { protocol: "shell", namespace: "/" })).toThrow(
      "Both feeds and shell claim the namespace / at /socket.io/.",
    );
    paths.claimOpen(PATH, { protocol: "shell", namespace: "/", yields: true });
    paths.claimOpen(PATH, { protocol: "shell", namespace: "/open" });
    expect(() => paths.claim(PATH, claimOf("feeds", "/open"))).toThrow(
      "Both shell and feeds claim the namespace /open at /socket.io/.",
    );
  });

  test("another name of a namespace that is one itself, and two that have other names", () => {
    const paths = at();
    paths.claim(PATH, FEEDS({ otherNames: (name) => name.startsWith("/i/") }));
    for (const claim of [CLI({ namespace: "/i/cli" }), CLI({ otherNames: () => false })])
      expect(() => paths.claim(PATH, claim)).toThrow("Both feeds and shell claim further names");
  });

  test("a path where nobody asks who comes, and a claim after the door was opened", () => {
    const paths = at();
    paths.claimOpen(PATH, { protocol: "shell", namespace: "/" });
    expect(() => paths.open()).toThrow("shell: no namespace at /socket.io/ asks who its clients are.");
    const late = at();
    late.claim(PATH, FEEDS());
    late.open();
    expect(() => late.claim(PATH, CLI())).toThrow(
      "shell claims the namespace /cli at /socket.io/ after the door was opened.",
    );
  });
});

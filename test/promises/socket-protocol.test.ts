// The wire of /v1/updates/: paths, handshakes, errors, CORS, and who is refused with which words (realtime contract 1 and 2).
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { serverKeys } from "../../src/happy/auth/server-keys.ts";
import { frame, RawConnection } from "../faults/raw-connection.ts";
import { type Account, accountWith, listen, newAccount } from "../support/happy-client.ts";
import { TEST_SECRET, type TestServer, testServer } from "../support/server.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

const BOUND_MS = 4_000;
const POLLING = "/v1/updates/?EIO=4&transport=polling";

let server: TestServer;
let port: number;
let account: Account;
beforeAll(async () => {
  server = await testServer();
  port = Number(new URL(server.url).port);
  account = await newAccount(server.url);
});
afterAll(() => server.stop());

async function ask(path: string, init: RequestInit = {}) {
  const response = await fetch(`${server.url}${path}`, init);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const HANDSHAKE = { pingInterval: 15_000, pingTimeout: 45_000, maxPayload: 1_000_000 };

describe("paths and handshakes", () => {
  test("polling: the handshake is one open packet, not to be kept by any cache", async () => {
    const { status, headers, text } = await ask(POLLING);
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("text/plain; charset=UTF-8");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(text[0]).toBe("0");
    expect(JSON.parse(text.slice(1))).toEqual({
      sid: expect.stringMatching(/^[\w-]{20}$/),
      upgrades: ["websocket"],
      ...HANDSHAKE,
    });
  });

  test("WebSocket: the first frame is the same without upgrades; the answer to CONNECT carries a sid and nothing else", async () => {
    const connection = await RawConnection.webSocket(port);
    await connection.until((received) => received.includes("}"), BOUND_MS);
    const open = /0(\{[^}]*\})/.exec(connection.received)?.[1] ?? "";
    expect(JSON.parse(open)).toEqual({ sid: expect.any(String), upgrades: [], ...HANDSHAKE });
    connection.write(frame(`40{"token":"${account.token}"}`));
    await connection.until((received) => /40\{[^}]*\}/.test(received), BOUND_MS);
    const accepted = /40(\{[^}]*\})/.exec(connection.received)?.[1] ?? "";
    expect(JSON.parse(accepted)).toEqual({ sid: expect.stringMatching(/^[\w-]{20}$/) });
    connection.destroy();
  });

  test("without the slash at its end the path belongs to HTTP", async () => {
    const path = "/v1/updates?EIO=4&transport=polling";
    const { status, text } = await ask(path);
    expect([status, JSON.parse(text)]).toEqual([404, { error: "Not found", path, method: "GET" }]);
  });

  test("a whole conversation over polling, then upgraded to WebSocket", async () => {
    const opened = await account.call("POST", "/v1/sessions", { tag: "polling", metadata: "m" });
    const sid = opened.body.session.id;
    const transports = ["polling", "websocket"];
    const auth = { token: account.token, clientType: "session-scoped", sessionId: sid };
    const slow = await listen(server.url, auth, { transports: ["polling"] });
    expect(slow.socket.io.engine.transport.name).toBe("polling");
    const upgrading = await listen(server.url, auth, { transports });
    if (upgrading.socket.io.engine.transport.name === "polling")
      await new Promise((resolve) => upgrading.socket.io.engine.once("upgrade", resolve));
    slow.socket.emit("message", { sid, message: "over polling", localId: "p" });
    upgrading.socket.emit("message", { sid, message: "over both", localId: "b" });
    expect((await upgrading.untilUpdate("new-message")).body.message.content.c).toBe("over polling");
    expect((await slow.untilUpdate("new-message")).body.message.content.c).toBe("over both");
    expect(await slow.ask("ping")).toEqual({});
    slow.close();
    upgrading.close();
  });
});

describe("errors of the engine", () => {
  for (const [what, path, init, code, message] of [
    ["an unknown transport", "/v1/updates/?EIO=4&transport=carrier-pigeon", {}, 0, "Transport unknown"],
    ["no transport at all", "/v1/updates/", {}, 0, "Transport unknown"],
    ["an unknown sid", `${POLLING}&sid=unknown`, {}, 1, "Session ID unknown"],
    [
      "an unknown sid in a POST",
      `${POLLING}&sid=unknown`,
      { method: "POST", body: "2" },
      1,
      "Session ID unknown",
    ],
    ["a handshake with POST", POLLING, { method: "POST", body: "" }, 2, "Bad handshake method"],
    ["a handshake with PUT", POLLING, { method: "PUT", body: "" }, 2, "Bad handshake method"],
    ["a WebSocket without upgrade", "/v1/updates/?EIO=4&transport=websocket", {}, 3, "Bad request"],
    ["protocol version 3", "/v1/updates/?EIO=3&transport=polling", {}, 5, "Unsupported protocol version"],
    ["no protocol version", "/v1/updates/?transport=polling", {}, 5, "Unsupported protocol version"],
  ] as const) {
    test(`${what} is 400 with code ${code}, readable from every page`, async () => {
      const { status, headers, text } = await ask(path, init);
      expect([status, JSON.parse(text)]).toEqual([400, { code, message }]);
      expect(headers.get("content-type")).toStartWith("application/json");
      expect(headers.get("access-control-allow-origin")).toBe("*");
      expect(headers.get("access-control-allow-credentials")).toBe("true");
    });
  }

  for (const [what, bytes] of [
    ["a frame that is no Engine.IO packet", "hello"],
    ["an event before CONNECT", '42["ping"]'],
    ["a packet that is no Socket.IO packet", "49"],
  ] as const) {
    test(`${what} ends the connection at once`, async () => {
      const connection = await RawConnection.webSocket(port);
      connection.write(frame(bytes));
      expect(
        await connection.until((received) => connection.closed || received.includes("\x88"), BOUND_MS),
      ).toBe(true);
      connection.destroy();
    });
  }
});

describe("CORS", () => {
  test("preflight", async () => {
    const headers = { origin: "https://app.example", "access-control-request-method": "POST" };
    const answer = await ask(POLLING, { method: "OPTIONS", headers });
    expect([answer.status, answer.text]).toEqual([204, ""]);
    const told = ["allow-origin", "allow-credentials", "allow-methods", "allow-headers"];
    expect(told.map((name) => answer.headers.get(`access-control-${name}`))).toEqual([
      "*",
      "true",
      "GET,POST,OPTIONS",
      "*",
    ]);
  });

  test("every answer of the engine may be read from every page", async () => {
    const { headers } = await ask(POLLING, { headers: { origin: "https://app.example" } });
    expect(headers.get("access-control-allow-origin")).toBe("*");
    expect(headers.get("access-control-allow-credentials")).toBe("true");
  });
});

/** One accepted or refused CONNECT on a WebSocket of its own; gives the packet that answered it. */
async function connectWith(
  auth: string,
  namespace = "",
): Promise<{ packet: string; connection: RawConnection }> {
  const connection = await RawConnection.webSocket(port);
  connection.write(frame(`40${namespace}${auth}`));
  await connection.until(
    (received) => /4[04](\/[^,]*,)?\{"(sid|message)"[^}]*\}/.test(received.split("1000000}")[1] ?? ""),
    BOUND_MS,
  );
  const packet =
    /4[04](\/[^,]*,)?\{"(sid|message)"[^}]*\}/.exec(connection.received.split("1000000}")[1] ?? "")?.[0] ??
    "";
  return { packet, connection };
}

describe("who is refused, in the order of the rules", () => {
  const missing = '44{"message":"Missing authentication token"}';
  const session = '44{"message":"Session ID required for session-scoped clients"}';
  const machine = '44{"message":"Machine ID required for machine-scoped clients"}';
  const invalid = '44{"message":"Invalid authentication token"}';
  for (const [auth, packet] of [
    ["", missing],
    ["{}", missing],
    ['{"token":""}', missing],
    ['{"token":null,"clientType":"session-scoped"}', missing],
    ['{"token":0,"clientType":"machine-scoped"}', missing],
    ['{"token":"x","clientType":"session-scoped"}', session],
    ['{"token":"x","clientType":"session-scoped","sessionId":"","machineId":"m"}', session],
    ['{"token":"x","clientType":"machine-scoped"}', machine],
    ['{"token":"x","clientType":"machine-scoped","machineId":null,"sessionId":"s"}', machine],
    ['{"token":"x"}', invalid],
    ['{"token":"x","clientType":"session-scoped","sessionId":"s"}', invalid],
    ['{"token":5}', invalid],
    ['{"token":{"a":1}}', invalid],
    ['{"token":["x"]}', invalid],
    ['{"token":true,"clientType":"machine-scoped","machineId":"m"}', invalid],
  ] as const) {
    test(`CONNECT ${auth || "without anything"}`, async () => {
      const refused = await connectWith(auth);
      expect(refused.packet).toBe(packet);
      refused.connection.destroy();
    });
  }

  test("a refused client keeps its connection and may try again on it", async () => {
    const { packet, connection } = await connectWith('{"token":"wrong"}');
    expect(packet).toBe('44{"message":"Invalid authentication token"}');
    connection.write(frame(`40{"token":"${account.token}"}`));
    expect(await connection.until((received) => received.includes('40{"sid":"'), BOUND_MS)).toBe(true);
    connection.destroy();
  });

  test("socket.io-client sees the words as connect_error, without data", async () => {
    const error = await listen(server.url, { clientType: "user-scoped" }).catch(
      (refused: unknown) => refused,
    );
    expect(error).toBeInstanceOf(Error);
    const { message, data } = error as Error & { data?: unknown };
    expect([message, data]).toEqual(["Missing authentication token", undefined]);
  });

  test("only the CONNECT packet counts: a token in the address or the headers does not", async () => {
    const options = {
      query: { token: account.token },
      extraHeaders: { authorization: `Bearer ${account.token}` },
    };
    const error = await listen(server.url, {}, options).catch((refused: unknown) => refused);
    expect((error as Error).message).toBe("Missing authentication token");
  });

  test("a token whose signature was changed is refused", async () => {
    const [head, body, signature = ""] = account.token.split(".");
    const changed = `${head}.${body}.${signature.slice(0, -2)}${signature.endsWith("AA") ? "BB" : "AA"}`;
    const refused = await connectWith(`{"token":"${changed}"}`);
    expect(refused.packet).toBe('44{"message":"Invalid authentication token"}');
    refused.connection.destroy();
  });
});

describe("namespaces", () => {
  test("an unknown one is refused", async () => {
    for (const namespace of ["/foo", "/i", "/i/", "/i/a/b", "/v1"]) {
      const { packet, connection } = await connectWith(`{"token":"${account.token}"}`, `${namespace},`);
      expect(packet).toBe(`44${namespace},{"message":"Invalid namespace"}`);
      connection.destroy();
    }
  });

  test("an invite path counts as the root: its clients are refused, hear and speak like all others", async () => {
    const invited = `${server.url}/i/aB3_-x`;
    const refused = await connectWith("", "/i/aB3_-x,");
    expect(refused.packet).toBe('44/i/aB3_-x,{"message":"Missing authentication token"}');
    refused.connection.destroy();
    const guest = await newAccount(server.url);
    const [phone, plain] = [
      await listen(invited, { token: guest.token, clientType: "user-scoped" }),
      await guest.connect(),
    ];
    const opened = await guest.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
    const sid = opened.body.session.id;
    expect((await phone.untilUpdate("new-session")).body.id).toBe(sid);
    plain.socket.emit("message", { sid, message: "to the guest", localId: "1" });
    expect((await phone.untilUpdate("new-message")).body.message.seq).toBe(1);
    phone.socket.emit("message", { sid, message: "from the guest", localId: "2" });
    await plain.until(({ body }) => body?.body?.message?.seq === 2);
    await phone.settled();
    expect(phone.updates.filter(({ body }) => body.t === "new-message")).toHaveLength(1);
    phone.socket.emit("rpc-register", { method: "m" });
    phone.socket.on("rpc-request", (_request, answer: (text: string) => void) => answer("invited"));
    await phone.until(({ event }) => event === "rpc-registered");
    expect(await plain.ask("rpc-call", { method: "m" })).toEqual({ ok: true, result: "invited" });
    phone.close();
    plain.close();
  });
});

describe("what is not checked", () => {
  test("a token of an account that is not here connects; its writes fail", async () => {
    const token = await serverKeys(TEST_SECRET).bearer.issue({ account: "ghost" });
    const ghost = await accountWith(server.url, token).connect();
    expect(await ghost.ask("update-metadata", { sid: "s", metadata: "m", expectedVersion: 0 })).toEqual({
      result: "error",
    });
    ghost.close();
  });

  test("somebody else's session and machine may be named, and nothing of them is heard", async () => {
    const stranger = await newAccount(server.url);
    const opened = await account.call("POST", "/v1/sessions", { tag: "private", metadata: "m" });
    const sid = opened.body.session.id;
    await account.call("POST", "/v1/machines", { id: "private", metadata: "m" });
    const spies = [
      await stranger.connect({ clientType: "session-scoped", sessionId: sid }),
      await stranger.connect({ clientType: "machine-scoped", machineId: "private" }),
    ];
    const owner = await account.connect();
    owner.socket.emit("message", { sid, message: "secret", localId: "1" });
    await owner.ask("update-metadata", { sid, metadata: "secret", expectedVersion: 0 });
    await owner.ask("machine-update-metadata", {
      machineId: "private",
      metadata: "secret",
      expectedVersion: 1,
    });
    for (const spy of spies) {
      await spy.settled();
      expect(spy.heard).toEqual([]);
      spy.socket.emit("message", { sid, message: "intruder", localId: "2" });
      const payload = { machineId: "private", metadata: "mine", expectedVersion: 2 };
      expect(await spy.ask("machine-update-metadata", payload)).toEqual({
        result: "error",
        message: "Machine not found",
      });
      expect(await spy.ask("update-metadata", { sid, metadata: "mine", expectedVersion: 1 })).toEqual({
        result: "error",
      });
      await spy.settled();
      spy.close();
    }
    const page = await account.call("GET", `/v3/sessions/${sid}/messages`);
    expect(page.body.messages.map(({ content }: { content: { c: string } }) => content.c)).toEqual([
      "secret",
    ]);
    owner.close();
  });

  test("a client type that nobody knows is a user's", async () => {
    const odd = await account.connect({ clientType: "toaster-scoped" });
    await account.call("POST", "/v1/sessions", { tag: "odd", metadata: "m" });
    expect((await odd.untilUpdate("new-session")).body.metadata).toBe("m");
    odd.close();
  });
});

// One byte too much: every limit on what comes in holds exactly, costs at most the sender's own connection, and stores nothing.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Account, type Listener, listen, newAccount } from "../support/happy-client.ts";
import { type TestServer, testServer } from "../support/server.ts";
import { frame, RawConnection } from "./raw-connection.ts";

const POLLING_LIMIT = 1_000_000;
const STRANGER_LIMIT = 16 * 1024;
const VALUE_LIMIT = 8 * 1024 * 1024;
const BODY_LIMIT = 104_857_600;
const ANONYMOUS_LIMIT = 1024 * 1024;
const BOUND_MS = 20_000;
setDefaultTimeout(60_000);

let server: TestServer;
let account: Account;
let phone: Listener;
let sid: string;
let port: number;

beforeAll(async () => {
  server = await testServer({ rateLimits: false });
  port = Number(new URL(server.url).port);
  account = await newAccount(server.url);
  sid = (await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" })).body.session.id;
  phone = await account.connect();
});
afterAll(async () => {
  expect(phone.socket.connected).toBe(true);
  phone.close();
  await server.stop();
});

/** A `message` event whose content has exactly so many bytes. */
function messageOf(bytes: number, localId: string): string {
  return `42${JSON.stringify(["message", { sid, message: "x".repeat(bytes), localId }])}`;
}

async function accepted(): Promise<RawConnection> {
  const connection = await RawConnection.webSocket(port);
  connection.write(frame(`40{"token":"${account.token}"}`));
  await connection.until((received) => received.includes('40{"sid"'), BOUND_MS);
  return connection;
}

async function stored(localId: string): Promise<boolean> {
  await phone.settled();
  const page = await account.call("GET", `/v3/sessions/${sid}/messages?limit=500`);
  return page.body.messages.some((message: { localId: string }) => message.localId === localId);
}

/** A close frame with code 1009 (03f1 in its payload) is in what came. */
const tooLarge = (received: string) =>
  received.split("\x88").some((after, index) => index > 0 && after.slice(1, 3) === "\x03\xf1");

test("a message of 8 MiB is taken over a socket", async () => {
  const connection = await accepted();
  connection.write(frame(messageOf(VALUE_LIMIT, "fits")));
  connection.write(frame('427["ping"]'));
  expect(await connection.until((received) => received.includes("437[{}]"), BOUND_MS)).toBe(true);
  expect(await stored("fits")).toBe(true);
  connection.destroy();
});

for (const [what, bytes] of [
  ["one byte more, in an event without an acknowledgement,", VALUE_LIMIT + 1],
  ["a frame of more than 16 MiB", 16 * 1024 * 1024],
] as const)
  test(`${what} ends that connection with 1009 and no other`, async () => {
    const connection = await accepted();
    connection.write(frame(messageOf(bytes, "too large")));
    expect(await connection.until(tooLarge, BOUND_MS)).toBe(true);
    expect(await connection.finish(BOUND_MS)).toBe(true);
    expect(await stored("too large")).toBe(false);
  });

test("a socket.io client sees that as `transport close`, so that it comes back", async () => {
  const sender = await account.connect();
  const reason = new Promise<string>((resolve) => sender.socket.once("disconnect", resolve));
  sender.socket.emit("message", { sid, message: "x".repeat(VALUE_LIMIT + 1), localId: "sent too large" });
  expect(await reason).toBe("transport close");
});

test("a state of 8 MiB is taken over a socket, one byte more is an error acknowledgement", async () => {
  const agent = await account.connect({ clientType: "session-scoped", sessionId: sid });
  const update = (agentState: string, expectedVersion: number) =>
    agent.ask("update-state", { sid, agentState, expectedVersion });
  const fits = "x".repeat(VALUE_LIMIT);
  expect(await update("x".repeat(1_100_000), 0)).toMatchObject({ result: "success", version: 1 });
  expect(await update(fits, 1)).toMatchObject({ result: "success", version: 2 });
  expect(await update(`${fits}x`, 2)).toEqual({ result: "error" });
  // As characters it is short enough, as bytes it is not.
  expect(await update("ü".repeat(VALUE_LIMIT / 2 + 1), 2)).toEqual({ result: "error" });
  expect(await update("small", 2)).toMatchObject({ result: "success", version: 3 });
  agent.close();
});

test("a machine's state and an artifact above 8 MiB are error acknowledgements too", async () => {
  const daemon = await account.connect({ clientType: "machine-scoped", machineId: "m" });
  const value = "x".repeat(VALUE_LIMIT + 1);
  const state = { machineId: "m", daemonState: value, expectedVersion: 0 };
  expect(await daemon.ask("machine-update-state", state)).toEqual({
    result: "error",
    message: "Internal error",
  });
  // An artifact is counted without its base64.
  const data = Buffer.alloc(VALUE_LIMIT + 1).toString("base64");
  const artifact = { artifactId: "a", body: { data, expectedVersion: 1 } };
  expect(await daemon.ask("artifact-update", artifact)).toEqual({
    result: "error",
    message: "Internal error",
  });
  const usage = { key: "k", tokens: { total: 1, more: value }, cost: { total: 1 } };
  expect(await daemon.ask("usage-report", usage)).toMatchObject({ success: false });
  expect(await daemon.ask("ping")).toEqual({});
  daemon.close();
});

test("a client that began with polling may send as much once a WebSocket has taken over", async () => {
  const client = await listen(
    server.url,
    { token: account.token, clientType: "session-scoped", sessionId: sid },
    { transports: ["polling", "websocket"] },
  );
  await new Promise<void>((resolve) => {
    if (client.socket.io.engine.transport.name === "websocket") resolve();
    else client.socket.io.engine.once("upgrade", () => resolve());
  });
  const { version } = await client.ask("update-state", { sid, agentState: "x", expectedVersion: -1 });
  const update = { sid, agentState: "x".repeat(3_000_000), expectedVersion: version };
  expect(await client.ask("update-state", update)).toMatchObject({ result: "success" });
  client.close();
});

test("many small fragments do not add up to more than the limit", async () => {
  const connection = await accepted();
  const piece = "x".repeat(1_000_000);
  connection.write(frame(`42["message",{"sid":"${sid}","localId":"fragments","message":"`, { fin: false }));
  for (let index = 0; index < 17; index++) connection.write(frame(piece, { opcode: 0, fin: false }));
  connection.write(frame('"}]', { opcode: 0 }));
  expect(await connection.until(tooLarge, BOUND_MS)).toBe(true);
  connection.destroy();
  expect(await stored("fragments")).toBe(false);
});

test("a binary packet that announces millions of attachments, or too many, ends its connection", async () => {
  for (const count of ["5999999", "999999", "11"]) {
    const connection = await accepted();
    connection.write(frame(`45${count}-["message",{"_placeholder":true,"num":0}]`));
    expect(
      await connection.until(() => connection.closed || connection.received.includes("\x88"), BOUND_MS),
    ).toBe(true);
    connection.destroy();
  }
});

test("attachments that never become a packet end their connection before they are large", async () => {
  const connection = await accepted();
  connection.write(frame('4510-["message",{"_placeholder":true,"num":0}]'));
  const piece = Buffer.alloc(300_000);
  for (let index = 0; index < 9; index++) connection.write(frame(piece, { opcode: 2 }));
  expect(await connection.until(tooLarge, BOUND_MS)).toBe(true);
  connection.destroy();
});

test("an event or acknowledgement with very many arguments costs its connection, not the server", async () => {
  for (const packet of ["2", "25", "30"]) {
    const connection = await accepted();
    connection.write(frame(`4${packet}["ping"${",1".repeat(400_000)}]`));
    expect(await connection.until(() => connection.closed, BOUND_MS)).toBe(true);
    connection.destroy();
  }
  await phone.settled();
});

test("an RPC answer above 8 MiB costs its own call and nothing else", async () => {
  const daemon = await account.connect({ clientType: "machine-scoped", machineId: "m" });
  let answered = "x".repeat(VALUE_LIMIT);
  daemon.socket.on("rpc-request", (_request, answer: (result: string) => void) => answer(answered));
  daemon.socket.emit("rpc-register", { method: "m:big" });
  await daemon.until(({ event }) => event === "rpc-registered");
  expect((await phone.ask("rpc-call", { method: "m:big" })).result).toHaveLength(VALUE_LIMIT);
  answered = "x".repeat(VALUE_LIMIT + 2_000);
  expect(await phone.ask("rpc-call", { method: "m:big" })).toEqual({
    ok: false,
    error: "RPC answer too large",
  });
  // Bytes count, not characters.
  answered = "\u20ac".repeat(VALUE_LIMIT / 2);
  expect((await phone.ask("rpc-call", { method: "m:big" })).error).toBe("RPC answer too large");
  const params = "\u20ac".repeat(VALUE_LIMIT / 2);
  expect((await phone.ask("rpc-call", { method: "m:big", params })).error).toBe("RPC parameters too large");
  answered = "small";
  expect(await phone.ask("rpc-call", { method: "m:big" })).toEqual({ ok: true, result: "small" });
  expect(await phone.ask("rpc-call", { method: "m:big", params: "x".repeat(VALUE_LIMIT + 1) })).toEqual({
    ok: false,
    error: "RPC parameters too large",
  });
  expect(daemon.socket.connected).toBe(true);
  daemon.close();
});

test("a binary RPC answer up to 8 MiB arrives whole; a larger one, or one in many pieces, costs its own call and nothing else", async () => {
  const daemon = await account.connect({ clientType: "machine-scoped", machineId: "binary" });
  let answered: unknown;
  daemon.socket.on("rpc-request", (_request, answer: (result: unknown) => void) => answer(answered));
  daemon.socket.emit("rpc-register", { method: "binary:big" });
  await daemon.until(({ event }) => event === "rpc-registered");
  const ask = () => phone.ask("rpc-call", { method: "binary:big" });
  for (const bytes of [900_000, 1_200_000, VALUE_LIMIT - 1_000]) {
    answered = Buffer.alloc(bytes, 7);
    expect(Buffer.from((await ask()).result)).toEqual(Buffer.alloc(bytes, 7));
  }
  for (const tooLarge of [
    Buffer.alloc(VALUE_LIMIT + 2_000),
    Array.from({ length: 11 }, () => Buffer.from("x")),
  ]) {
    answered = tooLarge;
    expect(await ask()).toEqual({ ok: false, error: "RPC answer too large" });
  }
  answered = { part: Buffer.from("small"), ok: true };
  expect((await ask()).ok).toBe(true);
  expect(daemon.socket.connected).toBe(true);
  daemon.close();
});

for (const [how, headers] of [
  ["with its length", (length: number) => `Content-Length: ${length}\r\n`],
  ["in chunks", () => "Transfer-Encoding: chunked\r\n"],
] as const) {
  const framed = (body: string) =>
    how === "in chunks" ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body;

  for (const [who, limit] of [
    ["client that was let in", POLLING_LIMIT],
    ["stranger", STRANGER_LIMIT],
  ] as const)
    test(`a polling body above the limit of a ${who}, sent ${how}, gets an empty 413`, async () => {
      const polling = "/v1/updates/?EIO=4&transport=polling";
      const handshake = await (await fetch(`${server.url}${polling}`)).text();
      const { sid: engine } = JSON.parse(handshake.slice(1));
      const session = `${polling}&sid=${engine}`;
      if (who !== "stranger") {
        await fetch(`${server.url}${session}`, { method: "POST", body: `40{"token":"${account.token}"}` });
        expect(await (await fetch(`${server.url}${session}`)).text()).toStartWith('40{"sid"');
      }
      const connection = await RawConnection.open(port);
      const head = `POST ${session} HTTP/1.1\r\nHost: x\r\n`;
      connection.write(`${head}${headers(limit + 1)}\r\n${framed("x".repeat(limit + 1))}`);
      await connection.until((received) => received.includes("\r\n\r\n"), BOUND_MS);
      expect(connection.received).toMatch(/^HTTP\/1\.1 413 /);
      expect(connection.received.toLowerCase()).toContain("access-control-allow-origin: *");
      expect(connection.received.split("\r\n\r\n")[1]).toBe("");
      expect(await connection.finish(BOUND_MS)).toBe(true);
    });

  test(`an anonymous HTTP body above 1 MiB, sent ${how}, gets a 413 that says so`, async () => {
    const connection = await RawConnection.open(port);
    const head = "POST /v1/auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    connection.write(`${head}${headers(ANONYMOUS_LIMIT + 1)}\r\n${framed("x".repeat(ANONYMOUS_LIMIT + 1))}`);
    await connection.until((received) => received.includes("}"), BOUND_MS);
    expect(connection.received).toMatch(/^HTTP\/1\.1 413 /);
    expect(JSON.parse(connection.received.split("\r\n\r\n")[1] ?? "")).toEqual({
      error: "FastifyError",
      message: "Request body is too large",
      statusCode: 413,
    });
    expect(await connection.finish(BOUND_MS)).toBe(true);
  });
}

test("a body that promises more than 100 MiB is refused before it is sent", async () => {
  const connection = await RawConnection.open(port);
  connection.write(
    `POST /v3/sessions/${sid}/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${account.token}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${BODY_LIMIT + 1}\r\n\r\n{`,
  );
  expect(await connection.until((received) => received.includes("}"), BOUND_MS)).toBe(true);
  expect(connection.received).toMatch(/^HTTP\/1\.1 413 [\s\S]*"message":"Request body is too large"/);
  expect(await connection.finish(BOUND_MS)).toBe(true);
});

test("a body of exactly 100 MiB is read to its end", async () => {
  const body = `{"messages":[{"localId":"whole","content":"${"x".repeat(BODY_LIMIT - 47)}"}]}`;
  expect(body).toHaveLength(BODY_LIMIT);
  const answer = await account.call("POST", `/v3/sessions/unknown/messages`, body);
  expect([answer.status, answer.body]).toEqual([404, { error: "Session not found" }]);
}, 60_000);

test("a large body without a token is not read at all", async () => {
  const connection = await RawConnection.open(port);
  connection.write(
    `POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${BODY_LIMIT}\r\n\r\n{`,
  );
  expect(await connection.until((received) => received.includes("}"), BOUND_MS)).toBe(true);
  expect(connection.received).toMatch(/^HTTP\/1\.1 401 /);
  connection.destroy();
});

test("a body that ends before it promised stores nothing", async () => {
  const body = JSON.stringify({ messages: [{ content: "c", localId: "truncated" }] });
  const connection = await RawConnection.open(port);
  connection.write(
    `POST /v3/sessions/${sid}/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${account.token}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length + 1}\r\n\r\n${body}`,
  );
  expect(await connection.finish(BOUND_MS)).toBe(true);
  expect(await stored("truncated")).toBe(false);
});

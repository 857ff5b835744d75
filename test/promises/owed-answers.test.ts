// What Bun leaves out, seen from real connections: the header with which a connection's end is announced, on every kind of answer; the
// answer itself, for whoever is still writing when it comes; and the date in answers to HEAD.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Agent, request as nodeRequest } from "node:http";
import { connect } from "node:net";
import { asksToClose } from "../../src/server/owed.ts";
import { RawConnection } from "../faults/raw-connection.ts";
import { freePort } from "../support/free-port.ts";
import { type Account, newAccount } from "../support/happy-client.ts";
import { type TestServer, testServer } from "../support/server.ts";

setDefaultTimeout(60_000);
const BOUND_MS = 20_000;
const MIB = 1024 * 1024;

let server: TestServer;
let account: Account;
let pagesPort: number;
let sessionPath: string;
beforeAll(async () => {
  pagesPort = await freePort();
  server = await testServer({
    topicsEnabled: true,
    metricsToken: "figures",
    metricsPort: pagesPort,
    framesHubEnabled: true,
    framesAuthEnabled: true,
    framesAuthSecretKey: "a secret of the hub that is long enough",
    happyClientLogs: true,
    rateLimits: false,
  });
  account = await newAccount(server.url);
  const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "bWV0YQ==" });
  sessionPath = `/v1/sessions/${body.session.id}`;
});
afterAll(() => server.stop());

const port = () => Number(new URL(server.url).port);
const POLLING = "/v1/updates/?EIO=4&transport=polling";

/** The head of the answer, and whether the connection ended after it. */
async function answerTo(
  line: string,
  headers: string,
  at = port(),
): Promise<{ head: string; ended: boolean }> {
  const connection = await RawConnection.open(at);
  connection.write(`${line} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
  await connection.until((received) => received.includes("\r\n\r\n"), BOUND_MS);
  const head = connection.received.split("\r\n\r\n")[0] ?? "";
  const ended = await Promise.race([
    connection.until(() => connection.closed, BOUND_MS).catch(() => false),
    Bun.sleep(150).then(() => false),
  ]);
  connection.destroy();
  return { head, ended };
}

describe("a request that asks for the end of its connection hears that it comes", () => {
  test.each([
    ["close", true],
    ["Close", true],
    ["CLOSE", true],
    ["keep-alive, Close", true],
    ["close , te", true],
    ["TE,close", true],
    ["keep-alive", false],
    ["Keep-Alive", false],
    ["closed", false],
    ["not-close", false],
    ["", false],
  ])("Connection: %s", async (value, ends) => {
    const { head, ended } = await answerTo("GET /health", `Connection: ${value}\r\n`);
    expect([/^connection: close$/im.test(head), ended]).toEqual([ends, ends]);
    expect(asksToClose(new Request("http://x/", { headers: { connection: value } }))).toBe(ends);
  });

  test("in several headers", async () => {
    const { head } = await answerTo("GET /health", "Connection: keep-alive\r\nConnection: close\r\n");
    expect(head).toMatch(/^connection: close$/im);
  });

  test("HTTP/1.0 without a host", async () => {
    const connection = await RawConnection.open(port());
    connection.write("GET /health HTTP/1.0\r\n\r\n");
    await connection.until((received) => received.includes("happy-server"), BOUND_MS);
    expect(await connection.finish(BOUND_MS)).toBe(true);
    expect(connection.received).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\nconnection: close\r\n/i);
  });

  test.each([
    ["GET /", "", 200],
    ["HEAD /health", "", 200],
    ["GET /v1/nope", "", 404],
    ["GET /v1/sessions", "", 401],
    ["GET /v1/kv/%zz", "", 400],
    ["OPTIONS /v1/sessions", "Origin: https://a\r\nAccess-Control-Request-Method: PUT\r\n", 204],
    ["OPTIONS /v1/sessions", "", 400],
    ["POST /v1/auth", "Content-Type: application/json\r\nContent-Length: 0\r\n", 400],
    ["GET /ready", "", 200],
    ["GET /metrics", "", 401],
    ["GET /metrics", "Authorization: Bearer figures\r\n", 200],
    ["GET /api/v1/ping", "", 200],
    ["GET /api/v1/me", "", 401],
    ["GET /api/v1/nope", "", 404],
    [`GET ${POLLING}`, "", 200],
    [`GET ${POLLING}&sid=none`, "", 400],
    ["GET /v1/updates/?EIO=4&transport=nope", "", 400],
    ["GET /v1/updates/?EIO=4&transport=websocket", "", 400],
    [
      "GET /v1/updates/?EIO=4&transport=websocket",
      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n",
      400,
    ],
    [`OPTIONS ${POLLING}`, "Origin: https://a\r\n", 204],
    ["GET /socket.io/?EIO=4&transport=polling", "", 200],
    ["GET /socket.io/?EIO=3&transport=polling", "", 400],
    ["GET /ws", "", 426],
    ["GET /ws/health", "", 200],
    ["GET /ws", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", 401],
  ])("%s", async (line, headers, status) => {
    const { head, ended } = await answerTo(line, `${headers}Connection: close\r\n`);
    expect([line, Number(head.split(" ")[1])]).toEqual([line, status]);
    expect(head.match(/^connection:.*$/gim)).toEqual([expect.stringMatching(/^connection: (.*, )?close$/i)]);
    expect(ended).toBe(true);
  });

  test("on the port for figures", async () => {
    for (const path of ["/metrics", "/ready", "/health", "/nope"]) {
      const { head } = await answerTo(`GET ${path}`, "Connection: close\r\n", pagesPort);
      expect([path, /^connection: close$/im.test(head)]).toEqual([path, true]);
    }
  });

  test("a client that pools connections is answered every time", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let round = 0; round < 6; round++) {
      const status = await new Promise<number | undefined>((resolve, reject) => {
        const headers = { connection: "close" };
        nodeRequest(`${server.url}/health`, { agent, headers }, (answer) => {
          answer.resume();
          answer.once("end", () => resolve(answer.statusCode));
        })
          .on("error", reject)
          .end();
      });
      expect(status).toBe(200);
    }
    agent.destroy();
  });
});

test("answers to HEAD have a date, once", async () => {
  for (const path of ["/health", "/v1/nope", "/ready"]) {
    const { head } = await answerTo(`HEAD ${path}`, "");
    expect(head.match(/^date:.*$/gim)).toHaveLength(1);
  }
});

/** What a client reads that writes a whole body of zeros before it looks, so fast or slowly; or what went wrong. */
function upload(
  line: string,
  headers: string,
  bytes: number,
  pace: { size: number; everyMs: number },
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port: port(), host: "127.0.0.1" });
    let received = "";
    let trouble = "";
    const timer = setTimeout(() => socket.destroy(), BOUND_MS);
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      trouble = error.code ?? "error";
    });
    socket.once("close", () => {
      clearTimeout(timer);
      resolve(trouble === "" ? received : `${trouble} ${received}`);
    });
    socket.once("connect", async () => {
      socket.write(`${line} HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n${headers}\r\n`);
      const piece = new Uint8Array(pace.size);
      for (let sent = 0; sent < bytes && !socket.destroyed; sent += pace.size) {
        const isTaken = socket.write(piece.subarray(0, Math.min(pace.size, bytes - sent)));
        if (pace.everyMs > 0) await Bun.sleep(pace.everyMs);
        else if (!isTaken)
          await new Promise<void>((go) => socket.once("drain", go).once("close", () => go()));
      }
      // A keep-alive connection has no other end.
      if (!/connection: close/i.test(headers)) socket.end();
    });
  });
}

const FAST = { size: 64 * 1024, everyMs: 0 };
const SLOW = { size: 256 * 1024, everyMs: 25 };

describe.each([
  ["Connection: close\r\n", FAST],
  ["Connection: close\r\n", SLOW],
  ["", FAST],
])("who is still writing when it is refused (%j, %j)", (connection, pace) => {
  const bearer = () => `Authorization: Bearer ${account.token}\r\n`;
  const BYTES = "Content-Type: application/octet-stream\r\n";
  const JSON_TYPE = "Content-Type: application/json\r\n";

  test.each([
    [
      "an attachment one byte too large",
      () => `PUT ${sessionPath}/attachments/a.enc`,
      BYTES,
      10 * MIB + 1,
      413,
    ],
    ["an attachment of 19 MiB", () => `PUT ${sessionPath}/attachments/a.enc`, BYTES, 19 * MIB, 413],
    ["a type that is not supported", () => "POST /v1/sessions", "Content-Type: image/png\r\n", 3 * MIB, 415],
    ["an unknown route", () => "POST /v1/nope", JSON_TYPE, 3 * MIB, 404],
    ["an unknown method", () => "PATCH /v1/sessions", JSON_TYPE, 3 * MIB, 404],
    ["a socket path", () => "POST /v1/updates/?EIO=4&transport=polling", "", 3 * MIB, 4],
    ["client logs", () => "POST /v1/dev/logs", JSON_TYPE, 3 * MIB, 400],
    ["topics without a token", () => "POST /api/v1/websites/delete", "Authorization: x\r\n", 3 * MIB, 401],
    ["topics' unknown route", () => "POST /api/v1/nope", JSON_TYPE, 3 * MIB, 404],
    ["the hub's path", () => "POST /ws", JSON_TYPE, 3 * MIB, 405],
    ["the page for figures", () => "POST /metrics", JSON_TYPE, 3 * MIB, 404],
  ])("reads why: %s", async (_name, line, headers, bytes, status) => {
    const token = headers.startsWith("Authorization") ? "" : bearer();
    const answer = await upload(line(), `${token}${headers}${connection}`, bytes, pace);
    expect(answer).toStartWith(`HTTP/1.1 ${status}`);
  });

  test.each([
    ["no token", () => `PUT ${sessionPath}/attachments/a.enc`, BYTES, 10 * MIB, 401],
    ["no token and JSON", () => "POST /v1/sessions", JSON_TYPE, 3 * MIB, 401],
    ["a sign-in that is too large", () => "POST /v1/auth", JSON_TYPE, 3 * MIB, 413],
    ["a webhook that is too large", () => "POST /v1/connect/github/webhook", JSON_TYPE, 3 * MIB, 413],
    ["a login to topics that is too large", () => "POST /api/v1/auth/login", JSON_TYPE, 3 * MIB, 400],
    [
      "anonymous client logs",
      () => "POST /logs-combined-from-cli-and-mobile-for-simple-ai-debugging",
      JSON_TYPE,
      MIB,
      413,
    ],
  ])("a stranger too: %s", async (_name, line, headers, bytes, status) => {
    const answer = await upload(line(), `${headers}${connection}`, bytes, pace);
    expect(answer).toStartWith(`HTTP/1.1 ${status}`);
  });
});

test("who sends more than is thrown away still gets the answer", async () => {
  const line = `PUT ${sessionPath}/attachments/a.enc`;
  const headers = `Authorization: Bearer ${account.token}\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n`;
  const connection = await RawConnection.open(port());
  connection.write(`${line} HTTP/1.1\r\nHost: x\r\nContent-Length: ${64 * MIB}\r\n${headers}\r\n`);
  connection.write(new Uint8Array(15 * MIB));
  await connection.until((received) => received.includes("File too large"), BOUND_MS);
  expect(connection.received).toMatch(/^HTTP\/1\.1 413 /);
  expect(connection.closed).toBe(false);
  connection.destroy();
});

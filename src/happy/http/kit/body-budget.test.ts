// Memory for request bodies is bounded over all clients: whoever does not fit any more hears 503 and may come again, what has arrived
// counts and not what was promised, and everything is given back.
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { type Account, newAccount } from "../../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../../test/support/server.ts";
import { BodyBudget, OverBudget } from "../../../limits/body-budget.ts";

describe("shares", () => {
  test("are given up to the limit, over all requests, and given back", () => {
    const budget = new BodyBudget(() => 100);
    const [one, two] = [budget.share(), budget.share()];
    one.take(60);
    two.take(40);
    expect(() => two.take(1)).toThrow(OverBudget);
    expect(budget.heldBytes).toBe(100);
    one.release();
    one.release();
    two.take(60);
    expect(budget.heldBytes).toBe(100);
    two.release();
    expect(budget.heldBytes).toBe(0);
  });

  test("one body alone may be larger than the limit: its own limit decides", () => {
    const budget = new BodyBudget(() => 100);
    const [one, two] = [budget.share(), budget.share()];
    one.take(80);
    one.take(80);
    expect(() => two.take(1)).toThrow(OverBudget);
    one.release();
    two.take(1);
    expect(budget.heldBytes).toBe(1);
  });

  test("the limit is the one of now", () => {
    let limit = 10;
    const budget = new BodyBudget(() => limit);
    const [one, two] = [budget.share(), budget.share()];
    one.take(10);
    expect(() => two.take(1)).toThrow(OverBudget);
    limit = 11;
    two.take(1);
  });
});

setDefaultTimeout(30_000);
const MIB = 1024 * 1024;
let server: TestServer | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server?.stop();
  server = undefined;
});

/** A body on the way: so much was sent of what was promised. */
class Upload {
  answer = "";
  readonly #socket: Socket;
  readonly #waiting = new Set<() => void>();

  constructor(account: Account, path: string, promised: number) {
    const { hostname, port } = new URL(account.url);
    this.#socket = connect(Number(port), hostname);
    sockets.push(this.#socket);
    this.#socket.on("data", (chunk) => {
      this.answer += chunk.toString("latin1");
      for (const look of [...this.#waiting]) look();
    });
    this.#socket.on("error", () => {});
    this.#socket.write(
      `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${account.token}\r\ncontent-type: application/json\r\ncontent-length: ${promised}\r\n\r\n`,
    );
  }

  send(text: string): Promise<void> {
    return new Promise((resolve) => this.#socket.write(text, () => resolve()));
  }

  answered(boundMs = 10_000): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer; got ${this.answer}`)), boundMs);
      const look = () => {
        if (!this.answer.includes("\r\n\r\n")) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(this.answer);
      };
      this.#waiting.add(look);
      look();
    });
  }

  end(): void {
    this.#socket.destroy();
  }
}

test("a server whose memory for bodies is full refuses large ones with 503 and goes on with small ones; then it takes all again", async () => {
  server = await testServer({ maxBodyBytesInFlight: 4 * MIB });
  const account = await newAccount(server.url);
  const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "bWV0YQ==" });
  const path = `/v3/sessions/${body.session.id}/messages`;
  const message = (bytes: number) =>
    JSON.stringify({ messages: [{ content: "x".repeat(bytes), localId: crypto.randomUUID() }] });
  // Promises alone keep nobody out.
  const promising = Array.from({ length: 10 }, () => new Upload(account, path, 3 * MIB));
  expect((await account.call("POST", path, message(2 * MIB))).status).toBe(200);
  // Nearly all that there is, and it stays on the way.
  const slow = new Upload(account, path, 4 * MIB - 100_000);
  await slow.send(message(4 * MIB).slice(0, 4 * MIB - 200_000));
  const refused = await untilStatus(503, () => account.call("POST", path, message(MIB)));
  expect(refused.body).toEqual({
    error: "Service Unavailable",
    message: expect.stringContaining("Try again"),
    statusCode: 503,
  });
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect((await account.call("POST", path, message(1_000))).status).toBe(200);
  slow.end();
  for (const upload of promising) upload.end();
  await untilStatus(200, () => account.call("POST", path, message(2 * MIB)));
});

test("a large body that came in pieces is the body that was sent", async () => {
  server = await testServer();
  const account = await newAccount(server.url);
  const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "bWV0YQ==" });
  const path = `/v3/sessions/${body.session.id}/messages`;
  const content = Array.from({ length: 300_000 }, (_, index) => `é${index}`).join("");
  const text = JSON.stringify({ messages: [{ content, localId: "a" }] });
  const bytes = Buffer.from(text);
  const upload = new Upload(account, path, bytes.length);
  await upload.send(text);
  expect(await upload.answered()).toStartWith("HTTP/1.1 200");
  const { messages } = (await account.call("GET", path)).body;
  expect(messages[0].content.c === content).toBe(true);
});

/** Asks until the status comes: what another connection sent or gave up arrives when it arrives. */
async function untilStatus(status: number, ask: () => ReturnType<Account["call"]>) {
  const until = Date.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (answer.status === status) return answer;
    if (Date.now() > until) throw new Error(`${status} did not come; the last was ${answer.status}`);
  }
}

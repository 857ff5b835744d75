// Memory for request bodies is bounded over all clients: whoever does not fit any more hears 503 and may come again, what has arrived
// counts and not what was promised, and everything is given back.
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { type Account, newAccount } from "../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../test/support/server.ts";
import { until } from "../../test/support/until.ts";
import { createLog } from "../observability/log.ts";
import { Metrics } from "../observability/metrics.ts";
import { Addresses } from "./addresses.ts";
import { BodyBudget, OverBudget } from "./body-budget.ts";
import { Bounds } from "./bounds.ts";

const ACCOUNTS = "192.0.2.1";

function budgetOf(limit: () => number) {
  const addresses = new Addresses();
  const bounds = new Bounds(new Metrics(), createLog("silent"));
  return { budget: new BodyBudget({ limitBytes: limit, addresses, bounds }), addresses, bounds };
}

describe("shares of accounts", () => {
  const shareOf = (budget: BodyBudget) => {
    const share = budget.share({ clientAddress: ACCOUNTS });
    share.authenticated();
    return share;
  };

  test("are given up to the limit, over all requests, and given back", () => {
    const { budget, bounds } = budgetOf(() => 100);
    const [one, two] = [shareOf(budget), shareOf(budget)];
    one.take(60);
    two.take(40);
    expect(() => two.take(1)).toThrow(OverBudget);
    expect(bounds.count("bodies-in-flight")).toBe(1);
    expect(budget.heldBytes).toBe(100);
    one.release();
    one.release();
    two.take(60);
    expect(budget.heldBytes).toBe(100);
    two.release();
    expect(budget.heldBytes).toBe(0);
  });

  test("one body alone may be larger than the limit: its own limit decides", () => {
    const { budget } = budgetOf(() => 100);
    const [one, two] = [shareOf(budget), shareOf(budget)];
    one.take(80);
    one.take(80);
    expect(() => two.take(1)).toThrow(OverBudget);
    one.release();
    two.take(1);
    expect(budget.heldBytes).toBe(1);
  });

  test("the limit is the one of now", () => {
    let limit = 10;
    const { budget } = budgetOf(() => limit);
    const [one, two] = [shareOf(budget), shareOf(budget)];
    one.take(10);
    expect(() => two.take(1)).toThrow(OverBudget);
    limit = 11;
    two.take(1);
  });

  test("what arrives after the answer is not kept", () => {
    const { budget } = budgetOf(() => 100);
    const share = shareOf(budget);
    share.release();
    expect(() => share.take(1)).toThrow(OverBudget);
    expect(budget.heldBytes).toBe(0);
  });
});

describe("shares of strangers", () => {
  const LIMIT = 128 * 1024;
  const EIGHTH = LIMIT / 8;

  test("fill an eighth of the budget at most, and one address a part of that; accounts have all the rest", () => {
    const { budget, bounds } = budgetOf(() => LIMIT);
    const own = EIGHTH / 16;
    const shares = Array.from({ length: 16 }, (_, n) => budget.share({ clientAddress: `198.51.100.${n}` }));
    for (const share of shares) share.take(own);
    expect(() => shares[0]?.take(1)).toThrow(OverBudget);
    expect(bounds.count("anonymous-bytes")).toBe(1);
    expect(() => budget.share({ clientAddress: "203.0.113.1" }).take(1)).toThrow(OverBudget);
    expect(bounds.count("bodies-in-flight")).toBe(1);
    expect(budget.strangerBytes).toBe(EIGHTH);
    const account = budget.share({ clientAddress: "198.51.100.1" });
    account.authenticated();
    account.take(LIMIT - EIGHTH);
    for (const share of [...shares, account]) share.release();
    expect([budget.heldBytes, budget.strangerBytes]).toEqual([0, 0]);
  });

  test("of one IPv6 customer are those of one address", () => {
    const { budget } = budgetOf(() => LIMIT);
    budget.share({ clientAddress: "2001:db8::1" }).take(EIGHTH / 16);
    expect(() => budget.share({ clientAddress: "2001:db8::2" }).take(1)).toThrow(OverBudget);
    budget.share({ clientAddress: "2001:db8:0:1::1" }).take(1);
  });

  test("of a shared address may fill what all strangers have, and no more", () => {
    const { budget, addresses } = budgetOf(() => LIMIT);
    addresses.authenticated("172.17.0.1", "a");
    addresses.authenticated("172.17.0.1", "b");
    const share = budget.share({ clientAddress: "172.17.0.1" });
    share.take(EIGHTH);
    expect(() => share.take(1)).toThrow(OverBudget);
  });

  test("become an account's when the sender has proved one", () => {
    const { budget } = budgetOf(() => LIMIT);
    const share = budget.share({ clientAddress: "198.51.100.1" });
    share.take(100);
    share.authenticated();
    expect([budget.heldBytes, budget.strangerBytes]).toEqual([100, 0]);
    share.take(EIGHTH);
    share.release();
    expect([budget.heldBytes, budget.strangerBytes]).toEqual([0, 0]);
  });
});

test("so much may be promised at one time; what is promised beyond has to be counted as it comes", () => {
  const { budget } = budgetOf(() => 1);
  const shares = Array.from({ length: 128 }, () => budget.share({ clientAddress: ACCOUNTS }));
  for (const share of shares) expect(share.expect(64 * 1024)).toBe(true);
  expect(shares[0]?.expect(1)).toBe(false);
  shares[0]?.arrived(64 * 1024);
  expect(shares[0]?.expect(1)).toBe(true);
});

setDefaultTimeout(30_000);
const MIB = 1024 * 1024;
const METRICS_TOKEN = "figures-of-the-bodies-test";
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
  server = await testServer({ maxBodyBytesInFlight: 4 * MIB, metricsToken: METRICS_TOKEN });
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
  const begun = message(4 * MIB).slice(0, 4 * MIB - 200_000);
  await slow.send(begun);
  // Sent is not arrived: until then a later one might come first.
  await until("the large body to have arrived", async () => (await bodiesInFlight()) >= begun.length);
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
/** As the server says. */
async function bodiesInFlight(): Promise<number> {
  const headers = { authorization: `Bearer ${METRICS_TOKEN}` };
  const page = await (await fetch(`${server?.url}/metrics`, { headers })).text();
  return Number(/^roost_memory_in_flight_bytes\{[^}]*part="bodies"[^}]*\} (\d+)/m.exec(page)?.[1]);
}

async function untilStatus(status: number, ask: () => ReturnType<Account["call"]>) {
  const until = Date.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (answer.status === status) return answer;
    if (Date.now() > until) throw new Error(`${status} did not come; the last was ${answer.status}`);
  }
}

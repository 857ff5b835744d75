// How much an address and an account may do, over the wire: a script runs into 429 with the time to wait, people and polling clients
// do not, forwarded addresses count only from trusted proxies, and the switch switches it off.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import nacl from "tweetnacl";
import { type Answer, call, newAccount } from "../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";
import { newKeys, signed } from "../../../test/support/sign-in.ts";
import { networkOf } from "../../limits/network.ts";
import { RateLimits } from "./rate-limits.ts";

// Bursts are many calls, and other tests may have the machine.
setDefaultTimeout(60_000);

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

/** From an address of its own, as a proxy on this machine tells it. */
async function from(address: string, method: string, path: string, body?: unknown, token?: string) {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: {
      "x-forwarded-for": address,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json(), headers: response.headers } as Answer;
}

/** Calls, some at a time, until one is refused. @returns how many were not. */
async function untilRefused(ask: () => Promise<Answer>, bound: number): Promise<[number, Answer]> {
  for (let passed = 0; passed < bound; ) {
    const answers = await Promise.all(Array.from({ length: 10 }, ask));
    const refused = answers.find(({ status }) => status === 429);
    passed += answers.filter(({ status }) => status !== 429).length;
    if (refused !== undefined) return [passed, refused];
  }
  throw new Error(`none of ${bound} calls was refused`);
}

function expectRefusal({ body, headers }: Answer): void {
  expect(Object.keys(body)).toEqual(["error"]);
  expect(body.error).toMatch(/^Too many .*\.$/);
  expect(Number(headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(headers.get("access-control-allow-origin")).toBe("*");
}

describe("sign-in", () => {
  test("of one address ends after a burst of 120; others, and everything else of this one, go on", async () => {
    const { token } = await newAccount(server.url);
    const junk = { publicKey: "AAAA", challenge: "", signature: "" };
    const [passed, refused] = await untilRefused(() => from("203.0.113.1", "POST", "/v1/auth", junk), 1_000);
    expect(passed).toBeGreaterThanOrEqual(120);
    expectRefusal(refused);
    expect((await from("203.0.113.1", "POST", "/v1/auth", signed(newKeys()))).status).toBe(429);
    expect((await from("203.0.113.2", "POST", "/v1/auth", signed(newKeys()))).status).toBe(200);
    for (let call = 0; call < 50; call++)
      expect((await from("203.0.113.1", "GET", "/v1/sessions", undefined, token)).status).toBe(200);
  });

  test("of one key ends after a burst of 30, from however many addresses; whoever does not hold it cannot use it up", async () => {
    const keys = newKeys();
    let address = 0;
    const next = () => `198.51.100.${++address % 250}`;
    const forged = { ...signed(newKeys()), publicKey: signed(keys).publicKey };
    for (let call = 0; call < 40; call++)
      expect((await from(next(), "POST", "/v1/auth", forged)).status).toBe(401);
    const [passed, refused] = await untilRefused(() => from(next(), "POST", "/v1/auth", signed(keys)), 200);
    expect(passed).toBeGreaterThanOrEqual(30);
    expectRefusal(refused);
    expect((await from(next(), "POST", "/v1/auth", signed(newKeys()))).status).toBe(200);
  });
});

describe("pairing", () => {
  const path = () =>
    `/v1/auth/request/status?publicKey=${encodeURIComponent(Buffer.from(nacl.randomBytes(32)).toString("base64"))}`;

  test("of one address: twenty devices that poll every second for ten minutes are served, a script is not", async () => {
    let now = 0;
    const limits = new RateLimits(() => now);
    for (let second = 0; second < 600; second++, now += 1_000)
      for (let device = 0; device < 20; device++)
        expect(limits.address("pairing", "192.0.2.1")).toBeUndefined();
    const [passed, refused] = await untilRefused(() => from("192.0.2.1", "GET", path()), 5_000);
    expect(passed).toBeGreaterThanOrEqual(600);
    expectRefusal(refused);
    expect((await from("192.0.2.2", "GET", path())).status).toBe(200);
  });

  test("approvals of one account end after a burst of 60", async () => {
    const [one, other] = [await newAccount(server.url), await newAccount(server.url)];
    const body = { publicKey: Buffer.from(nacl.randomBytes(32)).toString("base64"), response: "x" };
    const [passed, refused] = await untilRefused(() => one.call("POST", "/v1/auth/response", body), 500);
    expect(passed).toBeGreaterThanOrEqual(60);
    expectRefusal(refused);
    expect((await other.call("POST", "/v1/auth/response", body)).status).toBe(404);
  });
});

test("uploads of one account end after a burst of 300, and what was not read of one is not read as a request", async () => {
  const [one, other] = [await newAccount(server.url), await newAccount(server.url)];
  const put = async ({ token }: { token: string }): Promise<Answer> => {
    const response = await fetch(`${server.url}/v1/sessions/none/attachments/a.enc`, {
      method: "PUT",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/octet-stream" },
      body: "GET / HTTP/1.1\r\n\r\n".repeat(10),
    });
    return { status: response.status, body: await response.json(), headers: response.headers };
  };
  const [passed, refused] = await untilRefused(() => put(one), 2_000);
  expect(passed).toBeGreaterThanOrEqual(300);
  expectRefusal(refused);
  expect((await put(other)).status).toBe(404);
});

test("an address that an untrusted client claims is not believed", async () => {
  const strict = await testServer({ trustedProxies: [] });
  try {
    let address = 0;
    const [passed] = await untilRefused(async () => {
      const response = await fetch(`${strict.url}/v1/auth`, {
        method: "POST",
        headers: { "x-forwarded-for": `203.0.113.${++address % 250}` },
      });
      return { status: response.status, body: await response.json(), headers: response.headers };
    }, 1_000);
    expect(passed).toBeLessThan(250);
  } finally {
    await strict.stop();
  }
});

test("switched off, nothing is limited", async () => {
  const free = await testServer({ rateLimits: false });
  try {
    const keys = newKeys();
    for (let times = 0; times < 150; times++)
      expect((await call(free.url, undefined, "POST", "/v1/auth", signed(keys))).status).toBe(200);
  } finally {
    await free.stop();
  }
});

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:DB8:1:2::9", "2001:db8:1:2"],
  ["2001:db8::1", "2001:db8:0:0"],
  ["::1", "0:0:0:0"],
  ["fe80::1%eth0", "fe80:0:0:0"],
  ["64:ff9b::192.0.2.1", "64:ff9b:0:0"],
  ["", ""],
])("%p calls from the network %p", (address, network) => expect(networkOf(address)).toBe(network));

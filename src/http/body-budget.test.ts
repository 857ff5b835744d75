// A plain Hono app with the neutral middleware: whose body is read, how much of it, and what is given back.
import { beforeEach, describe, expect, spyOn, test } from "bun:test";
import { Hono } from "hono";
import { testLimits } from "../../test/support/limits.ts";
import { requestFacts } from "../../test/support/request-facts.ts";
import type { Limits } from "../limits/limits.ts";
import type { RequestFacts } from "../server/request-facts.ts";
import { type BearerEnv, bearer } from "./bearer.ts";
import { type BodyEnv, bodyBudget } from "./body-budget.ts";
import { type BodyRefusal, BodyRefused } from "./request-body.ts";

const MIB = 1024 * 1024;
const STATUS: Partial<Record<BodyRefusal, number>> = { "too-large": 413, busy: 503, "too-much-work": 429 };

class Refused extends Error {}

let limits: Limits;
let areStrangersLimited: boolean;
let held: number;
let app: Hono<BodyEnv>;

beforeEach(() => {
  limits = testLimits({ maxBodyBytesInFlight: 32 * MIB });
  areStrangersLimited = true;
  const budget = bodyBudget({
    limits,
    accountBytes: () => 16 * MIB,
    strangerBytes: () => 1_000,
    areStrangersLimited: () => areStrangersLimited,
  });
  const account = bearer<{ account: string }>({
    verify: (token) => {
      if (token === "wrong") throw new Refused("wrong token");
      return { account: token };
    },
    accountOf: (claims) => claims.account,
    refused: (why) => new Refused(why),
  });
  app = new Hono<BodyEnv>();
  app.post("/open", budget, async (c) => c.json(await c.var.body.json()));
  app.post("/unread", budget, (c) => c.json({ ok: true }));
  const own = new Hono<BearerEnv<{ account: string }>>();
  own.post("/own", budget, account, async (c) => {
    const json = await c.var.body.json();
    held = limits.bodies.heldBytes;
    return c.json({ of: c.var.claims.account, length: JSON.stringify(json).length });
  });
  app.route("/", own);
  app.onError((error, c) => {
    if (error instanceof BodyRefused) return c.json({ code: error.code }, (STATUS[error.code] ?? 400) as 400);
    return c.json({ error: error.message }, error instanceof Refused ? 401 : 500);
  });
});

const post = async (path: string, body: string, token?: string, facts?: RequestFacts) => {
  const headers = {
    "content-length": String(Buffer.byteLength(body)),
    ...(token && { authorization: token }),
  };
  const request = new Request(`http://roost${path}`, { method: "POST", body, headers });
  const answer = await app.fetch(request, facts ?? requestFacts({ addresses: limits.addresses }));
  return {
    status: answer.status,
    json: (await answer.json()) as unknown,
    closes: answer.headers.get("connection") === "close",
  };
};

const text = (bytes: number) => JSON.stringify("x".repeat(bytes - 2));

describe("a stranger", () => {
  test("sends a small body", async () => {
    expect(await post("/open", '{"a":[1]}')).toEqual({ status: 200, json: { a: [1] }, closes: false });
    expect((await post("/open", text(1_000))).status).toBe(200);
    expect(limits.bodies.heldBytes).toBe(0);
  });

  test("is refused more than that before it is read, and the connection ends", async () => {
    expect(await post("/open", text(1_001))).toEqual({
      status: 413,
      json: { code: "too-large" },
      closes: true,
    });
  });

  test("is charged for what was parsed, good or bad, and an account is not", async () => {
    const charged = spyOn(limits.strangers, "charge");
    await post("/open", "[1]");
    await post("/open", "{");
    await post("/own", "[1]", "Bearer me");
    const workMs = expect.any(Number);
    expect(charged.mock.calls).toEqual([
      ["203.0.113.7", { bytes: 3, workMs }],
      ["203.0.113.7", { bytes: 1, workMs }],
    ]);
  });

  test("is refused from an address that has cost too much, unless nobody is", async () => {
    const address = "198.51.100.9";
    limits.strangers.charge(address, { bytes: Number.MAX_SAFE_INTEGER });
    const refused = await post("/open", "{}", undefined, requestFacts({ address }));
    expect(refused).toEqual({ status: 429, json: { code: "too-much-work" }, closes: true });
    areStrangersLimited = false;
    expect((await post("/open", "{}", undefined, requestFacts({ address }))).status).toBe(200);
  });

  test("waits among strangers while the body is on its way", async () => {
    let controller: ReadableStreamDefaultController | undefined;
    const body = new ReadableStream({
      start: (given) => {
        controller = given;
      },
    });
    const request = new Request("http://roost/open", { method: "POST", body });
    const answer = app.fetch(request, requestFacts());
    await Bun.sleep(0);
    expect(limits.strangers.waiting).toBe(1);
    controller?.enqueue(Buffer.from("[]"));
    controller?.close();
    expect((await answer).status).toBe(200);
    expect(limits.strangers.waiting).toBe(0);
  });

  test.each([
    ["{", "not-json"],
    ["", "not-json"],
    ["[".repeat(300), "too-deep"],
  ] as const)("hears what is wrong with %j", async (body, code) => {
    // What was read to its end is no reason to end the connection.
    expect(await post("/open", body)).toEqual({ status: 400, json: { code }, closes: false });
  });

  test("that is nested too deeply is counted among the bounds", async () => {
    await post("/open", "[".repeat(300));
    expect(limits.bounds.counts()["json-depth"]).toBe(1);
  });
});

describe("behind the bearer middleware", () => {
  test.each([
    [undefined, "missing"],
    ["Basic x", "malformed"],
    ["Bearer ", "malformed"],
    ["Bearer wrong", "wrong token"],
  ])("%p does not get its body read", async (token, error) => {
    const body = text(100);
    expect(await post("/own", body, token)).toEqual({ status: 401, json: { error }, closes: true });
  });

  test("an account sends what its protocol permits, and its address is known from then on", async () => {
    const { json } = await post("/own", text(10_000), "Bearer me");
    expect(json).toEqual({ of: "me", length: 10_000 });
    expect(limits.addresses.standing("203.0.113.7")).toBe("known");
    expect(limits.bodies.strangerBytes).toBe(0);
  });

  test("a large body is counted while it is handled, and handled in turn", async () => {
    const endTurn = await limits.largeBodies.turn("other");
    let isAnswered = false;
    const answer = post("/own", text(6 * MIB), "Bearer me").finally(() => {
      isAnswered = true;
    });
    while (limits.bodies.heldBytes < 6 * MIB) await Bun.sleep(1);
    expect(isAnswered).toBe(false);
    endTurn();
    expect((await answer).json).toEqual({ of: "me", length: 6 * MIB });
    expect(held).toBe(6 * MIB);
    expect(limits.bodies.heldBytes).toBe(0);
    // The turn has ended too.
    (await limits.largeBodies.turn("next"))();
  });

  test("beyond the budget of all bodies it is asked to come again", async () => {
    const other = limits.bodies.share({ clientAddress: "192.0.2.1" });
    other.authenticated();
    other.take(30 * MIB);
    expect(await post("/own", text(6 * MIB), "Bearer me")).toMatchObject({
      status: 503,
      json: { code: "busy" },
    });
    expect(limits.bodies.heldBytes).toBe(30 * MIB);
  });
});

test("a success that left the body unread keeps the connection", async () => {
  expect(await post("/unread", "{}")).toEqual({ status: 200, json: { ok: true }, closes: false });
});

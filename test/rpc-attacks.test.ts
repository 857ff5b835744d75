// What a caller could do to the others, through the real listener: answers that cannot be written, that nobody reads, or that are too large
// together; what is held for a stream; whose tasks, keys, streams and health somebody sees; names in headers.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { decode } from "@msgpack/msgpack";
import { messageType } from "../src/rpc/formats/aduib-proto.ts";
import type { MethodDefinition } from "../src/rpc/registry/definition.ts";
import { RpcError } from "../src/rpc/wire/rpc-error.ts";
import { type RpcRoom, rpcRoom, stream } from "./support/rpc-room.ts";
import { type Json, KEY, type Served, served, sha256, stopServers } from "./support/rpc-server.ts";
import { RpcStreamClient } from "./support/rpc-stream-client.ts";
import { until } from "./support/until.ts";

setDefaultTimeout(30_000);
const MIB = 1024 * 1024;
const FORMATS = ["application/json", "application/msgpack", "application/protobuf", "application/avro"];
let room: RpcRoom | undefined;
afterEach(async () => {
  await room?.stop();
  room = undefined;
});
afterAll(stopServers);

const method = (handler: string, run: MethodDefinition["run"]): MethodDefinition => ({
  service: "OddService",
  handler,
  source: "builtin",
  run,
});

function circular(): unknown {
  const self: unknown[] = [];
  self.push(self);
  return self;
}

describe("an answer", () => {
  test.each(FORMATS)("that cannot be written is an error of the protocol: %s", async (accept) => {
    room = await rpcRoom({
      methods: [
        method("Circle", circular),
        method("Big", () => ({ n: 5n, list: circular() })),
        method("Code", () => {
          throw new RpcError(5_000_000_000);
        }),
      ],
    });
    for (const handler of ["Circle", "Big", "Code"]) {
      const answer = await fetch(`${room.url}/aduib_rpc/v2/rpc`, {
        method: "POST",
        headers: { accept, "content-type": "application/json" },
        body: JSON.stringify({ id: "1", method: `rpc.v2/OddService/${handler}` }),
      });
      expect([handler, answer.status, answer.headers.get("content-type")?.split(";")[0]]).toEqual([
        handler,
        500,
        accept,
      ]);
      const bytes = new Uint8Array(await answer.arrayBuffer());
      const error: Json =
        accept === "application/json"
          ? JSON.parse(Buffer.from(bytes).toString()).error
          : accept === "application/msgpack"
            ? (decode(bytes) as Json).error
            : accept === "application/protobuf"
              ? (messageType("Response").decode(bytes) as Json).error
              : { code: bytes.includes(0xc3) ? 5000 : 0 };
      expect([handler, error.code]).toEqual([handler, 5000]);
    }
    const { body } = await odd(room, "/aduib_rpc", {
      jsonrpc: "2.0",
      id: 1,
      method: "rpc.v2/OddService/Circle",
    });
    expect(body.error).toMatchObject({ code: 5000, data: { name: "INTERNAL_ERROR" } });
  });

  test.each(FORMATS.slice(1, 3))("has whole characters in every format: %s", async (accept) => {
    room = await rpcRoom({
      methods: [
        method("Half", () => ({ "k\ud800": "a\ud800", list: ["\udc00", "ok"] })),
        method("Error", () => {
          throw new RpcError(4000, {
            message: "x\ud800",
            details: [{ type: "t", reason: "\udfff", field: "\ud800" }],
          });
        }),
      ],
    });
    for (const handler of ["Half", "Error"]) {
      const answer = await fetch(`${room.url}/aduib_rpc/v2/rpc`, {
        method: "POST",
        headers: { accept, "content-type": "application/json", "accept-encoding": "identity" },
        body: JSON.stringify({ id: "1", method: `rpc.v2/OddService/${handler}` }),
      });
      const bytes = Buffer.from(await answer.arrayBuffer());
      // What half a character would be as bytes.
      expect([handler, /\xed[\xa0-\xbf]/.test(bytes.toString("latin1"))]).toEqual([handler, false]);
      expect(bytes.includes("\ufffd")).toBe(true);
    }
  });

  test("that nobody reads is counted, and given up when memory is needed", async () => {
    room = await rpcRoom({
      methods: [method("Large", () => "x".repeat(4 * MIB))],
      maxMemoryBytes: 16 * MIB,
    });
    const { port, limits } = room;
    const sockets: Socket[] = [];
    const body = JSON.stringify({ id: "1", method: "rpc.v2/OddService/Large" });
    const head = `POST /aduib_rpc/v2/rpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    for (let reader = 0; reader < 10; reader++) {
      const socket = connect(port, "127.0.0.1", () => socket.write(head + body));
      socket.on("error", () => {});
      socket.pause();
      sockets.push(socket);
    }
    await until("large answers that wait", () => limits.queues.held() >= 8 * MIB);
    await until("others that had to go", () => limits.queues.size <= 4);
    expect(limits.queues.held()).toBeLessThanOrEqual(16 * MIB);
    // Who reads gets everything all the while.
    const answer = await room.call("rpc.v2/OddService/Large");
    expect(((await answer.json()) as Json).result).toHaveLength(4 * MIB);
    for (const socket of sockets) socket.destroy();
    await until("nothing to be held", () => limits.queues.held() === 0);
  });

  test("of a batch is bounded as a whole: what does not fit says so, and the rest is there", async () => {
    let runs = 0;
    const large = () => {
      runs++;
      return "x".repeat(300_000);
    };
    room = await rpcRoom({
      methods: [method("Large", large)],
      document: { protocol: { max_expanded_bytes: 1_000_000 } },
    });
    const call = (id: number) => ({ jsonrpc: "2.0", id, method: "rpc.v2/OddService/Large" });
    const { body } = await odd(
      room,
      "/aduib_rpc",
      Array.from({ length: 50 }, (_, id) => call(id)),
    );
    expect(body.map(({ id }: Json) => id)).toEqual(Array.from({ length: 50 }, (_, id) => id));
    expect(body.filter(({ result }: Json) => result !== undefined)).toHaveLength(3);
    expect(
      body.filter(({ error }: Json) => error?.code === 5021 && error.data.name === "RESOURCE_EXHAUSTED"),
    ).toHaveLength(47);
    expect(runs).toBe(50);
  });
});

async function odd({ url }: { readonly url: string }, path: string, body: unknown) {
  const answer = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Json };
}

describe("a request", () => {
  test("may be as large as the contract says, from any address, without a proof", async () => {
    const one = await served();
    for (const mib of [1.2, 3.9])
      expect((await one.call("EchoService/Echo", { text: "x".repeat(mib * MIB) })).status).toBe(200);
    const above = await one.call("EchoService/Echo", { text: "x".repeat(4 * MIB) });
    expect(above).toMatchObject({ status: 400, body: { error: { code: 2004 } } });
  });

  test("has at most so many values, however few bytes they are", async () => {
    const one = await served();
    const lists = (count: number) =>
      `{"id":"1","method":"rpc.v2/EchoService/Echo","data":{"a":[${"[],".repeat(count)}0]}}`;
    expect((await one.post("/v2/rpc", lists(190_000))).status).toBe(200);
    expect(await one.post("/v2/rpc", lists(260_000))).toMatchObject({
      status: 400,
      body: { error: { code: 2004 } },
    });
  });

  test("is held as long as its stream, and counted as long", async () => {
    room = await rpcRoom();
    const { limits, url } = room;
    const client = await RpcStreamClient.open(url, stream("Idle", { ms: 600_000, filler: "x".repeat(MIB) }));
    await until("what it holds to be counted", () => limits.queues.held() >= MIB);
    client.leave();
    await until("it to be gone", () => limits.queues.held() === 0);
  });

  test("that holds too much ends when memory is needed, with a word", async () => {
    room = await rpcRoom({ maxMemoryBytes: 8 * MIB });
    const { url, streams } = room;
    const open = () =>
      RpcStreamClient.open(url, stream("Idle", { ms: 600_000, filler: "x".repeat(3 * MIB) }));
    const clients = [await open(), await open(), await open()];
    await until("one of them to go", () => streams.list.size === 2);
    const ended = await until("its client to hear", () => clients.find(({ last }) => last?.type === "end"));
    expect(ended.frames.map(({ data }) => data.type)).toEqual(["error", "end"]);
    for (const client of clients) client.leave();
  });
});

test("a call whose deadline passed before its handler began says nothing against its service", async () => {
  room = await rpcRoom({ document: { resilience: { circuit_breaker: { failure_threshold: 2 } } } });
  const { port } = room;
  const body = JSON.stringify({ id: "1", method: "rpc.v2/EchoService/Echo", qos: { timeout_ms: 1 } });
  for (let late = 0; late < 3; late++) {
    // The rest of the body comes when the deadline is over.
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", async () => {
        socket.write(
          `POST /aduib_rpc/v2/rpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`,
        );
        await Bun.sleep(50);
        socket.write(body.slice(10));
      });
      socket.on("data", (bytes) => {
        resolve(bytes.toString());
        socket.destroy();
      });
      socket.on("error", reject);
    });
    expect(answer).toContain("504");
  }
  expect((await room.call("rpc.v2/EchoService/Echo")).status).toBe(200);
});

test("short deadlines of one caller close no method to the others; those of the server itself do", async () => {
  const breaker = { circuit_breaker: { failure_threshold: 2 } };
  const one = await served({ resilience: breaker, qos: { default_timeout_ms: 2_000 } });
  const sleep = (ms: number, qos: object = {}) => one.call("DemoService/Sleep", { ms }, { qos });
  for (let short = 0; short < 3; short++)
    expect(await sleep(60_000, { timeout_ms: 50 })).toMatchObject({
      status: 504,
      body: { error: { code: 5003 } },
    });
  expect((await sleep(1)).status).toBe(200);
  for (const qos of [{}, { timeout_ms: 2_000 }])
    expect(await sleep(60_000, qos)).toMatchObject({ status: 504, body: { error: { code: 5003 } } });
  expect(await sleep(1)).toMatchObject({ status: 503, body: { error: { code: 5010 } } });
});

test("a task is kept waiting for a year at most", async () => {
  const one = await served();
  const submit = (scheduled_at_ms: number) =>
    one.call("TaskService/Submit", { target_method: "rpc.v2/EchoService/Echo", scheduled_at_ms });
  const day = 24 * 3_600_000;
  expect((await submit(Date.now() + 365 * day)).status).toBe(200);
  expect(await submit(Date.now() + 400 * day)).toMatchObject({
    status: 400,
    body: { error: { code: 2003, details: [{ field: "scheduled_at_ms" }] } },
  });
});

test.each(["sqlite", "memory"])(
  "who proved nothing crowds no tenant out, under whatever names: %s",
  async (store) => {
    const one = await served({
      security: { api_keys: [{ sha256: sha256(KEY), principal: "robot", tenant: "acme" }] },
      qos: { idempotency_max_entries: 16 },
      tasks: { max: 16, store },
      idempotency: { store },
    });
    const proved = { "x-api-key": KEY };
    const invented = () => ({ "x-tenant-id": Math.random() < 0.5 ? "acme" : crypto.randomUUID() });
    const counted = (key: string, headers: Record<string, string>) =>
      one.call("CounterService/Increment", { key }, { qos: { idempotency_key: key } }, headers);
    expect((await counted("of acme", proved)).body.result).toEqual({ count: 1 });
    const later = { target_method: "rpc.v2/EchoService/Echo", scheduled_at_ms: Date.now() + 3_600_000 };
    const submit = (headers: Record<string, string>) => one.call("TaskService/Submit", later, {}, headers);
    const codes: (number | undefined)[] = [];
    for (let n = 0; n < 20; n++) {
      await counted(crypto.randomUUID(), invented());
      codes.push((await submit(invented())).body.error?.code);
    }
    expect(codes.indexOf(5021)).toBe(14);
    // A retry is no second run, and a task finds room.
    const again = await counted("of acme", proved);
    expect(again.body).toMatchObject({
      result: { count: 1 },
      metadata: { headers: { "idempotent-replay": "true" } },
    });
    expect((await submit(proved)).status).toBe(200);
  },
);

describe("tenants", () => {
  let one: Served;
  beforeAll(async () => {
    one = await served({ resilience: { circuit_breaker: { failure_threshold: 2 } } });
  });
  const as = (tenant: string) => ({ "x-tenant-id": tenant });

  test("see no task of another one, and neither cancel nor follow it", async () => {
    const submitted = await one.call(
      "TaskService/Submit",
      {
        target_method: "rpc.v2/DemoService/Sleep",
        params: { ms: 20_000 },
      },
      {},
      as("a"),
    );
    const { task_id } = submitted.body.result;
    for (const handler of ["Query", "Cancel"]) {
      const answer = await one.call(`TaskService/${handler}`, { task_id }, {}, as("b"));
      expect([handler, answer.status, answer.body.error.code]).toEqual([handler, 404, 4000]);
    }
    expect(await one.post("/v2/TaskService/Subscribe", { task_id }, as("b"))).toMatchObject({ status: 404 });
    expect((await one.call("TaskService/Cancel", { task_id }, {}, as("a"))).body.result.canceled).toBe(true);
  });

  test("are told of their own breakers only", async () => {
    for (let call = 0; call < 3; call++) await one.call("DemoService/Fail", null, {}, as("a"));
    const health = async (tenant: string) =>
      (await one.call("HealthService/Check", { service: "DemoService" }, {}, as(tenant))).body.result.status;
    await until("the health of its own", async () => (await health("a")) === "degraded");
    expect(await health("b")).toBe("healthy");
  });

  test("share no idempotency key and no stream", async () => {
    const keyed = (tenant: string) =>
      one.call("CounterService/Increment", { key: "shared" }, { qos: { idempotency_key: "k" } }, as(tenant));
    expect((await keyed("a")).body.result).toEqual({ count: 1 });
    expect((await keyed("b")).body.result).toEqual({ count: 2 });
    const client = await RpcStreamClient.open(one.url, stream("Count", { n: 1_000, delay_ms: 50 }), as("a"));
    const cancel = { stream_id: client.id, message: { type: "cancel" } };
    expect(await one.post("/v2/rpc/stream/control", cancel, as("b"))).toMatchObject({ status: 404 });
    expect((await one.post("/v2/rpc/stream/control", cancel, as("a"))).body.result.accepted).toBe(true);
    await client.over();
  });

  test("are named once: a header that names two, or none that there can be, is refused", async () => {
    for (const tenant of ["a, b", "a|b", "a b", "../b", "x".repeat(129)])
      expect(await one.call("EchoService/Echo", null, {}, as(tenant))).toMatchObject({
        status: 400,
        body: { error: { code: 2003, details: [{ field: "header.x-tenant-id" }] } },
      });
    // What the envelope says comes before headers, which a proxy may add; its own headers name no tenant.
    const metadata = { timestamp_ms: 1, headers: { "X-Tenant-ID": "b", "X-Forwarded-For": "9.9.9.9" } };
    const { body } = await one.call("DemoService/WhoAmI", null, { metadata }, as("a"));
    expect(body.result.tenant).toBe("a");
    expect(body.result.headers["x-tenant-id"]).toBe("a");
    expect(body.result.headers["x-forwarded-for"]).toBeUndefined();
  });
});

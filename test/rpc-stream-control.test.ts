// How a stream ends before its last item, and who may say so (V27, V28, V43): its client by a request or by leaving, its deadline,
// acknowledgements that do not come, the server that stops.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { rpcRoom, stream } from "./support/rpc-room.ts";
import { type Served, served } from "./support/rpc-server.ts";
import type { RpcStreamClient } from "./support/rpc-stream-client.ts";
import { rpcStreams } from "./support/rpc-streams.ts";
import { until } from "./support/until.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

const { url, post, room, open, state, figures } = rpcStreams();

describe("a stream that its client does not want any more", () => {
  const slow = stream("Count", { n: 1_000, delay_ms: 50 });

  test("is cancelled by a request about it, says so and ends (V27)", async () => {
    const { aborts } = await state();
    const client = await open(url(), slow);
    await client.has(1);
    const body = {
      stream_id: client.id,
      message: { type: "cancel", payload: { control: { reason: "user" } } },
    };
    const answer = await post("/rpc/stream/control", body);
    const told = (await answer.json()) as { id: string; result: Record<string, unknown> };
    await client.over();
    const data = client.items.length;
    expect([answer.status, told]).toMatchObject([
      200,
      {
        id: "request-1",
        status: "success",
        result: {
          stream_id: client.id,
          state: "cancelled",
          accepted: true,
          last_sequence: data + 2,
          acked_sequence: 0,
        },
      },
    ]);
    expect(client.frames.slice(-2).map(({ data: { type, payload } }) => [type, payload])).toEqual([
      ["cancel", { control: { reason: "user" } }],
      ["end", { control: { final: true, total_count: data, reason: "cancelled" } }],
    ]);
    expect(client.ended).toBe("whole");
    await until("the handler to hear", async () => (await state()).aborts === aborts + 1);
    const again = await post("/rpc/stream/control", body);
    expect([again.status, await again.json()]).toMatchObject([
      200,
      { result: { accepted: false, state: "cancelled", last_sequence: data + 2 } },
    ]);
    const unknown = await post("/rpc/stream/control", { ...body, stream_id: crypto.randomUUID() });
    expect([unknown.status, await unknown.json()]).toMatchObject([
      404,
      { error: { code: 4000, details: [{ type: "aduib.rpc/stream", field: "stream_id" }] } },
    ]);
  });

  test("ends when the client leaves: the handler hears within a second, and nothing is held for it (V28)", async () => {
    const { aborts } = await state();
    const client = await open(url(), slow);
    await client.has(3);
    const left = performance.now();
    client.leave();
    await until("the handler to hear", async () => (await state()).aborts === aborts + 1, 5_000);
    expect(performance.now() - left).toBeLessThan(1_000);
    expect((await state()).running).toBe(0);
    expect(await figures()).toContain('rpc_streams_active{service="StreamService"} 0');
  });

  test("a client that leaves while the handler has nothing yet", async () => {
    const { aborts } = await state();
    const client = await open(url(), stream("Idle", { ms: 60_000 }));
    await until("it to run", async () => (await state()).running === 1);
    client.leave();
    await until("the handler to hear", async () => (await state()).aborts === aborts + 1);
  });

  test("is no fault of its service, and no line above info", async () => {
    const one = await room({ document: { resilience: { circuit_breaker: { failure_threshold: 1 } } } });
    const [left, cancelled] = [await open(one.url, slow), await open(one.url, slow)];
    await Promise.all([left.has(1), cancelled.has(1)]);
    left.leave();
    await one.control({ stream_id: cancelled.id, message: { type: "cancel" } });
    await until("both", () => one.heard.length >= 4);
    expect(one.heard.toSorted()).toEqual([
      "cancelled stream by cancel",
      "cancelled stream by disconnect",
      "ended rpc.v2/StreamService/Count error 200",
      "ended rpc.v2/StreamService/Count error 200",
      "ended rpc.v2/stream/control success 200",
    ]);
    expect([...one.guards.bulkheads()].map(({ active }) => active)).toEqual([0]);
    expect(one.lines.filter((line) => JSON.parse(line).level > 30)).toEqual([]);
    const next = await open(one.url, stream("Count", { n: 1 }));
    await next.over();
    expect(next.types).toEqual(["data", "end"]);
  });
});

describe("the deadline of a stream", () => {
  test("is the whole stream's, and is told", async () => {
    const { aborts } = await state();
    const client = await open(
      url(),
      stream("Count", { n: 1_000, delay_ms: 50 }, { qos: { timeout_ms: 300 } }),
    );
    await client.over();
    expect(client.types.slice(-2)).toEqual(["error", "end"]);
    expect(client.frames.at(-2)?.data.payload.error).toMatchObject({ code: 5003, name: "TIMEOUT" });
    expect(client.last.payload.control).toEqual({
      final: true,
      total_count: client.items.length,
      reason: "error",
    });
    expect((await state()).aborts).toBe(aborts + 1);
  });

  test("is none where its client named none", async () => {
    const one = await served({ qos: { default_timeout_ms: 100 } });
    const client = await open(one.url, stream("Idle", { ms: 500 }));
    await client.over();
    expect(client.types).toEqual(["data", "end"]);
  });
});

describe("acknowledgements", () => {
  const ack = (one: Served, client: RpcStreamClient, sequence: number) =>
    one.post("/v2/rpc/stream/control", {
      stream_id: client.id,
      message: { type: "ack", payload: { control: { ack_sequence: sequence } } },
    });

  test("let a stream be as far ahead as the window, whatever else goes out (V43)", async () => {
    const one = await served({ stream: { ack_window: 2, heartbeat_interval_ms: 100 } });
    const client = await open(one.url, stream("Count", { n: 6 }));
    const beats = () => client.types.filter((type) => type === "heartbeat").length;
    await until("heartbeats", () => beats() >= 3);
    expect(client.items).toEqual([{ index: 0 }, { index: 1 }]);
    const answer = await ack(one, client, 2);
    expect(answer.body).toMatchObject({
      result: { stream_id: client.id, state: "active", accepted: true, acked_sequence: 2 },
    });
    const before = beats();
    await until("further heartbeats", () => beats() >= before + 3);
    expect(client.items.length).toBe(4);
    const wrong = await ack(one, client, 99_999);
    expect([wrong.status, wrong.body]).toMatchObject([
      400,
      { error: { code: 2003, details: [{ field: "message.payload.control.ack_sequence" }] } },
    ]);
    // Less than before changes nothing.
    const less = await ack(one, client, 1);
    expect(less.body).toMatchObject({ result: { accepted: true, acked_sequence: 2 } });
    await until("the end", async () => {
      if (client.ended === undefined) await ack(one, client, client.sequences.at(-1) ?? 0);
      return client.ended;
    });
    expect(client.last.payload.control).toEqual({ final: true, total_count: 6 });
  });

  test("that never come end the stream, and do not count against its service", async () => {
    const document = {
      stream: { ack_window: 1, max_idle_ack_ms: 300 },
      resilience: { circuit_breaker: { failure_threshold: 1 } },
    };
    const one = await room({ document });
    const client = await open(one.url, stream("Count", { n: 6 }));
    await client.over();
    expect(client.types).toEqual(["data", "error", "end"]);
    expect(client.frames[1]?.data.payload.error.code).toBe(5003);
    expect([...one.guards.bulkheads()].map(({ active }) => active)).toEqual([0]);
    const next = await open(one.url, stream("Count", { n: 0 }));
    await next.over();
    expect(next.types).toEqual(["end"]);
  });

  test("are recorded where there is no window", async () => {
    const client = await open(url(), stream("Count", { n: 1_000, delay_ms: 20 }));
    await client.has(2);
    const body = {
      stream_id: client.id,
      message: { type: "ack", payload: { control: { ack_sequence: 2 } } },
    };
    const answer = await post("/rpc/stream/control", body);
    expect(await answer.json()).toMatchObject({ result: { accepted: true, acked_sequence: 2 } });
    expect(await figures()).toMatch(/rpc_stream_frames_total\{type="ack"\} 1/);
  });
});

describe("a request about a stream that says nothing clear", () => {
  const cancel = { message: { type: "cancel" } };
  test.each([
    ["no object", [], 1002, undefined],
    ["no stream", cancel, 1002, "stream_id"],
    ["no message", { stream_id: "x" }, 1002, "message"],
    ["a message of no type", { stream_id: "x", message: {} }, 1002, "message.type"],
    ["another type", { stream_id: "x", message: { type: "data" } }, 2003, "message.type"],
    [
      "an ack of nothing",
      { stream_id: "x", message: { type: "ack" } },
      1002,
      "message.payload.control.ack_sequence",
    ],
    [
      "an ack of no number",
      { stream_id: "x", message: { type: "ack", payload: { control: { ack_sequence: "2" } } } },
      1002,
      "message.payload.control.ack_sequence",
    ],
    [
      "a reason of no text",
      { stream_id: "x", message: { type: "cancel", payload: { control: { reason: 5 } } } },
      1002,
      "message.payload.control.reason",
    ],
    ["an id that is no text", { stream_id: 5, ...cancel }, 1002, "stream_id"],
    [
      "a tenant that is none",
      { stream_id: "x", ...cancel, metadata: { tenant_id: "a b" } },
      2003,
      "metadata.tenant_id",
    ],
  ])("%s", async (_name, body, code, field) => {
    const answer = await post("/rpc/stream/control", body);
    const told = (await answer.json()) as { error: { code: number; details: { field?: string }[] } };
    expect([answer.status, told.error.code, told.error.details[0]?.field]).toEqual([400, code, field]);
  });

  test("by the id of its request finds nothing for who proved nothing", async () => {
    const client = await open(url(), stream("Count", { n: 1_000, delay_ms: 50 }, { id: "mine" }));
    const answer = await post("/rpc/stream/control", { id: "mine", ...cancel });
    expect([answer.status, await answer.json()]).toMatchObject([404, { id: "mine", error: { code: 4000 } }]);
    expect(client.ended).toBeUndefined();
  });
});

test("whose stream it is decides: another tenant or principal finds none, its owner finds it by its request too", async () => {
  const sha = (key: string) => new Bun.CryptoHasher("sha256").update(key).digest("hex");
  const document = {
    security: {
      api_keys: [
        { sha256: sha("key-a"), principal: "a" },
        { sha256: sha("key-b"), principal: "b" },
      ],
    },
  };
  const one = await room({ document });
  const slow = stream("Count", { n: 1_000, delay_ms: 50 });
  const a = { "x-api-key": "key-a" };
  const client = await open(one.url, slow, { ...a, "x-tenant-id": "acme" });
  const cancel = { stream_id: client.id, message: { type: "cancel" } };
  const others: Record<string, string>[] = [
    {},
    { "x-tenant-id": "acme" },
    { ...a, "x-tenant-id": "other" },
    { "x-api-key": "key-b", "x-tenant-id": "acme" },
  ];
  for (const headers of others) expect((await one.control(cancel, headers)).status).toBe(404);
  const twin = await open(one.url, slow, { ...a, "x-tenant-id": "acme" });
  const byRequest = { id: "request-1", message: { type: "cancel" } };
  const mine = { metadata: { auth: { scheme: "api_key", credentials: "key-a" }, tenant_id: "acme" } };
  // Two streams have it.
  expect((await one.control({ ...byRequest, ...mine })).status).toBe(404);
  expect((await one.control({ ...cancel, id: "another", ...mine })).status).toBe(404);
  expect(await (await one.control({ ...cancel, ...mine })).json()).toMatchObject({
    result: { accepted: true, state: "cancelled" },
  });
  expect(await (await one.control({ ...byRequest, ...mine })).json()).toMatchObject({
    result: { accepted: true, stream_id: twin.id },
  });
  expect((await one.control({ ...cancel }, { "x-api-key": "no such key" })).status).toBe(401);
});

test("a server that stops says so in every stream", async () => {
  const one = await rpcRoom();
  const clients = await Promise.all([
    open(one.url, stream("Count", { n: 1_000, delay_ms: 20 })),
    open(one.url, stream("Idle", { ms: 60_000 })),
  ]);
  await clients[0]?.has(1);
  await until("both", () => one.streams.list.size === 2);
  await one.stop();
  for (const client of clients) {
    await client.over();
    expect(client.ended).toBe("whole");
    expect(client.types.slice(-2)).toEqual(["error", "end"]);
    expect(client.frames.at(-2)?.data.payload.error.code).toBe(5002);
  }
  expect([one.streams.list.size, [...one.guards.bulkheads()].map(({ active }) => active)]).toEqual([0, [0]]);
});

test("as many streams are open as may be", async () => {
  const one = await room({ maxStreams: 2 });
  const body = stream("Idle", { ms: 60_000 });
  const [first] = [await open(one.url, body), await open(one.url, body)];
  await expect(open(one.url, body)).rejects.toThrow('"code":5021');
  expect(one.limits.bounds.count("rpc-streams")).toBe(1);
  expect([...one.guards.bulkheads()].map(({ active }) => active)).toEqual([2]);
  first?.leave();
  await until("room", () => one.streams.list.size === 1);
  await open(one.url, body);
});

test("what its client ended is no error of its method", async () => {
  const one = await served();
  const client = await open(one.url, stream("Idle", { ms: 60_000 }));
  const left = await open(one.url, stream("Idle", { ms: 60_000 }));
  await one.post("/v2/rpc/stream/control", { stream_id: client.id, message: { type: "cancel" } });
  left.leave();
  const figures = async () => {
    const { methods } = (await one.call("SystemService/Stats")).body.result;
    return methods.find(({ method }: { method: string }) => method === "rpc.v2/StreamService/Idle");
  };
  await until("both", async () => (await figures())?.calls === 2);
  expect(await figures()).toMatchObject({ calls: 2, errors: 0 });
});

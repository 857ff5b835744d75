// What an envelope says of its own format (contract 11.1), as clients of a whole server see it on every path that takes envelopes.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { type Json, type Served, served, stopServers } from "./support/rpc-server.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);
let one: Served;
beforeAll(async () => {
  one = await served();
});
afterAll(stopServers);

const telling = (content_type: unknown) => ({
  aduib_rpc: "2.0",
  id: "i1",
  method: "rpc.v2/EchoService/Echo",
  data: { a: 1 },
  metadata: { timestamp_ms: 1, content_type },
});
const refused = {
  id: "i1",
  error: {
    code: 1003,
    details: [{ type: "aduib.rpc/UnsupportedContentType", field: "metadata.content_type" }],
  },
};

describe("metadata.content_type", () => {
  test.each(["application/json", "text/json", "Application/JSON; charset=utf-8", null])(
    "%p is the format of the body",
    async (type) => {
      expect(await one.post("/v2/rpc", telling(type))).toMatchObject({
        status: 200,
        body: { result: { a: 1 } },
      });
    },
  );

  test.each(["application/msgpack", "application/avro", "text/xml", ""])("%p is not", async (type) => {
    expect(await one.post("/v2/rpc", telling(type))).toMatchObject({ status: 400, body: refused });
  });

  test("of another kind is no message", async () => {
    const answer = await one.post("/v2/rpc", telling(5));
    expect(answer).toMatchObject({
      status: 400,
      body: { error: { code: 1002, details: [{ field: "metadata.content_type" }] } },
    });
  });

  test.each([
    ["application/msgpack", 200],
    ["application/x-msgpack", 200],
    ["application/json", 400],
  ])("of a MessagePack body: %s", async (type, status) => {
    const answer = await fetch(`${one.base}/v2/rpc`, {
      method: "POST",
      headers: { "content-type": "application/msgpack", accept: "application/json" },
      body: encode(telling(type)),
    });
    expect([answer.status, ((await answer.json()) as Json).error?.code]).toEqual([
      status,
      status === 200 ? undefined : 1003,
    ]);
  });

  test("counts on every path that takes an envelope", async () => {
    const wrong = telling("application/msgpack");
    expect(await one.post("/v2/AduibRpcService/Call", wrong)).toMatchObject({ status: 400, body: refused });
    const stream = { ...wrong, method: "rpc.v2/StreamService/Count", data: { n: 1 } };
    expect(await one.post("/v2/rpc/stream", stream)).toMatchObject({ status: 400, body: refused });
    const check = { ...wrong, method: undefined, data: {} };
    expect(await one.post("/v2/HealthService/Check", check)).toMatchObject({ status: 400, body: refused });
    const object = (id: number, params: unknown) => ({
      jsonrpc: "2.0",
      id,
      method: "rpc.v2/EchoService/Echo",
      params,
    });
    const { body } = await one.post("", [object(1, wrong), object(2, telling("application/json"))]);
    expect(body).toMatchObject([
      { id: 1, error: { code: 1003 } },
      { id: 2, result: { status: "success" } },
    ]);
  });

  test("of a message without an envelope, and of a request about a stream, is its own business", async () => {
    const { metadata } = telling("application/msgpack");
    expect((await one.post("/v2/HealthService/Check", { metadata })).status).toBe(200);
    const control = { stream_id: crypto.randomUUID(), message: { type: "cancel" }, metadata };
    expect((await one.post("/v2/rpc/stream/control", control)).status).toBe(404);
  });
});

// JSON-RPC objects as they are read, one by one: which are requests, what they call, and whose id comes back.
import { describe, expect, test } from "bun:test";
import { INVALID_REQUEST, jsonRpcRequest } from "./request.ts";

const METHOD = "rpc.v2/EchoService/Echo";
const request = (more: Record<string, unknown> = {}) => ({
  jsonrpc: "2.0",
  id: "j1",
  method: METHOD,
  ...more,
});
const refusal = (value: unknown) => {
  const { id, code, refused, message } = jsonRpcRequest(value);
  return { id, code: code ?? refused?.code, field: refused?.details[0]?.field, message };
};

describe("what is no request", () => {
  test.each<[string, unknown, string | number | null]>([
    ["null", null, null],
    ["a text", "x", null],
    ["a number", 5, null],
    ["a list in a batch", [request()], null],
    ["an empty object", {}, null],
    ["without an id", request({ id: undefined }), null],
    ["with the id null", request({ id: null }), null],
    ["with a fraction for an id", request({ id: 1.5 }), null],
    ["with an id that no double holds", request({ id: 2 ** 53 }), null],
    ["with true for an id", request({ id: true }), null],
    ["with an object for an id", request({ id: {} }), null],
    ["of another version", request({ jsonrpc: "1.0" }), "j1"],
    ["of a version that is a number", request({ jsonrpc: 2 }), "j1"],
    ["without a method", request({ method: undefined }), "j1"],
    ["whose method is a number", request({ id: 5, method: 5 }), 5],
    ["whose params are a text", request({ params: "x" }), "j1"],
    ["whose params are a number", request({ params: 0 }), "j1"],
  ])("%s", (_name, value, id) => {
    expect(refusal(value)).toMatchObject({ id, code: INVALID_REQUEST, message: undefined });
  });
});

describe("params", () => {
  const implied = (more: Record<string, unknown>) => jsonRpcRequest(request(more)).message;

  test("without a method in them are the data of an envelope that is made for them", () => {
    const made = { aduib_rpc: "2.0", id: "j1", method: METHOD, data: { text: "hi" } };
    expect(implied({ params: { text: "hi" } })).toEqual(made);
    expect(implied({ params: { method: null, id: "x" } })).toEqual({
      ...made,
      data: { method: null, id: "x" },
    });
    for (const params of [undefined, null]) expect(implied({ params })).toEqual({ ...made, data: null });
    expect(implied({ id: 5 })).toMatchObject({ id: "5" });
    expect(implied({ jsonrpc: undefined })).toMatchObject({ method: METHOD });
  });

  test("with one are the envelope, as it is", () => {
    const params = { id: "own", method: ` /${METHOD} `, data: { method: "inner" } };
    expect(jsonRpcRequest(request({ params }))).toMatchObject({
      id: "j1",
      message: params,
      target: METHOD,
      isBare: false,
    });
    expect(jsonRpcRequest(request({ method: `/${METHOD}`, params })).refused).toBeUndefined();
  });

  test.each<[string, unknown]>([
    ["rpc.v2/DemoService/Fail", METHOD],
    ["rpc.v2/echoService/Echo", METHOD],
    ["EchoService.Echo", METHOD],
    [METHOD, "EchoService.Echo"],
    [METHOD, 5],
    ["", METHOD],
    ["a", "b"],
  ])("whose method is another one are refused: %p and %p", (method, inner) => {
    expect(refusal(request({ method, params: { id: "own", method: inner } }))).toMatchObject({
      id: "j1",
      code: 1002,
      field: "params.method",
    });
  });

  test("two names that agree and are none are left to the envelope's own error", () => {
    expect(
      jsonRpcRequest(request({ method: "a", params: { id: "own", method: "a" } })).refused,
    ).toBeUndefined();
  });

  test("that are a list are 2001", () => {
    expect(refusal(request({ params: [] }))).toMatchObject({ id: "j1", code: 2001, field: "params" });
  });
});

test("the endpoints' own names take any method inside, and say how it is answered", () => {
  const params = { id: "own", method: METHOD };
  for (const [name, endpoint] of [
    ["Call", "unary"],
    ["CallServerStream", "stream"],
  ] as const)
    expect(jsonRpcRequest(request({ method: `rpc.v2/AduibRpcService/${name}`, params }))).toMatchObject({
      endpoint,
      target: METHOD,
      message: params,
    });
  for (const name of ["CallClientStream", "CallBidirectional"])
    for (const one of [params, undefined, []])
      expect(refusal(request({ method: `rpc.v2/AduibRpcService/${name}`, params: one }))).toMatchObject({
        code: 5001,
      });
});

test("services without envelopes are answered without one, unless they were called in one", () => {
  const method = "rpc.v2/HealthService/Check";
  expect(jsonRpcRequest(request({ method, params: { service: "A" } }))).toMatchObject({ isBare: true });
  expect(jsonRpcRequest(request({ method }))).toMatchObject({ isBare: true });
  expect(jsonRpcRequest(request({ method, params: { id: "own", method } }))).toMatchObject({ isBare: false });
  expect(jsonRpcRequest(request())).toMatchObject({ isBare: false });
});

test("names of an object's own making mean nothing", () => {
  const value = JSON.parse(`{"__proto__": {"id": "x", "method": "${METHOD}"}}`) as unknown;
  expect(refusal(value)).toMatchObject({ id: null, code: INVALID_REQUEST });
});

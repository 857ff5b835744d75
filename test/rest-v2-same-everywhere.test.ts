// The same call over REST and JSON-RPC has the same code, name, details and audit (contract 26.1; V47 without gRPC, and with V48's tenants
// under load): a transport adds nothing and leaves nothing out.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Json, type Served, served, stopServers } from "./support/rpc-server.ts";

setDefaultTimeout(30_000);
let one: Served;
beforeAll(async () => {
  one = await served({ resilience: { circuit_breaker: { enabled: false } } });
});
afterAll(stopServers);

const CODES = [1000, 2004, 3000, 3011, 4000, 4011, 4020, 5000, 5021, 6001];
const calls: [string, string, Json, Json?][] = [
  ["an echo", "rpc.v2/EchoService/Echo", { a: 1 }],
  ...CODES.map((code): [string, string, Json] => [`code ${code}`, "rpc.v2/DemoService/FailWith", { code }]),
  ["bad params", "rpc.v2/MathService/Divide", { a: 1 }],
  ["an unknown service", "rpc.v2/NopeService/Run", null],
  ["an unknown handler", "rpc.v2/EchoService/Nope", null],
  ["a method of version 1", "EchoService.Echo", null],
  ["an unknown version", "rpc.v2/EchoService/Echo", null, { supported_versions: ["3.0"] }],
  ["what is deprecated", "rpc.v2/LegacyService/Old", null],
];

const told = ({ status, result, error, negotiated_version, metadata }: Json) => ({
  status,
  result,
  code: error?.code,
  name: error?.name,
  message: error?.message,
  details: error?.details,
  negotiated_version,
  headers: metadata?.headers,
});

test.each(calls)("%s (V47)", async (what, method, data, more = {}) => {
  const envelope = { aduib_rpc: "2.0", method, data, ...more };
  const rest = await one.post("/v2/rpc", { ...envelope, id: `rest ${what}`.replaceAll(" ", "-") });
  const id = `jsonrpc ${what}`.replaceAll(" ", "-");
  const { body } = await one.post("", { jsonrpc: "2.0", id: 1, method, params: { ...envelope, id } });
  if (rest.body.status === "success") {
    expect(told(body.result)).toEqual(told(rest.body));
    return;
  }
  expect(body.result).toBeUndefined();
  const { code, name, message, details } = told(rest.body);
  expect(body.error).toEqual({ code, message, data: { code, name, message, ...(details && { details }) } });
});

test("two tenants at once are never taken for each other (V48)", async () => {
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      const tenant = index % 2 === 0 ? "a" : "b";
      await one.call("DemoService/Sleep", { ms: 20 }, {}, { "x-tenant-id": tenant });
      const { body } = await one.call("DemoService/WhoAmI", null, {}, { "x-tenant-id": tenant });
      return body.result.tenant === tenant;
    }),
  );
  expect(answers.every(Boolean)).toBe(true);
});

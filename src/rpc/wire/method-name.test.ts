import { expect, test } from "bun:test";
import { methodName } from "./method-name.ts";

test.each([
  ["rpc.v2/EchoService/Echo", "EchoService", "Echo"],
  [" /rpc.v2/EchoService/Echo\t", "EchoService", "Echo"],
  ["rpc.v2/a.b_1.C/Class.method", "a.b_1.C", "Class.method"],
])("%j is a method", (text, service, handler) => {
  expect(methodName(text)).toEqual({ full: `rpc.v2/${service}/${handler}`, service, handler });
});

test.each([
  "",
  "rpc.v2",
  "rpc.v2/",
  "rpc.v2/Echo",
  "rpc.v2//Echo",
  "rpc.v2/Echo/",
  "rpc.v2/Echo/Run/More",
  "//rpc.v2/Echo/Run",
  "RPC.v2/Echo/Run",
  "rpc.v1/Echo/Run",
  "EchoService.Echo",
  "EchoService/Echo",
  "rpc.v2/1Echo/Run",
  "rpc.v2/Echo./Run",
  "rpc.v2/.Echo/Run",
  "rpc.v2/Echo..A/Run",
  "rpc.v2/_Echo/Run",
  "rpc.v2/Écho/Run",
  "rpc.v2/Echo/Run\n/x",
  "rpc.v2/Echo /Run",
  "\u00a0rpc.v2/Echo/Run",
  `rpc.v2/Echo/${"R".repeat(245)}`,
])("%j is none", (text) => {
  expect(methodName(text)).toBeUndefined();
});

test("256 characters are a method, one more is none", () => {
  const longest = `rpc.v2/Echo/${"R".repeat(244)}`;
  expect(methodName(longest)?.full).toHaveLength(256);
  expect(methodName(`${longest}R`)).toBeUndefined();
});

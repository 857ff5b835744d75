// Raw values become one typed configuration: which source wins, and what is said about a value that is not usable.
import { expect, test } from "bun:test";
import { parseConfig, UsageError } from "../../test/support/config.ts";

const given = (source: string, values: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value, source }]));

test("the first source that has a setting wins, and the rest have their defaults", () => {
  const config = parseConfig(given("flag", { port: "1" }), given("variable", { port: "2", host: "::1" }));
  expect(config).toMatchObject({ port: 1, host: "::1", logLevel: "info", rateLimits: true });
});

test.each([
  [{ port: "70000" }, 'here "70000" is not usable: it must be a whole number from 0 to 65535.'],
  [{ port: "" }, 'here "" is not usable: it must be a whole number from 0 to 65535.'],
  [{ port: true }, "here true is not usable: it must be a whole number from 0 to 65535."],
  [{ rateLimits: "maybe" }, 'here "maybe" is not usable: it must be true or false.'],
  [{ publicUrl: "ftp://x" }, 'here "ftp://x" is not usable: it must be an http or https address.'],
  [{ masterSecret: "" }, "here is not usable: it must not be empty."],
  [{ tlsCert: "a" }, "here needs --tls-key beside it."],
  [{ tlsKey: "a" }, "here needs --tls-cert beside it."],
  [
    { trustedProxies: "10.0.0.0/8, lan" },
    'here "10.0.0.0/8, lan" is not usable: "lan" is no address, no range such as 10.0.0.0/8, and none of loopback, private, none.',
  ],
])("%j is refused", (values, message) => {
  expect(() => parseConfig(given("here", values))).toThrow(new UsageError(message));
});

test.each([
  [undefined, ["127.0.0.0/8", "::1"]],
  ["none", []],
  ["10.1.2.3,fd00::/8", ["10.1.2.3", "fd00::/8"]],
  [["private"], ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]],
])("trusted proxies %j", (value, ranges) => {
  expect(
    parseConfig(value === undefined ? {} : given("here", { trustedProxies: value })).trustedProxies,
  ).toEqual(ranges);
});

// Holds what the doctor says about a running server's callers to what that server knows.
import { expect, test } from "bun:test";
import { checkAddresses, checkBounds } from "./running-server.ts";

test("where no server runs there is nothing to say", () => {
  expect(checkAddresses(undefined).result).toBe("skipped");
  expect(checkBounds(undefined).result).toBe("skipped");
});

test("an address that brings several accounts is named with the setting that tells its clients apart", () => {
  expect(checkAddresses({ sharedAddresses: [], refused: {} }).result).toBe("ok");
  expect(checkAddresses({ sharedAddresses: ["172.17.0.1"], refused: {} })).toMatchObject({
    result: "warning",
    says: expect.stringContaining("172.17.0.1"),
    fix: expect.stringContaining("--trusted-proxies loopback,172.17.0.1"),
  });
});

test("a bound that refuses is named with its number", () => {
  expect(checkBounds({ sharedAddresses: [], refused: {} }).result).toBe("ok");
  expect(
    checkBounds({ sharedAddresses: [], refused: { handshakes: 2, "anonymous-bytes": 70 } }),
  ).toMatchObject({
    result: "warning",
    says: 'The bound "anonymous-bytes" has refused 70 times since the start, and 1 other bounds something.',
  });
});

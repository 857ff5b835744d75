import { expect, test } from "bun:test";
import { acceptsGzip } from "./accept-encoding.ts";

test.each([
  [null, false],
  ["", false],
  ["gzip", true],
  ["GZIP", true],
  ["gzip, deflate, br, zstd", true],
  ["br;q=1.0, gzip;q=0.001", true],
  ["gzip;q=0", false],
  ["gzip; q=0.0", false],
  ["*", true],
  ["*;q=0", false],
  ["*, gzip;q=0", false],
  ["gzip;q=0, *", false],
  ["*;q=0, gzip", true],
  ["identity", false],
  ["gzippy", false],
  ["gzip;q=much", true],
])("%p: %p", (accepted, expected) => {
  expect(acceptsGzip(accepted)).toBe(expected);
});

import { describe, expect, test } from "bun:test";
import { ERROR_CODES, errorCode, httpStatusOf, logLevelOf } from "./error-codes.ts";

test("the table has 32 codes, each once, with a name of its own", () => {
  expect(ERROR_CODES).toHaveLength(32);
  expect(new Set(ERROR_CODES.map(({ code }) => code)).size).toBe(32);
  expect(new Set(ERROR_CODES.map(({ name }) => name)).size).toBe(32);
});

describe("the status of a code outside the table goes by its range", () => {
  test.each([
    [1999, 400],
    [2999, 400],
    [3009, 401],
    [3013, 403],
    [3999, 403],
    [4003, 404],
    [4012, 409],
    [4021, 410],
    [4500, 400],
    [5999, 500],
    [6999, 502],
    [7000, 500],
    [999, 500],
    [0, 500],
    [-1, 500],
  ])("%d is %d", (code, status) => {
    expect(errorCode(code)).toBeUndefined();
    expect(httpStatusOf(code)).toBe(status);
  });
});

test("5001, 5002 and 6001 keep the statuses of the table, not of their ranges", () => {
  expect([5001, 5002, 5003, 5010, 5020, 6001].map(httpStatusOf)).toEqual([501, 503, 504, 503, 429, 504]);
});

test("the server itself never retries what the caller's budget or a guard has refused", () => {
  const automatic = ERROR_CODES.filter(({ auto }) => auto === "yes").map(({ code }) => code);
  expect(automatic).toEqual([5002, 6000, 6001, 6002]);
  const never = ERROR_CODES.filter(({ auto }) => auto === "never").map(({ code }) => code);
  expect(never).toEqual([5010, 5020, 5021]);
});

test("the log's level follows the code, and of a foreign one its status", () => {
  expect([2001, 3000, 5000, 4500, 5900].map(logLevelOf)).toEqual(["info", "warn", "error", "info", "error"]);
});

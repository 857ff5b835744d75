import { expect, test } from "bun:test";
import { bearerToken } from "./bearer.ts";

test("the bearer header is read as the contract says", () => {
  expect(bearerToken("Bearer abc")).toBe("abc");
  for (const header of [null, "", "Bearer", "Bearer ", "bearer abc", "Basic abc"])
    expect(bearerToken(header)).toBeUndefined();
});

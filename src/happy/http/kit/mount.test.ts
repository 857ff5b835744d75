// Which paths an invite stands in front of, and what is asked for below it.
import { expect, test } from "bun:test";
import { inviteCode, splitMount } from "./mount.ts";

test.each([
  ["/i/abc", "/i/abc", "/"],
  ["/i/abc/", "/i/abc", "/"],
  ["/i/abc/v1/auth", "/i/abc", "/v1/auth"],
  ["/i/a-b_C9/v1/kv/a%2Fb", "/i/a-b_C9", "/v1/kv/a%2Fb"],
  ["/i/abc/i/def/v1/auth", "/i/abc", "/i/def/v1/auth"],
  [`/i/${"a".repeat(100)}/x`, `/i/${"a".repeat(100)}`, "/x"],
  [`/i/${"a".repeat(101)}/x`, "", `/i/${"a".repeat(101)}/x`],
  ["/i/", "", "/i/"],
  ["/i", "", "/i"],
  ["/i/a.b/v1", "", "/i/a.b/v1"],
  ["/i/a%20b/v1", "", "/i/a%20b/v1"],
  ["/v1/i/abc", "", "/v1/i/abc"],
  ["/", "", "/"],
])("%s", (path, mount, below) => {
  expect(splitMount(path)).toEqual({ mount, path: below });
  expect(inviteCode(mount)).toBe(mount === "" ? undefined : mount.slice(3));
});

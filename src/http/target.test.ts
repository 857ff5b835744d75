// Targets: what is left of a URL, which slashes count, and what cannot be decoded.
import { expect, test } from "bun:test";
import { pathOf } from "../server/http-routes.ts";
import { hasLonger, routedPath, targetOf, undecodableTarget } from "./target.ts";

test.each([
  ["http://x/a/b?c=/d//e", "/a/b?c=/d//e", "/a/b"],
  ["http://x", "/", "/"],
  ["http://x//a///b", "//a///b", "/a/b"],
  ["http://x/a%2Fb?", "/a%2Fb?", "/a%2Fb"],
  ["/without/host?x", "/without/host?x", "/without/host"],
  ["http://x/?u=http://y//z", "/?u=http://y//z", "/"],
])("%s", (url, target, path) => {
  expect([targetOf(url), pathOf(url)]).toEqual([target, path]);
});

test("a route is found by the decoded path with single slashes", () => {
  expect(routedPath(new Request("http://x//a//%62%20c?d"))).toBe("/a/b c");
});

test.each([
  ["http://x/a%20b", undefined],
  ["http://x/%zz?b", "/%zz?b"],
  ["http://x/%E0%A4%A", "/%E0%A4%A"],
  ["http://x/a?b=%zz", undefined],
  ["http://x/a", undefined],
])("what cannot be decoded of %s is %p", (url, target) => {
  expect(undecodableTarget(url)).toBe(target);
});

test("a parameter counts as too long beyond the limit, not at it", () => {
  expect(hasLonger({ a: "x", b: "xxx" }, 3)).toBe(false);
  expect(hasLonger({ a: "x", b: "xxxx" }, 3)).toBe(true);
  expect(hasLonger({}, 0)).toBe(false);
});

// Which claim answers which path, and what collides.
import { describe, expect, test } from "bun:test";
import { httpRoutes, pathOf } from "./http-routes.ts";
import type { HttpClaim, Served } from "./served.ts";

const served = (name: string, ...claims: Omit<HttpClaim, "fetch">[]): Served => ({
  name,
  http: claims.map((claim) => ({ ...claim, fetch: () => new Response(name) })),
  sockets: [],
});

async function ownerOf(path: string, all: readonly Served[]): Promise<string | undefined> {
  const answer = await httpRoutes(all)(path)?.(new Request("http://x/"), {} as never);
  return answer?.text();
}

const ALL = [
  served("a", { prefixes: ["/v1", "/files/"], paths: ["/v2"] }),
  served("b", { prefixes: ["/v1/own", "/v2"], paths: ["/v1/exact"] }),
  served("front", { prefixes: ["/"] }),
];

test.each([
  ["/v1", "a"],
  ["/v1/", "a"],
  ["/v1/x/y", "a"],
  ["/v1/own", "b"],
  ["/v1/own/x", "b"],
  ["/v1/owner", "a"],
  ["/v10", "front"],
  ["/v1/exact", "b"],
  ["/v1/exact/x", "a"],
  ["/v2", "a"],
  ["/v2/x", "b"],
  ["/files", "front"],
  ["/files/x", "a"],
  ["/", "front"],
])("%s is %s's", async (path, owner) => expect(await ownerOf(path, ALL)).toBe(owner));

test("what nobody claims is nobody's", async () => {
  expect(await ownerOf("/x", ALL.slice(0, 2))).toBeUndefined();
});

describe("collisions name both", () => {
  test.each<[string, Omit<HttpClaim, "fetch">, string]>([
    ["a prefix", { prefixes: ["/x"] }, "Both a and b claim the prefix /x."],
    ["a path", { paths: ["/y"] }, "Both a and b claim the path /y."],
  ])("%s", (_name, claim, sentence) => {
    const all = [served("a", { prefixes: ["/x"], paths: ["/y"] }), served("b", claim)];
    expect(() => httpRoutes(all)).toThrow(sentence);
  });

  test("a path below another's prefix is none, nor is a prefix that is a path", () => {
    const all = [served("a", { prefixes: ["/x"] }), served("b", { paths: ["/x"], prefixes: ["/x/y"] })];
    expect(() => httpRoutes(all)).not.toThrow();
  });
});

test.each([
  ["http://h/a/b?c=/d", "/a/b"],
  ["http://h//a///b", "/a/b"],
  ["http://h", "/"],
  ["/a?b", "/a"],
])("the path of %s is %s", (url, path) => expect(pathOf(url)).toBe(path));

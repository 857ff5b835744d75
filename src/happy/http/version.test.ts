// The store link appears exactly for store apps that are too old, and nothing else is in the answer.
import { afterAll, beforeAll, expect, test } from "bun:test";
import packageJson from "../../../package.json" with { type: "json" };
import { call } from "../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";
import { isCurrent } from "./version.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

test.each([
  ["1.4.1", true],
  ["1.4.2", true],
  ["1.10.0", true],
  ["2.0.0", true],
  ["v1.5.0", true],
  [" 1.5.0 ", true],
  ["1.4.1+build.7", true],
  ["1.4.0", false],
  ["1.3.99", false],
  ["0.9.9", false],
  ["2.0.0-beta.1", false],
  ["1.4.1-0", false],
  ["1.5", false],
  ["01.5.0", false],
  ["1.5.0.1", false],
  ["=1.5.0", false],
  ["v 1.5.0", false],
  ["vv1.5.0", false],
  ["1.5.0-", false],
  ["1.5.0+", false],
  [">=1.5.0", false],
  ["1.5.x", false],
  ["9007199254740991.0.0", true],
  ["9007199254740992.0.0", false],
  ["99999999999999999999.0.0", false],
  [`1.5.0+${"9".repeat(300)}`, false],
  ["newest", false],
  ["", false],
])("version %p is current: %p", (version, expected) => {
  expect(isCurrent(version)).toBe(expected);
});

const IOS = "https://apps.apple.com/us/app/happy-claude-code-client/id6748571505";
const ANDROID = "https://play.google.com/store/apps/details?id=com.ex3ndr.happy";

test.each([
  ["ios", "1.4.0", IOS],
  ["iOS", "2.0.0-beta.1", IOS],
  ["android", "junk", ANDROID],
  ["ANDROID", "1.4.1", null],
  ["ios", "1.7.0", null],
  ["web", "0.0.1", null],
  ["", "", null],
])("%p at %p is sent to %p", async (platform, version, updateUrl) => {
  const answer = await call(server.url, undefined, "POST", "/v1/version", { platform, version, app_id: "x" });
  expect([answer.status, answer.body]).toEqual([200, { updateUrl }]);
});

test("all three fields are required, and no token is", async () => {
  const answer = await call(server.url, undefined, "POST", "/v1/version", {});
  expect([answer.status, answer.body.message]).toEqual([
    400,
    ["platform", "version", "app_id"]
      .map((key) => `body/${key} Invalid input: expected string, received undefined`)
      .join(", "),
  ]);
});

test("GET tells the build to anybody", async () => {
  const answer = await call(server.url, undefined, "GET", "/v1/version");
  expect([answer.status, answer.body]).toEqual([200, { name: "happy-server", version: packageJson.version }]);
});

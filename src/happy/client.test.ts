// The client as a label: known types with their versions, and a bounded set whatever is sent.
import { expect, test } from "bun:test";
import { clientLabel } from "./client.ts";

test.each([
  ["desktop/1.7.0", "desktop/1.7.0", "desktop"],
  ["cli-daemon/0.9", "cli-daemon/0.9", "cli-daemon"],
  ["desktop/1.7.0-beta+words", "desktop/other", "desktop"],
  ["Desktop/1.7.0", "desktop/other", "desktop"],
  ["desktop", "desktop/other", "desktop"],
  ["desktop/1.7.0/more", "desktop/other", "desktop"],
  ["toaster/1.0.0", "other", "other"],
  ["constructor/1", "other", "other"],
  ["x".repeat(100_000), "other", "other"],
  ["", "unknown", "unknown"],
  [null, "unknown", "unknown"],
  [undefined, "unknown", "unknown"],
])("%p is %s of type %s", (text, client, client_type) => {
  expect(clientLabel(text)).toEqual({ client, client_type });
});

test("the same client is the same object, and new versions end somewhere", () => {
  expect(clientLabel("android/1.0.0")).toBe(clientLabel("android/1.0.0"));
  const seen = new Set<string>();
  for (let version = 0; version < 1_000; version++) seen.add(clientLabel(`android/9.${version}`).client);
  expect(seen.size).toBeLessThanOrEqual(17);
  expect(seen).toContain("android/other");
  // Who was there before keeps its name.
  expect(clientLabel("android/1.0.0").client).toBe("android/1.0.0");
});

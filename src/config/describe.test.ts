// What people are shown of a setting: as they wrote it, and never a secret.
import { expect, test } from "bun:test";
import { settings } from "../../test/support/config.ts";
import { describeDefault, describeEffective } from "./describe.ts";
import type { Setting } from "./setting.ts";

const secret: Setting = settings.masterSecret;
const duration: Setting = settings.framesServerReadTimeout;

test("a secret is hidden, whoever gave it", () => {
  expect(describeEffective(secret, { value: "hush", source: "flag" }, "hush")).toBe("(hidden)");
  expect(describeEffective(secret, undefined, "derived")).toBe("(hidden)");
  expect(describeEffective(secret, undefined, undefined)).toBe("(not set)");
});

test("a password in an address is hidden", () => {
  const endpoints: Setting = settings.clusterEtcdEndpoints;
  const given = { value: ["http://user:hush@etcd:2379"], source: "file" };
  expect(describeEffective(endpoints, given, given.value)).toBe("http://(hidden)@etcd:2379");
});

test("a value reads as it was written", () => {
  expect(describeEffective(duration, { value: "90s", source: "flag" }, 90_000)).toBe("90s");
  expect(describeEffective(settings.rateLimits, { value: "off", source: "flag" }, false)).toBe("off");
  expect(describeEffective(settings.port, undefined, 8080)).toBe("8080");
  expect(describeDefault(duration)).toBe("3m");
  expect(describeDefault(settings.trustedProxies)).toBe("loopback");
  expect(describeDefault(settings.publicUrl)).toBeUndefined();
});

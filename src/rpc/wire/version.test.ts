import { expect, test } from "bun:test";
import { compareVersions, negotiate, offeredVersions, protocolVersion } from "./version.ts";

test.each([
  [["1.0", "2.0", "2.1"], ["2.0", "2.1"], "2.1"],
  [["2.1", "2.0"], ["2.0", "2.1"], "2.1"],
  [["2.9", "2.10"], ["2.9", "2.10"], "2.10"],
  [["3.0", "2.0"], ["2.0"], "2.0"],
  [["3.0"], ["2.0"], undefined],
  [["2", "2.0.0", " 2.0", "02.0", "v2.0", "2.0x", "-2.0"], ["2.0"], undefined],
  [["nonsense", "2.0"], ["2.0"], "2.0"],
])("of %j and %j the highest in common is %j", (offered, served, spoken) => {
  expect(negotiate(offered, served)).toBe(spoken);
});

test("a list counts before what is spoken, an empty list counts as none, nothing at all means 2.0", () => {
  expect(offeredVersions("3.0", ["2.0"])).toEqual(["2.0"]);
  expect(offeredVersions("1.0", [])).toEqual(["1.0"]);
  expect(offeredVersions(undefined, undefined)).toEqual(["2.0"]);
});

test("versions are compared as numbers", () => {
  expect(compareVersions("2.10", "2.9")).toBeGreaterThan(0);
  expect(compareVersions("10.0", "9.9")).toBeGreaterThan(0);
  expect(protocolVersion("2.0")).toEqual({ major: 2, minor: 0 });
});

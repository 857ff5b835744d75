// What a placeholder admits, and how a difference is told.
import { expect, test } from "bun:test";
import { differences, fill, type Json, Names } from "./placeholders.ts";

const seen = (expected: Json, actual: Json, names = new Names()) => differences(expected, actual, names);

test.each([
  ["{{ms}}", Date.now(), []],
  ["{{ms}}", 1_700_000_000, ["x: expected {{ms}}, got 1700000000"]],
  ["{{int}}", 1.5, ["x: expected {{int}}, got 1.5"]],
  ["{{uuid}}", "11111111-2222-4333-8444-555555555555", []],
  ["{{uuid}}", "nope", ['x: expected {{uuid}}, got "nope"']],
  ["{{bool}}", 0, ["x: expected {{bool}}, got 0"]],
  ["{{html}}", "<!DOCTYPE html><p>", []],
  ["{{issues}}", { formErrors: [], fieldErrors: { limit: ["too small"] } }, []],
  ["{{issues}}", { formErrors: [], fieldErrors: { limit: "too small" } }, ["x: expected {{issues}}"]],
  [null, undefined, ["x: missing, expected null"]],
  [1, null, ["x: expected 1, got null"]],
  [[1, 2], [1], ["x[1]: missing, expected 2"]],
  [[1], [1, 2], ["x[1]: not expected, got 2"]],
  [{ a: 1 }, { a: 1, b: 2 }, ["x.b: not expected, got 2"]],
  [{ a: 1 }, [1], ['x: expected {"a":1}, got [1]']],
  ['{"a":1,"b":2}', '{"b":2,"a":1}', []],
  ['{"a":1}', '{"a":2}', ["x(JSON).a: expected 1, got 2"]],
] as [Json, Json | undefined, string[]][])("%j against %j", (expected, actual, told) => {
  const found = differences({ x: expected }, actual === undefined ? {} : { x: actual }, new Names());
  expect(found).toHaveLength(told.length);
  for (const [index, line] of told.entries()) expect(found[index]).toStartWith(line);
});

test("a name means the same wherever it stands; those of an entry are free again in the next", () => {
  const names = new Names();
  const [one, two] = [crypto.randomUUID(), crypto.randomUUID()];
  expect(seen(["{{session:S1}}", "{{session:S1}}:git"], [one, `${one}:git`], names)).toEqual([]);
  expect(seen("{{session:S1}}", two, names)).toHaveLength(1);
  expect(seen(["{{uuid:1}}", "{{uuid:1}}"], [one, two], names)).toHaveLength(1);
  names.beginEntry();
  expect(seen("{{uuid:1}}", two, names)).toEqual([]);
  expect(seen("{{session:S1}}", one, names)).toEqual([]);
});

test("a name that was never captured matches nothing, and nothing can be sent with it", () => {
  expect(seen("{{BEFORE_AT}}", 1)).toEqual([": expected {{BEFORE_AT}}, which was never captured, got 1"]);
  expect(() => fill({ path: "/x/{{BEFORE_AT}}" }, new Names())).toThrow("{{BEFORE_AT}}");
});

test("surplus that a hub may tell is passed over, with that value only", () => {
  const names = new Names({ unknownKey: "dropped" });
  expect(seen({ a: { b: 1 } }, { a: { b: 1, unknownKey: "dropped" } }, names)).toEqual([]);
  expect(seen({ a: 1 }, { a: 1, unknownKey: "else" }, names)).toHaveLength(1);
});

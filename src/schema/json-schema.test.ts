// Every word of a JSON schema is enforced, or the schema is refused with the place of the word that is not.
import { expect, test } from "bun:test";
import { loadGuards } from "./guard.ts";
import { FORMATS, type JsonSchema } from "./json-schema.ts";

const guardOf = await loadGuards();
const valid = (schema: JsonSchema, document: unknown) => guardOf(schema)(document) === undefined;

const EXAMPLES: Readonly<Record<string, string>> = {
  email: "a@example.com",
  uri: "https://example.com/a?b#c",
  uuid: "123e4567-e89b-12d3-a456-426614174000",
  "date-time": "2020-02-29T10:00:00+01:00",
  date: "2020-02-29",
  time: "10:00:00Z",
  duration: "P1DT2H",
  hostname: "a.example.com",
  ipv4: "10.0.0.1",
  ipv6: "2001:db8::1",
};

const NODE: JsonSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "A node",
  type: "object",
  required: ["name", "port"],
  additionalProperties: false,
  properties: {
    name: { type: "string", minLength: 1, maxLength: 5, pattern: "^[a-z]+$" },
    port: { type: "integer", minimum: 1, exclusiveMaximum: 100, default: 8 },
    tags: { type: "array", items: { enum: ["a", "b"] }, uniqueItems: true, maxItems: 2 },
    address: { anyOf: [{ type: "string", format: "ipv4" }, { type: "null" }] },
    kind: { const: "edge" },
    weight: { type: ["number", "null"], multipleOf: 0.5 },
  },
};

test.each<[boolean, unknown]>([
  [true, { name: "a", port: 1 }],
  [true, { name: "a", port: 1, tags: ["a", "b"], address: "10.0.0.1", kind: "edge", weight: 1.5 }],
  [true, { name: "a", port: 1, address: null, weight: null }],
  [false, { port: 1 }],
  [false, { name: "a" }],
  [false, { name: "", port: 1 }],
  [false, { name: "aaaaaa", port: 1 }],
  [false, { name: "A", port: 1 }],
  [false, { name: "a", port: 0 }],
  [false, { name: "a", port: 100 }],
  [false, { name: "a", port: 1.5 }],
  [false, { name: "a", port: "1" }],
  [false, { name: "a", port: 1, tags: ["a", "a"] }],
  [false, { name: "a", port: 1, tags: ["c"] }],
  [false, { name: "a", port: 1, address: "nowhere" }],
  [false, { name: "a", port: 1, kind: "core" }],
  [false, { name: "a", port: 1, weight: 0.3 }],
  [false, { name: "a", port: 1, more: 1 }],
  [false, []],
  [false, null],
])("%p: %j", (expected, document) => {
  expect(valid(NODE, document)).toBe(expected);
});

test("a required property need not be listed, and then has the schema of the others", () => {
  expect(valid({ type: "object", required: ["a"] }, {})).toBe(false);
  expect(valid({ type: "object", required: ["a"] }, { a: null })).toBe(true);
  const texts: JsonSchema = { type: "object", required: ["a"], additionalProperties: { type: "string" } };
  expect([valid(texts, { a: "x" }), valid(texts, { a: 1 }), valid(texts, {})]).toEqual([true, false, false]);
  const pattern: JsonSchema = {
    type: "object",
    required: ["a1"],
    patternProperties: { "^a": { type: "number" } },
    additionalProperties: false,
  };
  expect([valid(pattern, { a1: 1 }), valid(pattern, { a1: "x" }), valid(pattern, { a2: 1 })]).toEqual([
    true,
    false,
    false,
  ]);
});

test("references, alternatives, and schemas that accept everything or nothing", () => {
  const tree: JsonSchema = {
    $defs: {
      node: { type: "object", properties: { child: { $ref: "#/$defs/node" }, n: { type: "number" } } },
    },
    $ref: "#/$defs/node",
  };
  expect([valid(tree, { child: { child: { n: 1 } } }), valid(tree, { child: { n: "x" } })]).toEqual([
    true,
    false,
  ]);
  const one: JsonSchema = {
    oneOf: [
      { type: "number", minimum: 5 },
      { type: "number", multipleOf: 2 },
    ],
  };
  expect([valid(one, 7), valid(one, 4), valid(one, 6), valid(one, 3)]).toEqual([true, true, false, false]);
  const all: JsonSchema = {
    type: "number",
    allOf: [
      { type: "number", minimum: 1 },
      { type: "number", maximum: 2 },
    ],
  };
  expect([valid(all, 1), valid(all, 3)]).toEqual([true, false]);
  expect([valid(true, {}), valid({}, 1), valid(false, {})]).toEqual([true, true, false]);
});

test.each<[string, JsonSchema, string]>([
  ["a word with a slip", { type: "object", requierd: ["a"] }, '"requierd" at #'],
  ["a word of another type", { type: "string", minimum: 1 }, '"minimum" at #'],
  [
    "properties without a type",
    { properties: { a: { type: "string" } } },
    'needs "type" beside "properties" at #',
  ],
  [
    "the same, deep inside",
    { type: "object", properties: { a: { type: "array", items: { minLength: 1 } } } },
    "#/properties/a/items",
  ],
  ["what zod cannot do", { type: "object", if: {} }, '"if" at #'],
  ["not", { not: { type: "string" } }, '"not" at #'],
  ["a word beside a reference", { $ref: "#/$defs/a", minimum: 1, $defs: { a: {} } }, '"minimum"'],
  ["a word beside an enumeration", { enum: ["a"], minLength: 1 }, '"minLength"'],
  ["an unknown format", { type: "string", format: "colour" }, 'the format "colour" at #/format'],
  ["an unknown type", { type: "date" }, "unknown type at #/type"],
  ["a comparison with a list", { const: [1] }, "#/const"],
  ["two compositions without a type", { anyOf: [{}], oneOf: [{}] }, '"anyOf" and "oneOf"'],
  [
    "two ways to the other properties",
    { type: "object", patternProperties: { a: {} }, additionalProperties: { type: "string" } },
    '"patternProperties" at #',
  ],
  ["a reference to nowhere", { $ref: "#/$defs/nowhere" }, "Reference not found"],
  ["a pattern that is none", { type: "string", pattern: "(" }, "cannot be used"],
  [
    "a schema that is none",
    { type: "object", properties: { a: 1 } } as unknown as JsonSchema,
    "#/properties/a",
  ],
])("%s is refused", (_name, schema, place) => {
  expect(() => guardOf(schema)).toThrow(place);
});

test.each<[string, JsonSchema, unknown[], unknown[]]>([
  [
    "the number of items where none has a schema",
    { type: "array", minItems: 1, maxItems: 2 },
    [[1], [1, 2]],
    [[], [1, 2, 3]],
  ],
  [
    "an item that must be there beside items with places",
    { type: "array", prefixItems: [{ type: "string" }], contains: { type: "number" } },
    [["a", 1]],
    [[], ["a"], [1]],
  ],
  [
    "the same with other conditions",
    {
      type: "array",
      prefixItems: [true],
      contains: { const: 1 },
      minContains: 2,
      maxContains: 2,
      allOf: [{ type: "array", maxItems: 3 }],
    },
    [[1, 1]],
    [[], [1], [1, 1, 1], [1, 1, 2, 2]],
  ],
  [
    "a required property that any value satisfies",
    { type: "object", required: ["a", "toString"], properties: { a: { anyOf: [{}, { type: "string" }] } } },
    [{ a: null, toString: 1 }],
    [{ toString: 1 }, { a: 1 }],
  ],
  ["decimal fractions", { type: "number", multipleOf: 0.01 }, [0.07, 4.35, 1e6 + 0.01, -0.3], [0.075, 4.351]],
  [
    "lengths in characters",
    { type: "string", minLength: 1, maxLength: 2 },
    ["\u{1f600}\u{1f600}"],
    ["", "abc"],
  ],
  ["a pattern with a needless escape", { type: "string", pattern: "^a\\-b$" }, ["a-b"], ["ab"]],
  ["the type beside the values", { type: "string", enum: ["a", 1] }, ["a"], [1, "b"]],
])("%s", (_name, schema, good, bad) => {
  const guard = guardOf(schema);
  expect(good.filter((document) => guard(document) !== undefined)).toEqual([]);
  expect(bad.filter((document) => guard(document) === undefined)).toEqual([]);
});

test("names that objects have by themselves are names like others", () => {
  const guard = guardOf({ type: "object", properties: { a: {} }, additionalProperties: { type: "number" } });
  expect(guard(JSON.parse('{"__proto__":1,"constructor":2}'))).toBeUndefined();
  expect(guard(JSON.parse('{"__proto__":"x"}'))).toEqual({ path: ["__proto__"], message: "must be number" });
});

test.each<[string, unknown, string[], string]>([
  ["of the wrong type", { name: 1, port: 1 }, ["name"], "must be string"],
  ["that is missing", { name: "a" }, ["port"], "required"],
  ["that is too many", { name: "a", port: 1, more: 1 }, ["more"], "no such property"],
  [
    "deep inside",
    { name: "a", port: 1, tags: ["a", "c"] },
    ["tags", "1"],
    "must be equal to one of the allowed values",
  ],
  [
    "of which no alternative fits",
    { name: "a", port: 1, address: 1 },
    ["address"],
    "must match a schema in anyOf",
  ],
])("the place of what is wrong is told: a property %s", (_name, document, path, message) => {
  expect(guardOf(NODE)(document)).toEqual({ path, message });
});

test("a place with slashes is told as it is", () => {
  const guard = guardOf({ type: "object", properties: { "a/b~c": { type: "string" } } });
  expect(guard({ "a/b~c": 1 })?.path).toEqual(["a/b~c"]);
});

test.each(FORMATS)("the format %s is enforced", (format) => {
  const guard = guardOf({ type: "string", format });
  expect(guard(EXAMPLES[format])).toBeUndefined();
  expect(guard("%")).toEqual({ path: [], message: `must match format "${format}"` });
});

test("two topics may have the same schema, also one with a name", () => {
  const schema = { $id: "https://example.com/a", type: "string" };
  for (const guard of [guardOf(schema), guardOf(schema)]) expect(guard(1)).toBeDefined();
});

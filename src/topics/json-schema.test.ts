// Every word of a JSON schema is enforced, or the schema is refused with the place of the word that is not.
import { expect, test } from "bun:test";
import { type JsonSchema, zodOf } from "./json-schema.ts";

const valid = (schema: JsonSchema, document: unknown) => zodOf(schema).safeParse(document).success;

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
  expect(() => zodOf(schema)).toThrow(place);
});

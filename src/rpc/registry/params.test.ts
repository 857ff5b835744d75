// What is wrong with params, told by field, for both kinds of schemas; and schemas that are not taken.
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { jsonSchemaParams, zodParams } from "./params.ts";

const json = {
  type: "object",
  properties: {
    a: { type: "number" },
    b: { type: "array", items: { type: "string", maxLength: 2 } },
    c: {
      type: "object",
      properties: { d: { type: "integer" } },
      required: ["d"],
      additionalProperties: false,
    },
  },
  required: ["a"],
};
const zod = z.object({
  a: z.number(),
  b: z.array(z.string().max(2)).optional(),
  c: z.strictObject({ d: z.int() }).optional(),
});

describe.each([
  ["JSON Schema", async () => jsonSchemaParams(json)],
  ["zod", async () => zodParams(zod)],
] as const)("%s", (kind, make) => {
  test.each<[unknown, string | undefined, string | undefined]>([
    [{ a: 1 }, undefined, undefined],
    [{ a: 1, b: ["x", "yy"], more: true }, undefined, undefined],
    [null, "MissingField", "data.a"],
    [{}, "MissingField", "data.a"],
    [{ a: "1" }, "InvalidField", "data.a"],
    [{ a: null }, "InvalidField", "data.a"],
    [{ a: 1, b: ["x", "long"] }, "InvalidField", "data.b.1"],
    [{ a: 1, c: {} }, "MissingField", "data.c.d"],
    [{ a: 1, c: { d: 1.5 } }, "InvalidField", "data.c.d"],
  ])("%p: %p", async (data, name, field) => {
    const [first] = (await make()).check(data as never);
    expect(first?.type).toBe(name === undefined ? undefined : `aduib.rpc/${name}`);
    expect(first?.field).toBe(field);
  });

  test("a property too many is an invalid field", async () => {
    const [first] = (await make()).check({ a: 1, c: { d: 1, e: 2 } });
    expect(first).toMatchObject({
      type: "aduib.rpc/InvalidField",
      field: kind === "zod" ? "data.c" : "data.c.e",
    });
  });

  test("its JSON is there for descriptors", async () => {
    expect((await make()).json).toMatchObject({ type: "object", required: ["a"] });
  });
});

test("of many problems zod tells twenty; a JSON Schema the first, however long the list is", async () => {
  expect(zodParams(zod).check({ a: 1, b: Array(100).fill(5) })).toHaveLength(20);
  const schema = await jsonSchemaParams(json);
  const began = performance.now();
  expect(schema.check({ a: 1, b: Array(1_000_000).fill(5) })).toHaveLength(1);
  expect(performance.now() - began).toBeLessThan(1_000);
});

test("names of objects' own making are checked like others", async () => {
  const schema = await jsonSchemaParams({
    type: "object",
    properties: { toString: { type: "string" } },
    required: ["toString"],
  });
  expect(schema.check({})).toMatchObject([{ type: "aduib.rpc/InvalidField", field: "data.toString" }]);
});

test.each<[string, unknown]>([
  ["a word that is misspelt", { type: "object", properties: { a: { type: "string", maxLenght: 2 } } }],
  ["a rule without its type", { type: "object", properties: { a: { minimum: 5 } } }],
  ["no type", { properties: { a: { type: "number" } } }],
  ["another type", { type: "array" }],
  ["true", true],
  ["a text", "object"],
  ["a reference to nothing", { type: "object", properties: { a: { $ref: "#/$defs/x" } } }],
  ["a negation", { type: "object", not: { required: ["a"] } }],
])("a schema with %s is not taken", async (_name, schema) => {
  await expect(jsonSchemaParams(schema)).rejects.toThrow("schema");
});

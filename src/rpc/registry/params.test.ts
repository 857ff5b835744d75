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

describe("lists of a zod schema", () => {
  const many = <T>(count: number, item: T): T[] => Array(count).fill(item);
  const keys = (count: number, prefix: string, value: unknown) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`${prefix}${at}`, value]));
  const list = (w: z.ZodType) => zodParams(z.object({ w }));
  const fieldsOf = (w: z.ZodType, value: unknown) =>
    list(w)
      .check({ w: value })
      .map(({ field }) => field);

  test.each<[string, (item: z.ZodType) => z.ZodType, unknown]>([
    ["a list", (item) => z.array(item), many(1_000, "a")],
    ["lists in a list", (item) => z.array(z.array(item)), many(1_000, many(1_000, "a"))],
    ["a tuple's rest", (item) => z.tuple([]).rest(item), many(1_000, "a")],
    ["a record", (item) => z.record(z.string(), item), keys(1_000, "k", "a")],
    ["a list behind words", (item) => z.lazy(() => z.array(item).nullish()), many(1_000, "a")],
    ["a list in a pipe", (item) => z.preprocess((given) => given, z.array(item)), many(1_000, "a")],
    [
      "a list in objects in a list",
      (item) => z.array(z.object({ a: z.array(item) })),
      [{ a: many(1_000, "a") }],
    ],
  ])("no item of %s is looked at once enough of them is wrong", (_name, schema, value) => {
    let looked = 0;
    const wrong = z.string().refine(() => {
      looked++;
      return false;
    });
    expect(fieldsOf(schema(wrong), value)).toHaveLength(20);
    expect(looked).toBe(20);
  });

  test("what relies on the items does not run on those that were not looked at", () => {
    const schema = z.array(z.string().max(1)).refine((items) => items.every((item) => item.trim() !== ""));
    expect(fieldsOf(schema, [...many(20, "ab"), 1])).toHaveLength(20);
  });

  test("whatever is accepted was looked at whole", () => {
    expect(fieldsOf(z.array(z.string()), many(1_000, "a"))).toEqual([]);
    expect(fieldsOf(z.array(z.string()), [...many(1_000, "a"), 1])).toEqual(["data.w.1000"]);
    const either = z.union([z.array(z.string()), z.array(z.number())]);
    expect(fieldsOf(either, many(1_000, 1))).toEqual([]);
    expect(fieldsOf(either, [...many(1_000, 1), "a"])).toEqual(["data.w"]);
    const numbered = z.record(z.number(), z.string());
    expect(fieldsOf(numbered, keys(3_000, "", "a"))).toEqual([]);
    expect(fieldsOf(numbered, { ...keys(3_000, "", "a"), 5000: 1 })).toEqual(["data.w.5000"]);
    const a = z.record(z.string().regex(/^a/), z.number());
    const both = a.and(z.record(z.string().regex(/^b/), z.string()));
    expect(fieldsOf(both, { ...keys(3_000, "b", "x"), a1: 1 })).toEqual([]);
    expect(fieldsOf(both, { ...keys(3_000, "b", "x"), a1: "1" })).toEqual(["data.w.a1"]);
    const one = z.union([z.record(z.string().regex(/^c/), z.number()), z.record(z.string(), z.string())]);
    expect(fieldsOf(one, keys(3_000, "b", "x"))).toEqual([]);
    const loose = z.looseRecord(z.string().regex(/^a/), z.number());
    expect(fieldsOf(loose, { ...keys(3_000, "b", "x"), a1: "1" })).toEqual(["data.w.a1"]);
  });

  test("keys that are wrong are told one by one up to a number, and long ones in part", () => {
    const short = z.record(z.string().max(4), z.number());
    expect(fieldsOf(short, keys(1_000, "long", 1))).toHaveLength(20);
    const [first, ...more] = list(short).check({ w: keys(100_000, "long", 1) });
    expect([first, more]).toEqual([
      { type: "aduib.rpc/InvalidField", field: "data", reason: "more than 1000 keys are wrong" },
      [],
    ]);
    const [long] = list(short).check({ w: { ["x".repeat(100_000)]: 1 } });
    expect(long?.field).toHaveLength(1_024);
    const [unknown] = zodParams(z.strictObject({})).check(keys(10_000, "k", 1));
    expect(unknown?.reason).toHaveLength(1_024);
  });

  test("are described as before", () => {
    const make = () =>
      z.object({
        w: z.array(z.string().describe("a word").meta({ id: "Word" })).max(3),
        r: z.record(z.string().min(1), z.int().describe("a count")),
      });
    expect(zodParams(make()).json).toEqual(z.toJSONSchema(make(), { io: "input" }));
  });
});

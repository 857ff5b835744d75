// Which JSON schemas the house takes: those of which every word acts (guard.ts). A rule that is written but not
// enforced, because it has a slip or stands where it means nothing, is worse than none; such a schema is refused with its place.

export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** Say nothing about which documents are valid. `default` too: documents are kept as they came. */
const ANNOTATIONS = [
  "$schema",
  "$id",
  "$comment",
  "title",
  "description",
  "default",
  "examples",
  "deprecated",
];
const ANYWHERE = [...ANNOTATIONS, "$defs", "definitions", "type", "enum", "const", "anyOf", "oneOf", "allOf"];
const BY_TYPE: Readonly<Record<string, readonly string[]>> = {
  string: ["minLength", "maxLength", "pattern", "format"],
  number: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  integer: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  boolean: [],
  null: [],
  object: [
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
  ],
  array: [
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
  ],
};
export const FORMATS = "email uri uuid date-time date time duration hostname ipv4 ipv6".split(" ");
const ONE_SCHEMA = ["items", "additionalProperties", "propertyNames", "contains"];
const MANY_SCHEMAS = ["prefixItems", "anyOf", "oneOf", "allOf"];
const NAMED_SCHEMAS = ["properties", "patternProperties", "$defs", "definitions"];

/** The schema without annotations, as ajv enforces all of it. @throws Error whose message names the place and the keyword. */
export function enforceable(schema: unknown, at = "#"): JsonSchema {
  if (typeof schema === "boolean") return schema;
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) {
    throw new Error(`its schema is not an object at ${at}`);
  }
  const { patternProperties, additionalProperties } = schema as JsonSchema & object;
  const known = new Set(keywordsOf(schema as JsonSchema & object, at));
  const result: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (!known.has(keyword)) throw unusable(keyword, at, schema as JsonSchema & object);
    if (!ANNOTATIONS.includes(keyword)) result[keyword] = checkedValue(keyword, value, `${at}/${keyword}`);
  }
  if (patternProperties !== undefined && typeof additionalProperties === "object")
    throw new Error(`its schema has a schema in "additionalProperties" beside "patternProperties" at ${at}`);
  return containsApart(result);
}

/** Beside `prefixItems`, ajv 8.20 forgets `contains` where a list is empty. */
function containsApart(schema: Record<string, unknown>): JsonSchema {
  if (schema.prefixItems === undefined || schema.contains === undefined) return schema;
  const { contains, minContains, maxContains, allOf = [], ...rest } = schema;
  const apart = Object.fromEntries(
    Object.entries({ contains, minContains, maxContains }).filter(([, value]) => value !== undefined),
  );
  return { ...rest, allOf: [...(allOf as readonly unknown[]), apart] };
}

function keywordsOf(schema: JsonSchema & object, at: string): readonly string[] {
  if ("$ref" in schema) return ["$ref", ...ANNOTATIONS, "$defs", "definitions"];
  if ("const" in schema) return [...ANNOTATIONS, "$defs", "definitions", "type", "const"];
  if ("enum" in schema) return [...ANNOTATIONS, "$defs", "definitions", "type", "enum"];
  const types = [schema.type ?? []].flat();
  const compositions = ["anyOf", "oneOf", "allOf"].filter((keyword) => keyword in schema);
  if (types.length === 0 && compositions.length > 1) {
    throw new Error(`its schema needs "type" beside "${compositions.join('" and "')}" at ${at}`);
  }
  const typed = types.flatMap((type) => {
    const keywords = BY_TYPE[String(type)];
    if (keywords === undefined) throw new Error(`its schema has an unknown type at ${at}/type`);
    return keywords;
  });
  return [...ANYWHERE, ...typed];
}

function unusable(keyword: string, at: string, schema: JsonSchema & object): Error {
  const typed = Object.entries(BY_TYPE).find(([, keywords]) => keywords.includes(keyword));
  if (typed !== undefined && !("type" in schema)) {
    return new Error(`its schema needs "type" beside "${keyword}" at ${at}`);
  }
  return new Error(`its schema uses "${keyword}" at ${at}, which cannot be enforced there`);
}

function checkedValue(keyword: string, value: unknown, at: string): unknown {
  if (ONE_SCHEMA.includes(keyword)) return enforceable(value, at);
  if (MANY_SCHEMAS.includes(keyword)) {
    if (!Array.isArray(value)) throw new Error(`its schema needs a list at ${at}`);
    return value.map((entry, index) => enforceable(entry, `${at}/${index}`));
  }
  if (NAMED_SCHEMAS.includes(keyword)) {
    if (typeof value !== "object" || value === null) throw new Error(`its schema needs an object at ${at}`);
    return Object.fromEntries(
      Object.entries(value).map(([name, entry]) => [name, enforceable(entry, `${at}/${name}`)]),
    );
  }
  if (keyword === "format" && !FORMATS.includes(String(value))) {
    throw new Error(`its schema uses the format "${String(value)}" at ${at}, which cannot be enforced`);
  }
  const literals = keyword === "const" ? [value] : keyword === "enum" && Array.isArray(value) ? value : [];
  if (literals.some((literal) => typeof literal === "object" && literal !== null)) {
    throw new Error(`its schema compares with an object or a list at ${at}, which cannot be enforced`);
  }
  return value;
}

// Lists and records in a zod schema, looked through no further once enough is wrong with one of them: a problem for each of a million items
// would hold up everybody for seconds. What is refused is refused as before, with fewer problems told; what is accepted was looked at whole.
import type { z } from "zod";
import { isFields } from "../wire/problems.ts";

type Schema = z.core.$ZodType;
type Run = Schema["_zod"]["run"];
type Def = Record<string, unknown> & { readonly type: string };

/** More keys of one record are wrong than anybody wants to be told of. */
export class TooManyWrongKeys extends Error {}

/** Where a schema has that of its items. A problem of one of them is always one of the whole. */
const ITEMS: Readonly<Record<string, string>> = { array: "element", tuple: "rest", record: "valueType" };
const MAX_WRONG_KEYS = 1_000;

const bounded = new WeakSet<Schema>();
/** With all that is in them: what is wrong in one may be right in the other, or is forgiven. */
const ALTERNATIVES = new Set(["intersection", "union", "catch"]);
const inAlternatives = new WeakSet<Schema>();
/** In the list that is being looked through: problems of its items, and keys that are wrong. */
let found = 0;
let wrongKeys = 0;

/** Changes the schema itself: whoever else uses it is told no more of a list either. Its `run` may throw TooManyWrongKeys. */
export function boundLists(schema: Schema, most: number, isAlternative = false): void {
  if ((isAlternative ? inAlternatives : bounded).has(schema)) return;
  if (isAlternative) inAlternatives.add(schema);
  const def = schema._zod.def as unknown as Def;
  const children = def.type === "lazy" ? [(schema as z.core.$ZodLazy)._zod.innerType] : childrenOf(def);
  if (!bounded.has(schema)) boundList(schema, def, most);
  for (const child of children) boundLists(child, most, isAlternative || ALTERNATIVES.has(def.type));
}

function boundList(schema: Schema, def: Def, most: number): void {
  bounded.add(schema);
  const items = ITEMS[def.type];
  const item = items && def[items];
  if (items === undefined || !isSchema(item)) return;
  const { run } = schema._zod;
  schema._zod.run = (payload, context) => {
    const outer = { found, wrongKeys };
    found = 0;
    wrongKeys = 0;
    try {
      return run(payload, context);
    } finally {
      ({ found, wrongKeys } = outer);
    }
  };
  def[items] = instead(item, (payload, context) => {
    if (found >= most) return unseen(payload);
    const result = item._zod.run(payload, context);
    if (!(result instanceof Promise)) found += result.issues.length;
    return result;
  });
  const { keyType } = def;
  // In a loose record every key is let through.
  if (isSchema(keyType) && def.mode !== "loose")
    def.keyType = instead(keyType, (payload, context) => {
      const key = payload.value;
      const result = keyType._zod.run(payload, context);
      if (result instanceof Promise || result.issues.length === 0 || inAlternatives.has(schema))
        return result;
      // One that looks like a number is asked for again as a number.
      if (!(typeof key === "string" && NUMERIC.test(key)) && ++wrongKeys > MAX_WRONG_KEYS)
        throw new TooManyWrongKeys(`more than ${MAX_WRONG_KEYS} keys are wrong`);
      return result;
    });
}

const NUMERIC = /^-?\d+(?:\.\d+)?$/;

/** The first that is not looked at says so, in a way in which nothing that relies on the items runs any more. */
function unseen(payload: z.core.ParsePayload): z.core.ParsePayload {
  if (found === Number.POSITIVE_INFINITY) return payload;
  found = Number.POSITIVE_INFINITY;
  const { value: input } = payload;
  payload.issues.push({ code: "custom", message: "was not looked at any more", input, path: [] });
  return payload;
}

const ORIGINAL = Symbol("original");

/** The same schema for whoever looks at it, run in another way. */
function instead(schema: Schema, run: Run): Schema {
  // `parent`: what is told of the schema itself, such as its description, is found by way of it.
  const own = Object.create(schema._zod, { run: { value: run }, parent: { value: schema } });
  return Object.create(schema, { _zod: { value: own }, [ORIGINAL]: { value: schema } });
}

const isSchema = (value: unknown): value is Schema =>
  isFields(value) && isFields(value._zod) && typeof value._zod.run === "function";

function childrenOf(def: Def): Schema[] {
  const schemas = Object.values(def).flatMap((value) => {
    if (isSchema(value)) return [value];
    if (Array.isArray(value)) return value.filter(isSchema);
    return isFields(value) ? Object.values(value).filter(isSchema) : [];
  });
  return schemas.map((schema) => (schema as { [ORIGINAL]?: Schema })[ORIGINAL] ?? schema);
}

// Questions about a JSON value that nobody has checked yet: what is stored of a CLI is kept as it came, so every look at it is a guess
// that may be wrong without anything breaking.

export type JsonObject = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The object under a key, or undefined. */
export function objectAt(value: unknown, key: string): JsonObject | undefined {
  if (!isObject(value)) return undefined;
  const inner = value[key];
  return isObject(inner) ? inner : undefined;
}

/** A string with something in it under a key, or undefined. */
export function textAt(value: unknown, key: string): string | undefined {
  if (!isObject(value)) return undefined;
  const inner = value[key];
  return typeof inner === "string" && inner !== "" ? inner : undefined;
}

export type Check = (value: unknown) => boolean;

export const isString: Check = (value) => typeof value === "string";
export const isNumber: Check = (value) => typeof value === "number" && Number.isFinite(value);
export const isBoolean: Check = (value) => typeof value === "boolean";
export const isInteger: Check = (value) => Number.isSafeInteger(value);

export const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);

export const oneOf = (...words: readonly string[]): Check => {
  const known: ReadonlySet<unknown> = new Set(words);
  return (value) => known.has(value);
};

export const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);

export const mapTo =
  (check: Check): Check =>
  (value) =>
    isObject(value) && Object.values(value).every(check);

export type Shape = Readonly<Record<string, Check>>;

/** An object that has every key of `required`; of the known ones that it has, none is of a wrong type. Unknown keys are nobody's concern. */
export const shaped =
  (required: Shape, optional: Shape = {}): Check =>
  (value) =>
    isObject(value) && fits(value, required, optional);

export function fits(value: JsonObject, required: Shape, optional: Shape): boolean {
  for (const key in required) if (required[key]?.(value[key]) !== true) return false;
  for (const key in value) {
    const check = Object.hasOwn(optional, key) ? optional[key] : undefined;
    if (check !== undefined && value[key] !== undefined && !check(value[key])) return false;
  }
  return true;
}

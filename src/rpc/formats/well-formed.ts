// Half a character has no UTF-8. JSON writes it as an escape; in other formats its place is taken by U+FFFD, as the web does, since a reader
// that looks (of protobuf all do) would refuse the whole answer.

/** The same value where every text in it is whole, else a copy; binary data and what is no plain object stay what they are. */
export function wellFormed<T>(value: T): T {
  if (typeof value === "string") return value.toWellFormed() as T;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return listOf(value) as T;
  const prototype = Object.getPrototypeOf(value) as unknown;
  return prototype === Object.prototype || prototype === null ? (fieldsOf(value) as T) : value;
}

function listOf(list: readonly unknown[]): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (let at = 0; at < list.length; at++) {
    const whole = wellFormed(list[at]);
    if (whole === list[at] || Number.isNaN(whole)) continue;
    copy ??= [...list];
    copy[at] = whole;
  }
  return copy ?? list;
}

function fieldsOf(fields: object): object {
  let isWhole = true;
  const entries = Object.entries(fields).map(([key, value]) => {
    const entry = [key.toWellFormed(), wellFormed(value as unknown)] as const;
    if (entry[0] !== key || (entry[1] !== value && !Number.isNaN(value))) isWhole = false;
    return entry;
  });
  return isWhole ? fields : Object.fromEntries(entries);
}

// Under which key a guard counts a call (contract 12.1), and what holds there: the override of the method, else of its service, else what is
// said for all.
import type { GuardKey } from "../document/document.ts";
import type { Call } from "../pipeline/call.ts";

export function guardKey(dimensions: readonly GuardKey[], call: Call): string {
  let key = "";
  for (const dimension of dimensions) key += `${key === "" ? "" : "|"}${partOf(dimension, call)}`;
  return key;
}

function partOf(dimension: GuardKey, call: Call): string {
  if (dimension === "tenant") return call.tenant;
  if (dimension === "service") return call.definition.service;
  // What callers choose may hold the separator; a longer text under the same key must not be another one's.
  return dimension === "method" ? call.methodName : encodeURIComponent(call.identity.id);
}

export interface Overridable {
  readonly key: readonly GuardKey[];
  readonly overrides: Readonly<Record<string, object>>;
}

/** What has an override of its own is counted apart from the rest: its name where the key does not tell it from others, else nothing. */
export function scopeOf({ key, overrides }: Overridable, { methodName, definition }: Call): string {
  const isByMethod = key.includes("method");
  if (overrides[methodName] !== undefined) return isByMethod ? "" : methodName;
  if (overrides[definition.service] === undefined) return "";
  return isByMethod || key.includes("service") ? "" : definition.service;
}

/** `T`: the settings of a guard, all of them; an override has some. */
export function settingsFor<T extends object>(
  base: T,
  overrides: Readonly<Record<string, object>>,
  call: Call,
): T {
  const own = overrides[call.methodName] ?? overrides[call.definition.service];
  if (own === undefined) return base;
  let merged = merges.get(own);
  if (merged?.base !== base) {
    merged = { base, value: { ...base, ...withoutUndefined(own) } };
    merges.set(own, merged);
  }
  return merged.value as T;
}

/** A document does not change, so its overrides are merged once. */
const merges = new WeakMap<object, { readonly base: object; readonly value: object }>();

const withoutUndefined = (value: object): object =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined));

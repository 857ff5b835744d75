// Compare-and-swap of values that carry a version each. A change names the version that it was made from, and is stored whole or not at
// all: not when any of its parts was made from another version than the stored one. Pure; runs inside the operation that stores.

/** A new value, and the version that it was made from. */
export interface Versioned<T> {
  readonly value: T;
  readonly expectedVersion: number;
}

/** Undefined unless both are given: a value without its expected version is not written, nor the other way round. */
export function versioned<T>(
  value: T | undefined,
  expectedVersion: number | undefined,
): Versioned<T> | undefined {
  return value === undefined || expectedVersion === undefined ? undefined : { value, expectedVersion };
}

/** The versioned columns of a row, each with the column that counts its versions. */
export type Parts = Readonly<Record<string, string>>;

/** New values of some parts; the others stay. */
export type Change<P extends Parts> = { readonly [K in keyof P]?: Versioned<unknown> | undefined };

type Versions<P extends Parts> = { readonly [V in P[keyof P]]: number };

/** Which parts of a change stand against what is stored now. Undefined when none does: the change may be stored. */
export function staleParts<P extends Parts>(
  parts: P,
  change: Change<P>,
  stored: Versions<P>,
): { readonly [K in keyof P]: boolean } | undefined {
  const versions: Readonly<Record<string, number>> = stored;
  const stale = Object.entries(parts).map(([name, version]) => {
    const part = change[name];
    return [name, part !== undefined && part.expectedVersion !== versions[version]] as const;
  });
  if (!stale.some(([, isStale]) => isStale)) return undefined;
  return Object.fromEntries(stale) as { [K in keyof P]: boolean };
}

type Columns<P extends Parts, C extends Change<P>> = {
  [K in keyof P]?: NonNullable<C[K]>["value"];
} & { [V in P[keyof P]]?: number };

/** The columns to store of a change that nothing stands against: each of its values, and its version counted up. */
export function nextColumns<P extends Parts, C extends Change<P>>(parts: P, change: C): Columns<P, C> {
  const columns: Record<string, unknown> = {};
  for (const [name, version] of Object.entries(parts)) {
    const part = change[name];
    if (part === undefined) continue;
    columns[name] = part.value;
    columns[version] = part.expectedVersion + 1;
  }
  return columns as Columns<P, C>;
}

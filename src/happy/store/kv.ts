// Per-account key-value entries, each with a version. A deleted entry stays as a tombstone (null value) whose version keeps growing,
// so that a version never means two different values. A batch is stored whole or not at all (HTTP contract 12).
import { and, asc, eq, gte, isNotNull, lt, sql } from "drizzle-orm";
import type { Owner } from "../../storage/account-bounds.ts";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import { identityOf, lightRow, weightOf } from "../../storage/large-rows.ts";
import { type Db, prepared } from "../../storage/query.ts";
import type { StoredValue } from "../../storage/stored-value.ts";
import { nextColumns, staleParts } from "../../storage/versioned.ts";
import {
  AFTER_EVERY_TEXT,
  type Listed,
  listedAs,
  listedByKey,
  NOTHING,
  weighedList,
} from "../../storage/weighed-list.ts";
import { Base64Error, decodeLenient, decodeStrict } from "../wire/base64.ts";
import { admitGrowth, ROW_BYTES } from "./account-sizes.ts";
import { accountPk, findAccountPk, takeUpdateSeqs } from "./accounts.ts";
import { kvEntries } from "./schema.ts";

export interface KvEntry {
  readonly key: string;
  readonly value: Uint8Array | StoredValue;
  readonly version: number;
}

/** An entry without its value, which may be large. */
const byKey = prepared((db) =>
  db
    .select({
      pk: kvEntries.pk,
      identity: identityOf(kvEntries),
      key: kvEntries.key,
      version: kvEntries.version,
      isLiving: sql<number>`${kvEntries.value} IS NOT NULL`,
      bytes: weightOf(kvEntries.value),
    })
    .from(kvEntries)
    .where(
      and(eq(kvEntries.accountPk, sql.placeholder("account")), eq(kvEntries.key, sql.placeholder("key"))),
    )
    .prepare(),
);

const PARTS = { value: "version" } as const;
const light = lightRow(kvEntries, PARTS);

/** A living entry, else undefined. */
export async function findKv(
  { reads }: Database,
  account: string,
  key: string,
): Promise<KvEntry | undefined> {
  const pk = findAccountPk(reads, account);
  const found = pk === undefined ? undefined : byKey(reads).get({ account: pk, key });
  return found === undefined ? undefined : living(light(reads, found.pk));
}

/** The living ones among `keys`, each once. */
export async function findManyKv(
  { reads }: Database,
  account: string,
  keys: readonly string[],
): Promise<Listed<KvEntry>> {
  const pk = findAccountPk(reads, account);
  if (pk === undefined) return NOTHING;
  const found = [...new Set(keys)].flatMap((key) => byKey(reads).get({ account: pk, key }) ?? []);
  return listedByKey(
    found.filter(({ isLiving }) => isLiving === 1),
    ({ pk, identity }) => living(light(reads, pk, identity)),
  );
}

const byPrefix = weighedList({
  table: kvEntries,
  large: PARTS,
  where: and(
    eq(kvEntries.accountPk, sql.placeholder("account")),
    gte(kvEntries.key, sql.placeholder("prefix")),
    lt(kvEntries.key, sql.placeholder("end")),
    isNotNull(kvEntries.value),
  ),
  order: asc(kvEntries.key),
});

/** Living entries whose key starts with `prefix`, taken literally; keys ascending by their UTF-8 bytes. */
export async function listKv(
  { reads }: Database,
  account: string,
  prefix: string,
  limit: number,
): Promise<Listed<KvEntry>> {
  const pk = findAccountPk(reads, account);
  if (pk === undefined) return NOTHING;
  const end = firstAfterPrefix(prefix) ?? AFTER_EVERY_TEXT;
  const listed = byPrefix(reads, { values: { account: pk, prefix, end }, limit });
  return listedAs(listed, living);
}

export interface KvMutation {
  readonly key: string;
  /** Base64; null and "" delete. */
  readonly value: string | null;
  /** Current version, -1 for a key that never existed; undefined writes over whatever is there. */
  readonly version: number | undefined;
}

export interface KvChange {
  readonly key: string;
  /** As it was given, not as it was stored. */
  readonly value: string | null;
  readonly version: number;
}

/** What stands against a mutation: the current state of its key. */
export interface KvConflict {
  readonly key: string;
  /** -1 when the key never existed. */
  readonly version: number;
  readonly value: Uint8Array | StoredValue | null;
}

/** The current state of keys that stood against a mutation. */
export async function kvConflicts(
  { reads }: Database,
  account: string,
  keys: readonly string[],
): Promise<Listed<KvConflict>> {
  const pk = findAccountPk(reads, account);
  const found = keys.map((key) => ({
    key,
    bytes: 0,
    ...(pk === undefined ? undefined : byKey(reads).get({ account: pk, key })),
  }));
  return listedByKey(found, ({ key, pk, identity }) => {
    const row = pk === undefined ? undefined : light(reads, pk, identity);
    return { key, version: versionOf(row), value: row?.value ?? null };
  });
}

export type KvResult =
  | { readonly kind: "changed"; readonly changes: readonly KvChange[]; readonly updateSeq: number }
  /** See `kvConflicts`. */
  | { readonly kind: "mismatch"; readonly keys: readonly string[] }
  /** A new key twice, or a value of an existing key that is no base64. */
  | { readonly kind: "invalid" };

/** Stores all mutations, or none. @throws UnknownAccount */
export function mutateKv(
  { writer, quota, sizes }: Database,
  account: string,
  mutations: readonly KvMutation[],
  announce: (result: KvResult) => void,
): Promise<KvResult> {
  for (const { value } of mutations) sizes.admitBase64("state", "value", value);
  return writer.holding(mutations).run((db) => {
    // Deleting makes room, and is never refused.
    if (mutations.some(({ value }) => value !== null)) quota.admit("message");
    return mutate(db, quota, { account, pk: accountPk(db, account) }, mutations);
  }, announce);
}

/** Turns a living entry into a tombstone; "missing" when there is none. */
export function deleteKv(
  { writer, quota }: Database,
  account: string,
  key: string,
  version: number | undefined,
  announce: (result: KvResult | { readonly kind: "missing" }) => void,
): Promise<KvResult | { readonly kind: "missing" }> {
  return writer.run((db) => {
    const pk = findAccountPk(db, account);
    if (pk === undefined || byKey(db).get({ account: pk, key })?.isLiving !== 1) {
      return { kind: "missing" } as const;
    }
    return mutate(db, quota, { account, pk }, [{ key, value: null, version }]);
  }, announce);
}

/** The body of an operation. Everything is judged against the state before it, so one existing key may be named twice. */
function mutate(db: Db, quota: Database["quota"], owner: Owner, mutations: readonly KvMutation[]): KvResult {
  const account = owner.pk;
  const wanted = mutations.map(({ key, value, version }) => {
    const current = byKey(db).get({ account, key });
    const stored = { version: versionOf(current) };
    return { key, value, current, stored, expectedVersion: version ?? stored.version };
  });
  const stale = wanted.filter(({ stored, ...value }) => staleParts(PARTS, { value }, stored) !== undefined);
  if (stale.length > 0) return { kind: "mismatch", keys: stale.map(({ key }) => key) };
  const fresh = wanted.flatMap(({ key, current }) => (current === undefined ? [key] : []));
  // The unique index would refuse it too, but as an error of the server.
  if (new Set(fresh).size < fresh.length) return { kind: "invalid" };
  const values = wanted.map(({ value, current }) => bytesOf(value, current !== undefined));
  if (values.includes(undefined)) return { kind: "invalid" };
  // A tombstone of a new key is a row too; one of an old key makes room.
  const grown = wanted.map(
    ({ key, current }, index) =>
      (values[index]?.length ?? 0) -
      (current === undefined ? -ROW_BYTES - Buffer.byteLength(key) : current.bytes),
  );
  admitGrowth(
    db,
    quota,
    owner,
    grown.reduce((sum, bytes) => sum + bytes, 0),
  );
  const now = Date.now();
  const changes = wanted.map(({ key, value: given, current, expectedVersion }, index) => {
    const columns = {
      ...nextColumns(PARTS, { value: { value: values[index] ?? null, expectedVersion } }),
      updatedAt: now,
    };
    if (current === undefined)
      db.insert(kvEntries)
        .values({ id: newId(now), accountPk: account, key, ...columns, createdAt: now })
        .run();
    else db.update(kvEntries).set(columns).where(eq(kvEntries.pk, current.pk)).run();
    return { key, value: given, version: expectedVersion + 1 };
  });
  return { kind: "changed", changes, updateSeq: takeUpdateSeqs(db, account, now) };
}

const versionOf = (row: { readonly version: number } | undefined): number => row?.version ?? -1;

/** Lenient for a new key, strict for an existing one (HTTP contract 2.1); undefined when it cannot be read. */
function bytesOf(value: string | null, exists: boolean): Uint8Array | null | undefined {
  if (!value) return null;
  try {
    return exists ? decodeStrict(value) : decodeLenient(value);
  } catch (error) {
    if (error instanceof Base64Error) return undefined;
    throw error;
  }
}

type LightEntry = NonNullable<ReturnType<typeof light>>;

function living(row: LightEntry | undefined): KvEntry | undefined {
  if (row === undefined || row.value === null) return undefined;
  return { key: row.key, value: row.value, version: row.version };
}

/**
 * The least text, by UTF-8 bytes, that is greater than everything starting with `prefix`; undefined when there is none.
 * UTF-8 sorts like code points, so this is the prefix with its last code point counted up, past the surrogates.
 */
export function firstAfterPrefix(prefix: string): string | undefined {
  const points = [...prefix].map((char) => char.codePointAt(0) ?? 0);
  while (points.at(-1) === 0x10ffff) points.pop();
  const last = points.pop();
  if (last === undefined) return undefined;
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
}

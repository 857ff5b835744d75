// Per-account key-value entries, each with a version. A deleted entry stays as a tombstone (null value) whose version keeps growing,
// so that a version never means two different values. A batch is stored whole or not at all (HTTP contract 12).
import { and, asc, eq, gte, isNotNull, lt, sql } from "drizzle-orm";
import { Base64Error, decodeLenient, decodeStrict } from "../../auth/base64.ts";
import type { Owner } from "../../storage/account-bounds.ts";
import type { Database } from "../../storage/database.ts";
import { newId } from "../../storage/ids.ts";
import { type Db, prepared } from "../../storage/query.ts";
import { admitGrowth, ROW_BYTES } from "./account-sizes.ts";
import { accountPk, findAccountPk, takeUpdateSeqs } from "./accounts.ts";
import { kvEntries } from "./schema.ts";

export interface KvEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly version: number;
}

type Row = Pick<typeof kvEntries.$inferSelect, "pk" | "key" | "value" | "version">;

const byKey = prepared((db) =>
  db
    .select({ pk: kvEntries.pk, key: kvEntries.key, value: kvEntries.value, version: kvEntries.version })
    .from(kvEntries)
    .where(
      and(eq(kvEntries.accountPk, sql.placeholder("account")), eq(kvEntries.key, sql.placeholder("key"))),
    )
    .prepare(),
);

/** A living entry, else undefined. */
export function findKv({ reads }: Database, account: string, key: string): KvEntry | undefined {
  const pk = findAccountPk(reads, account);
  return pk === undefined ? undefined : living(byKey(reads).get({ account: pk, key }));
}

/** The living ones among `keys`, each once. */
export function findManyKv({ reads }: Database, account: string, keys: readonly string[]): KvEntry[] {
  const pk = findAccountPk(reads, account);
  if (pk === undefined) return [];
  return [...new Set(keys)].flatMap((key) => living(byKey(reads).get({ account: pk, key })) ?? []);
}

/** Living entries whose key starts with `prefix`, taken literally; keys ascending by their UTF-8 bytes. */
export function listKv({ reads }: Database, account: string, prefix: string, limit: number): KvEntry[] {
  const pk = findAccountPk(reads, account);
  if (pk === undefined) return [];
  const end = firstAfterPrefix(prefix);
  return reads
    .select({ pk: kvEntries.pk, key: kvEntries.key, value: kvEntries.value, version: kvEntries.version })
    .from(kvEntries)
    .where(
      and(
        eq(kvEntries.accountPk, pk),
        gte(kvEntries.key, prefix),
        end === undefined ? undefined : lt(kvEntries.key, end),
        isNotNull(kvEntries.value),
      ),
    )
    .orderBy(asc(kvEntries.key))
    .limit(limit)
    .all()
    .flatMap((row) => living(row) ?? []);
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
  readonly value: Uint8Array | null;
}

export type KvResult =
  | { readonly kind: "changed"; readonly changes: readonly KvChange[]; readonly updateSeq: number }
  | { readonly kind: "mismatch"; readonly conflicts: readonly KvConflict[] }
  /** A new key twice, or a value of an existing key that is no base64. */
  | { readonly kind: "invalid" };

/** Stores all mutations, or none. @throws UnknownAccount */
export function mutateKv(
  { writer, quota }: Database,
  account: string,
  mutations: readonly KvMutation[],
  announce: (result: KvResult) => void,
): Promise<KvResult> {
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
    if (pk === undefined || living(byKey(db).get({ account: pk, key })) === undefined) {
      return { kind: "missing" } as const;
    }
    return mutate(db, quota, { account, pk }, [{ key, value: null, version }]);
  }, announce);
}

/** The body of an operation. Everything is judged against the state before it, so one existing key may be named twice. */
function mutate(db: Db, quota: Database["quota"], owner: Owner, mutations: readonly KvMutation[]): KvResult {
  const account = owner.pk;
  const wanted = mutations.map((mutation) => ({
    mutation,
    current: byKey(db).get({ account, key: mutation.key }),
  }));
  const conflicts = wanted
    .filter(({ mutation, current }) => (mutation.version ?? versionOf(current)) !== versionOf(current))
    .map(({ mutation: { key }, current }) => ({
      key,
      version: versionOf(current),
      value: current?.value ?? null,
    }));
  if (conflicts.length > 0) return { kind: "mismatch", conflicts };
  const fresh = wanted.flatMap(({ mutation, current }) => (current === undefined ? [mutation.key] : []));
  // The unique index would refuse it too, but as an error of the server.
  if (new Set(fresh).size < fresh.length) return { kind: "invalid" };
  const values = wanted.map(({ mutation, current }) => bytesOf(mutation.value, current !== undefined));
  if (values.includes(undefined)) return { kind: "invalid" };
  // A tombstone of a new key is a row too; one of an old key makes room.
  const grown = wanted.map(
    ({ mutation: { key }, current }, index) =>
      (values[index]?.length ?? 0) -
      (current === undefined ? -ROW_BYTES - Buffer.byteLength(key) : (current.value?.length ?? 0)),
  );
  admitGrowth(
    db,
    quota,
    owner,
    grown.reduce((sum, bytes) => sum + bytes, 0),
  );
  const now = Date.now();
  const changes = wanted.map(({ mutation: { key, value: given }, current }, index) => {
    const value = values[index] ?? null;
    const version = versionOf(current) + 1;
    if (current === undefined) {
      db.insert(kvEntries)
        .values({ id: newId(now), accountPk: account, key, value, version, createdAt: now, updatedAt: now })
        .run();
    } else {
      db.update(kvEntries).set({ value, version, updatedAt: now }).where(eq(kvEntries.pk, current.pk)).run();
    }
    return { key, value: given, version };
  });
  return { kind: "changed", changes, updateSeq: takeUpdateSeqs(db, account, now) };
}

const versionOf = (row: Row | undefined): number => row?.version ?? -1;

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

function living(row: Row | undefined): KvEntry | undefined {
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

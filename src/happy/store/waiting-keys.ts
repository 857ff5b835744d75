// Keys that signed in and were not admitted, and those that a person refused. Strangers fill the first list, so it is bounded: in one
// network, and in all, where the network with the most keys gives up the one that tried least lately. The second is made by a person
// alone, key by key, and nothing but a person's approval ends it.
import { desc, eq, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { type Db, prepared } from "../../storage/query.ts";
import { fingerprintOf } from "../admission/fingerprint.ts";
import { refusedKeys, waitingKeys } from "./schema.ts";

const MAX_WAITING = 2_000;
const MAX_IN_NETWORK = 1_500;
/** A key that tries again and again is not written down each time. */
const NOTE_EVERY_MS = 60_000;

/** A key (uppercase hex) that is not admitted. */
export interface Sighted {
  readonly publicKey: string;
  /** What the client calls itself. */
  readonly client: string;
  readonly network: string;
  /** By the wall clock. */
  readonly now: number;
}

const oneWaiting = prepared((db) =>
  db
    .select()
    .from(waitingKeys)
    .where(eq(waitingKeys.publicKey, sql.placeholder("key")))
    .prepare(),
);
const oneRefused = prepared((db) =>
  db
    .select()
    .from(refusedKeys)
    .where(eq(refusedKeys.publicKey, sql.placeholder("key")))
    .prepare(),
);

/** Whether a person has refused this key. */
export function isRefused(db: Db, publicKey: string): boolean {
  return oneRefused(db).get({ key: publicKey }) !== undefined;
}

/** Writes the key down for the person who approves. @returns what they call it. */
export function noteWaiting(db: Db, { publicKey, client, network, now }: Sighted): string {
  const fingerprint = fingerprintOf(publicKey);
  const known = oneWaiting(db).get({ key: publicKey });
  if (known === undefined) {
    db.insert(waitingKeys)
      .values({ publicKey, fingerprint, client, network, firstSeenAt: now, lastSeenAt: now })
      .run();
    trim(db, network);
    // Also when the clock was set back meanwhile.
  } else if (Math.abs(now - known.lastSeenAt) > NOTE_EVERY_MS) {
    db.update(waitingKeys)
      .set({ lastSeenAt: now, client, network })
      .where(eq(waitingKeys.publicKey, publicKey))
      .run();
  }
  return fingerprint;
}

/** A refused one that tries is still where the person looks for it. */
export function noteRefused(db: Db, { publicKey, client, now }: Sighted): string {
  const known = oneRefused(db).get({ key: publicKey });
  if (known !== undefined && Math.abs(now - known.lastSeenAt) > NOTE_EVERY_MS)
    db.update(refusedKeys).set({ lastSeenAt: now, client }).where(eq(refusedKeys.publicKey, publicKey)).run();
  return fingerprintOf(publicKey);
}

function trim(db: Db, network: string): void {
  db.run(sql`DELETE FROM waiting_keys WHERE public_key IN (SELECT public_key FROM waiting_keys
    WHERE network = ${network} ORDER BY last_seen_at DESC LIMIT -1 OFFSET ${MAX_IN_NETWORK})`);
  const [count] = db.all<{ n: number }>(sql`SELECT count(*) AS n FROM waiting_keys`);
  for (let surplus = (count?.n ?? 0) - MAX_WAITING; surplus > 0; surplus--)
    db.run(sql`DELETE FROM waiting_keys WHERE public_key = (SELECT public_key FROM waiting_keys
      WHERE network = (SELECT network FROM waiting_keys GROUP BY network ORDER BY count(*) DESC, min(last_seen_at) LIMIT 1)
      ORDER BY last_seen_at LIMIT 1)`);
}

export interface WaitingKey {
  readonly fingerprint: string;
  readonly client: string;
  readonly refusedAt: number | null;
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
}

/** Those that wait and those that are refused, newest first. */
export async function listWaiting({ reads }: Database): Promise<WaitingKey[]> {
  const columns = <T extends typeof waitingKeys | typeof refusedKeys>(table: T) => ({
    fingerprint: table.fingerprint,
    client: table.client,
    firstSeenAt: table.firstSeenAt,
    lastSeenAt: table.lastSeenAt,
  });
  const waiting = reads.select(columns(waitingKeys)).from(waitingKeys).all();
  const refused = reads
    .select({ ...columns(refusedKeys), refusedAt: refusedKeys.refusedAt })
    .from(refusedKeys)
    .orderBy(desc(refusedKeys.lastSeenAt))
    .all();
  return [...waiting.map((key) => ({ ...key, refusedAt: null })), ...refused].sort(
    (a, b) => b.lastSeenAt - a.lastSeenAt,
  );
}

/** The key goes on hearing that it is refused. False when no key has this fingerprint, or more than one. */
export function refuseKey({ writer }: Database, fingerprint: string): Promise<boolean> {
  return writer.run((db) => {
    const key = theOne(db, fingerprint);
    if (key === undefined) return false;
    const waiting = oneWaiting(db).get({ key });
    // Refused before: it stays so.
    if (waiting === undefined) return true;
    const { network: _, ...row } = waiting;
    db.insert(refusedKeys)
      .values({ ...row, refusedAt: Date.now() })
      .onConflictDoNothing()
      .run();
    db.delete(waitingKeys).where(eq(waitingKeys.publicKey, key)).run();
    return true;
  });
}

/** The only key with this fingerprint, among those that wait and those that are refused. */
export function theOne(db: Db, fingerprint: string): string | undefined {
  const keys = [waitingKeys, refusedKeys].flatMap((table) =>
    db
      .select({ key: table.publicKey })
      .from(table)
      .where(eq(table.fingerprint, fingerprint))
      .all()
      .map(({ key }) => key),
  );
  const found = new Set(keys);
  return found.size === 1 ? keys[0] : undefined;
}

/** It has come in. */
export function forgetKey(db: Db, publicKey: string): void {
  db.delete(waitingKeys).where(eq(waitingKeys.publicKey, publicKey)).run();
  db.delete(refusedKeys).where(eq(refusedKeys.publicKey, publicKey)).run();
}

// Answers to idempotency keys in SQLite: durable before the answer leaves, so that a replay is possible whenever a client saw one.
//
// A mark is on disk before the handler of a method runs that must not run twice; after a crash it says that nobody knows whether it ran.
// A method that may run twice leaves none. Time is that of the process, which never steps; what was stored by an earlier one is moved to
// the time of this one, so that a clock that is a day off ends nothing early and keeps nothing for a day.
import type { Database } from "../../storage/database.ts";
import { durably } from "../../storage/durable-store.ts";
import { StorageError } from "../../storage/errors.ts";
import type { Db } from "../../storage/query.ts";
import { steadyNow } from "../../storage/steady-time.ts";
import {
  type Begun,
  bytesOf,
  type CallBounds,
  type CallStore,
  type DoneCall,
  ENTRY_BYTES,
  type NewCall,
} from "../idempotency/call-store.ts";
import { noRoom } from "../idempotency/memory-calls.ts";
import { fullOf, type Held, mayHold, NOTHING } from "./shares.ts";
import { sqliteShares } from "./sqlite-shares.ts";
import { statement } from "./statement.ts";

interface Row {
  readonly seq: number;
  readonly hash: string;
  readonly run: string;
  readonly is_done: number;
  readonly expires_at_ms: number;
}

const find = statement<Row>("SELECT seq, hash, run, is_done, expires_at_ms FROM rpc_calls WHERE id = $id");
const answerOf = statement<{ answer: string }>("SELECT answer FROM rpc_call_answers WHERE seq = $seq");
const insert = statement<{ seq: number }>(
  `INSERT INTO rpc_calls (id, hash, holder, run, is_done, bytes, used, stored_at_ms, expires_at_ms)
   VALUES ($id, $hash, $holder, $run, $isDone, $bytes, (SELECT used + 1 FROM rpc_call_sums), $now, $expiresAt) RETURNING seq`,
);
const insertAnswer = statement("INSERT INTO rpc_call_answers (seq, answer) VALUES ($seq, $answer)");
const touch = statement("UPDATE rpc_calls SET used = (SELECT used + 1 FROM rpc_call_sums) WHERE id = $id");
const remove = statement("DELETE FROM rpc_calls WHERE id = $id");
const removeOld = statement(
  "DELETE FROM rpc_calls WHERE seq IN (SELECT seq FROM rpc_calls WHERE expires_at_ms <= $now ORDER BY expires_at_ms LIMIT $limit)",
);
const sums = statement<Held>("SELECT entries, bytes, firm, firm_bytes AS firmBytes FROM rpc_call_sums");
const leastUsed = statement<{ id: string }>(
  "SELECT id FROM rpc_calls WHERE holder = $holder AND is_done = 1 ORDER BY used LIMIT 1",
);
const shares = sqliteShares("rpc_call_holders");
const newest = statement<{ at: number | null }>("SELECT max(stored_at_ms) AS at FROM rpc_calls");
const move = statement(
  "UPDATE rpc_calls SET stored_at_ms = stored_at_ms + $by, expires_at_ms = expires_at_ms + $by",
);

/** Of entries that are over: so many at each step. */
const STEP = 64;
const SWEEP_STEP = 1_000;

export interface SqliteCallsParts {
  readonly database: Database;
  readonly bounds: () => CallBounds;
  /** Of this process: marks of another one are nobody's any more. */
  readonly run: string;
  readonly now?: () => number;
}

/** Ready when what earlier processes left has this one's time. */
export async function openSqliteCalls(parts: SqliteCallsParts): Promise<CallStore> {
  const { database, now = steadyNow } = parts;
  await database.writer.run((db) => {
    const known = newest(db).get({})?.at ?? null;
    if (known !== null && known !== now()) move(db).run({ by: now() - known });
  });
  return new SqliteCalls({ ...parts, now });
}

class SqliteCalls implements CallStore {
  constructor(private readonly parts: Required<SqliteCallsParts>) {}

  begin(call: NewCall): Promise<Begun> {
    const { database } = this.parts;
    // Nothing has to be on disk before a method runs that may run twice: most calls begin without a write.
    if (call.isIdempotent) {
      return durably(database, async () => {
        const known = this.#look(database.reads, call);
        // Nobody waits for it: losing it changes only which entry goes first.
        if (known?.kind === "done")
          database.writer.run((db) => touch(db).run({ id: call.id })).catch(() => {});
        return known ?? { kind: "begun" };
      });
    }
    return database.writer
      .run((db) => {
        const known = this.#look(db, call);
        if (known?.kind === "done") touch(db).run({ id: call.id });
        return known ?? this.#mark(db, call);
      })
      .catch((error: unknown) => this.#known(call, error));
  }

  complete({ id, hash, holder, answer, ttlMs }: DoneCall): Promise<void> {
    const { database, run, now } = this.parts;
    const bytes = bytesOf(answer);
    return database.writer.run(
      (db) => {
        remove(db).run({ id });
        removeOld(db).run({ now: now(), limit: STEP });
        this.#makeRoom(db, holder, bytes);
        const expiresAt = now() + ttlMs;
        const row = insert(db).get({ id, hash, holder, run, isDone: 1, bytes, now: now(), expiresAt });
        if (answer !== undefined && row !== null) insertAnswer(db).run({ seq: row.seq, answer });
      },
      undefined,
      { holds: answer },
    );
  }

  async release(id: string): Promise<void> {
    const { database } = this.parts;
    // A mark that was made is durable by now, and so it can be read.
    if (find(database.reads).get({ id }) === null) return;
    await database.writer.run((db) => {
      if (find(db).get({ id })?.is_done === 0) remove(db).run({ id });
    });
  }

  async removeExpired(): Promise<number> {
    const { database, now } = this.parts;
    let removed = 0;
    for (;;) {
      const step = await database.writer.run(
        (db) => removeOld(db).run({ now: now(), limit: SWEEP_STEP }).changes,
      );
      // Triggers count among the changes: only none says that nothing was left.
      if (step === 0) return removed;
      removed += step;
    }
  }

  async close(): Promise<void> {}

  /** A disk that takes nothing still says what was answered. */
  #known(call: NewCall, error: unknown): Promise<Begun> {
    const { database } = this.parts;
    return durably(database, async () => {
      const known = error instanceof StorageError ? this.#look(database.reads, call) : undefined;
      if (known === undefined) throw error;
      return known;
    });
  }

  /** Undefined: it may begin. */
  #look(db: Db, { id, isIdempotent }: NewCall): Begun | undefined {
    const { run, now } = this.parts;
    const row = find(db).get({ id });
    if (row === null || row.expires_at_ms <= now()) return undefined;
    const { hash } = row;
    if (row.is_done === 0) return isIdempotent && row.run !== run ? undefined : { kind: "unknown", hash };
    return { kind: "done", hash, answer: answerOf(db).get({ seq: row.seq })?.answer };
  }

  #mark(db: Db, { id, hash, holder, ttlMs }: NewCall): Begun {
    const { run, now, bounds } = this.parts;
    // One whose time is over goes with its answer.
    remove(db).run({ id });
    removeOld(db).run({ now: now(), limit: STEP });
    const all = sums(db).get({}) ?? NOTHING;
    if (!mayHold(shares.own(db, holder), all, bounds(), ENTRY_BYTES)) throw noRoom();
    this.#makeRoom(db, holder, ENTRY_BYTES);
    const expiresAt = now() + ttlMs;
    insert(db).run({ id, hash, holder, run, isDone: 0, bytes: ENTRY_BYTES, now: now(), expiresAt });
    return { kind: "begun" };
  }

  /** As far as there is something to give: what has run is kept whatever else goes. */
  #makeRoom(db: Db, holder: string, bytes: number): void {
    const bounds = this.parts.bounds();
    const added = { entries: 1, bytes };
    for (;;) {
      const measure = fullOf(sums(db).get({}) ?? NOTHING, bounds, added);
      const giver = measure && shares.giver(db, holder, measure, added);
      const victim = giver === undefined ? null : leastUsed(db).get({ holder: giver });
      if (victim === null) return;
      remove(db).run({ id: victim.id });
    }
  }
}

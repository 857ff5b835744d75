// One SQLite file: one connection writes through the Writer, another only reads and so sees committed rows only, which may not be durable
// yet (durable-store.ts). It knows its own condition: what was refused, what is damaged, and whether its files are still those it opened.
import type { Database as Sqlite } from "bun:sqlite";
import { statSync } from "node:fs";
import { basename } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/bun-sqlite";
import type { Logger } from "pino";
import { ValueSizes } from "../limits/value-sizes.ts";
import { Checkpointer } from "./checkpoint.ts";
import { Condition } from "./condition.ts";
import { neverClose } from "./end-at-once.ts";
import { asStorageError, heldError, isBusy, StorageError, syncError } from "./errors.ts";
import { forgetFailedSync, hasFailedSync, markFailedSync, moveLog } from "./failed-sync.ts";
import { FileGuard, refuseBesideRescue } from "./file-guard.ts";
import { currentVersion, type DatabaseIdentity, OWN } from "./identity.ts";
import { type LiveFiles, pathOf } from "./live-files.ts";
import { LogSync } from "./log-sync.ts";
import { type Migration, type MigrationReport, migrate } from "./migrations.ts";
import { explained, openConnection, settle } from "./open-connection.ts";
import { type Db, probe } from "./query.ts";
import { Quota } from "./quota.ts";
import type { Commit } from "./settings.ts";
import { Soundness } from "./soundness.ts";
import type { Syncing } from "./sync-call.ts";
import { watchConnection } from "./watched-connection.ts";
import { Writer } from "./writer.ts";

export interface Database {
  readonly path: string;
  readonly writer: Writer;
  /** Committed rows only. What they tell is durable after `writer.durable()`: no answer of a client's may be made from it before. */
  readonly reads: Db;
  readonly migration: MigrationReport;
  /** Whether the query gives a row. */
  holds(query: string): boolean;
  /** What is in use of the file: pages that are free make room at once, long before the file shrinks. */
  usedBytes(): number;
  /** Asked by store functions before something grows. */
  readonly quota: Quota;
  /** Asked by store functions before they store what a client sent. */
  readonly sizes: ValueSizes;
  /**
   * Reads, and writes to the disk unless something else has just done so.
   * @throws StorageError with a sentence when it cannot do its work, or is known not to.
   */
  check(): Promise<void>;
  /** What only a new process mends, as a sentence; undefined when there is nothing of the kind. */
  deadly(): string | undefined;
  /** Resolves when its files were replaced under it: nothing is stored any more, and the process should end with an error. */
  readonly lost: Promise<StorageError>;
  /** Commits, checkpoints and closes. Later calls reject. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly path: string;
  readonly migrations: readonly Migration[];
  /** Our own, unless it is said. */
  readonly identity?: DatabaseIdentity;
  readonly log: Logger;
  /** Without one there is no maximum. */
  readonly quota?: Quota;
  /** Without it the default limits hold. */
  readonly sizes?: ValueSizes;
  /** Pipelined, unless it is said. */
  readonly commit?: Commit;
  /** How the log is synced; the platform's way, unless it is said. */
  readonly syncing?: Syncing;
}

/** What has reached the disk within this time is proof enough that it takes writes: who asks often costs no more than that. */
const PROOF_MS = 200;
/** Another program that holds the lock for less than this is only busy. */
const HELD_MS = 1_000;
/** Enough to notice that it has just let go. */
const HELD_TRY_MS = 100;

/** @throws StorageError "newer", "foreign", "damaged", "held", "replaced" or "failed", each with a sentence for the person. */
export function openDatabase({
  path,
  migrations,
  identity = OWN,
  log,
  quota = new Quota(),
  sizes = new ValueSizes(),
  commit = "pipelined",
  syncing,
}: DatabaseOptions): Database {
  const name = basename(path);
  const isRecovered = (statSync(pathOf(path, "log"), { throwIfNoEntry: false })?.size ?? 0) > 0;
  const isAfterFailedSync = hasFailedSync(path);
  refuseBesideRescue(path, log);
  const connection = openConnection(path, identity, migrations.length);
  let migration: MigrationReport;
  try {
    if (currentVersion(connection, path, identity) === 0) refuseBesideRescue(path, log, true);
    migration = migrate(connection, migrations, path, identity);
  } catch (error) {
    connection.close();
    throw isBusy(error) ? explained(error, path) : asStorageError(error);
  }
  const reading = openConnection(path, identity);
  const soundness: Soundness = new Soundness(path, log, (problem) => {
    if (problem !== undefined) return condition.failedCheck(problem);
    condition.passedCheck();
    if (isAfterFailedSync) forgetFailedSync(path);
  });
  const condition = new Condition(log, {
    onDamage: () => soundness.look(),
    onFailedWrite: () => {
      // It may have written all the same: only what comes after it proves anything.
      files.areOurs();
      loggedAt = files.logWrittenAt;
    },
  });
  const checkpointer = new Checkpointer(connection, path, log);
  const guard = new FileGuard({
    path,
    connection,
    condition,
    checkpointer,
    onForeignWrite: () => soundness.suspect(),
    log,
  });
  const { files } = guard;
  const syncs = openLogSync(path, files, [connection, reading], syncing);
  if (isRecovered) syncRecovered(syncs, path);
  try {
    if (isRecovered) connection.run("PRAGMA wal_checkpoint(PASSIVE)");
    if (isAfterFailedSync) moveLog(connection, path, log, () => renew(syncs, path));
  } catch (error) {
    const isUnsynced = error instanceof StorageError && error.code === "unsynced";
    if (!isUnsynced) {
      void syncs.close();
      closeAll([connection, reading]);
    }
    throw explained(error, path);
  }
  settle(connection, reading, commit);
  if (isAfterFailedSync) soundness.look();
  let loggedAt = files.logWrittenAt;
  // What the writing connection throws passes through the Writer, which tells it.
  watchConnection(reading, (error) => condition.noteRead(error));
  const writer = new Writer({
    sqlite: connection,
    db: drizzle({ client: connection }),
    log,
    name,
    condition,
    syncs: commit === "pipelined" ? syncs : undefined,
    whyLost: () => guard.look(),
    syncFailed: (error) => guard.syncFailed(error),
    onCommit: () => checkpointer.committed(),
    onDurable: () => {
      // A commit that changes nothing writes nothing, and proves nothing.
      if (files.logWrittenAt !== loggedAt) condition.wrote();
      loggedAt = files.logWrittenAt;
    },
  });
  guard.start((problem) => writer.lose(problem));
  const reads = drizzle({ client: reading });
  /** Takes the writer's turn, and writes one page that says what it said before: the log grows by it, the database never. */
  const prove = sharedRun(() =>
    writer.run((db) => {
      if (condition.problem !== undefined || condition.sinceWriteMs >= PROOF_MS)
        db.run(sql.raw(`PRAGMA user_version = ${migration.to}`));
    }),
  );
  const check = async () => {
    probe(reads);
    const lost = guard.look(true);
    if (lost !== undefined) writer.lose(lost);
    if (lost !== undefined || condition.isDamaged) throw condition.problem;
    const unseen = files.unseen();
    if (unseen !== undefined)
      throw new StorageError("failed", `The file ${name} cannot be looked at: ${unseen.message}.`);
    const proof = prove();
    // It goes on in line; whoever asks is told sooner, and once it is known at once.
    proof.catch(() => {});
    const patienceMs = Math.max(HELD_TRY_MS, HELD_MS - writer.heldMs);
    if (!(await Promise.race([proof.then(() => true), wait(patienceMs, false)])) && writer.heldMs > 0)
      throw heldError(name);
    await proof;
    if (condition.problem !== undefined) throw condition.problem;
  };
  return {
    path,
    writer,
    reads,
    migration,
    holds: (query) => reading.query(query).get() !== null,
    usedBytes: () => usedBytes(reading),
    quota,
    sizes,
    check,
    deadly: () =>
      guard.problem?.message ?? (writer.isStuck ? `Nothing is written into ${name} any more.` : undefined),
    lost: guard.lost,
    close: async () => {
      guard.stop();
      soundness.stop();
      writer.close();
      await checkpointer.stop();
      await syncs.close();
      if (!guard.mayClose()) return;
      reading.close();
      // Whoever replicates the log reads it all the time: a stop does not wait for that, and leaves the log to the next start.
      connection.run("PRAGMA busy_timeout = 200");
      await emptyLog(connection);
      connection.close();
    },
  };
}

function openLogSync(
  path: string,
  files: LiveFiles,
  connections: readonly Sqlite[],
  syncing?: Syncing,
): LogSync {
  try {
    return new LogSync(path, files, syncing);
  } catch (error) {
    closeAll(connections);
    throw error;
  }
}

/** What a process that was killed has left in the log may be in the system's memory only, and readers would see it. @throws as `atStart` */
const syncRecovered = (syncs: LogSync, path: string) => atStart(path, () => syncs.now());

/** @throws as `atStart` */
const renew = (syncs: LogSync, path: string) => atStart(path, () => syncs.renew());

/** @throws StorageError; the process must end then, and no connection is closed: that would move pages that the disk may not have. */
function atStart(path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    const problem = syncError(basename(path), error);
    markFailedSync(path, problem.message);
    neverClose();
    throw problem;
  }
}

function closeAll(connections: readonly Sqlite[]): void {
  for (const connection of connections) connection.close();
}

function usedBytes(sqlite: Sqlite): number {
  const pragma = (name: string) =>
    sqlite.query<Record<string, number>, []>(`PRAGMA ${name}`).get()?.[name] ?? 0;
  return (pragma("page_count") - pragma("freelist_count")) * pragma("page_size");
}

/** The thread for checkpoints may still be on its way out, and keeps others from it for that moment. */
async function emptyLog(connection: Sqlite): Promise<void> {
  for (let tries = 0; tries < 20; tries++) {
    const [row] = connection.query<{ log: number }, []>("PRAGMA wal_checkpoint(TRUNCATE)").all();
    if (row?.log !== -1) return;
    await wait(25);
  }
}

/** One run at a time: who asks meanwhile shares its end. */
function sharedRun(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= work().finally(() => {
      running = undefined;
    });
    return running;
  };
}

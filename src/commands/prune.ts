// `roost prune`: applies the age limits now, sweeps files that nobody can reach, and gives the room back; or says what would go.
// Works beside a running server: every step is small, and the server comes first.
import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "../cli/command.ts";
import { lockUnlessServed } from "../cli/lock-unless-served.ts";
import { inWords } from "../cli/progress.ts";
import { splitWords, takeSwitch } from "../cli/words.ts";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/settings.ts";
import { UsageError } from "../config/usage.ts";
import { applyRetention, rest } from "../happy/retention.ts";
import { migrations } from "../happy/store/migrations.ts";
import { countOld, newestMoment, sessionOwners } from "../happy/store/retention.ts";
import { createLog } from "../observability/log.ts";
import { sweepFiles, unwantedFiles } from "../retention/blob-sweep.ts";
import { believeClock, doubtInWords, RetentionClock } from "../retention/clock.ts";
import { releaseFreePages } from "../retention/free-pages.ts";
import { cutoffs, shortest } from "../retention/rules.ts";
import { type Database, openDatabase } from "../storage/database.ts";
import { S3Blobs } from "../storage/s3-blobs.ts";

export const prune: Command = {
  about: "delete what is older than the retention settings keep, now; prune --dry-run says what and whose",
  run: async (argv) => {
    const { words, flags: all } = splitWords(argv);
    const { on: isDry, flags: rest } = takeSwitch(all, "--dry-run");
    const { on: isRight, flags } = takeSwitch(rest, "--now-is-right");
    if (words.length > 0)
      throw new UsageError(
        "Usage: roost prune [--dry-run] [--now-is-right] [--retention-sessions-days 90] ...",
      );
    const { config } = await loadConfig(flags);
    process.umask(0o077);
    const path = join(config.dataDir, "happy.db");
    if (!existsSync(path)) throw new Error(`There is no database in ${config.dataDir}.`);
    const lock = lockUnlessServed(config.dataDir, path, migrations.length);
    try {
      const database = openDatabase({ path, migrations, log: createLog(config.logLevel) });
      try {
        chmodSync(path, 0o600);
        if (isRight && !isDry) believeClock(config.dataDir, ["happy", "topics"], Date.now());
        else judgeClock(config, database, isDry);
        return await (isDry ? tell(config, database) : remove(config, database, lock === undefined));
      } finally {
        await database.close();
      }
    } finally {
      lock?.release();
    }
  },
};

/** @throws Error when now cannot be believed; for a look only, says so. */
function judgeClock(config: Config, database: Database, isDry: boolean): void {
  const newest = (now: number) => newestMoment(database.reads, now);
  const doubt = new RetentionClock({ dataDir: config.dataDir, name: "happy", newest }).look(shortest(config));
  if (doubt === undefined) return;
  const { problem, fix } = doubtInWords(doubt);
  if (!isDry) throw new Error(`${problem} ${fix}`);
  process.stderr.write(`${problem} ${fix}\n`);
}

interface Sum {
  readonly kind: string;
  readonly account: string;
  readonly count: number;
  readonly bytes: number;
}

const ORDER = ["sessions", "messages", "attachments", "usage reports", "feed entries"];

/** Kinds in their order, the largest of each first. */
function sorted(sums: Sum[]): Sum[] {
  const rank = (kind: string) => (ORDER.includes(kind) ? ORDER.indexOf(kind) : ORDER.length);
  return sums.sort((a, b) => rank(a.kind) - rank(b.kind) || b.bytes - a.bytes);
}

async function tell(config: Config, database: Database): Promise<number> {
  const now = Date.now();
  const limits = cutoffs(config, now);
  const sums = new Map<string, Sum>();
  const add = (kind: string, account: string, count: number, bytes: number) => {
    const sum = sums.get(`${kind} ${account}`) ?? { kind, account, count: 0, bytes: 0 };
    sums.set(`${kind} ${account}`, { kind, account, count: sum.count + count, bytes: sum.bytes + bytes });
  };
  for (const { kind, account, count, bytes } of countOld(database.reads, limits))
    add(kind, account, count, bytes);
  if (config.s3Host === undefined) {
    const ownerOf = sessionOwners(database.reads, limits.sessions);
    const options = {
      folder: join(config.dataDir, "files"),
      now,
      attachmentsBefore: limits.attachments,
      ownerOf,
    };
    for await (const { kind, account, bytes } of unwantedFiles(options))
      add(kind, account ?? "nobody", 1, bytes);
  }
  if (sums.size === 0) process.stdout.write("Nothing would go.\n");
  const rows = [["WHAT", "WHOSE", "COUNT", "SIZE"]];
  for (const { kind, account, count, bytes } of sorted([...sums.values()]))
    rows.push([kind, account, String(count), inWords(bytes)]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  if (sums.size > 0)
    for (const cells of rows)
      process.stdout.write(
        `${cells
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
      );
  return 0;
}

async function remove(config: Config, database: Database, isShared: boolean): Promise<number> {
  const now = Date.now();
  const limits = cutoffs(config, now);
  const bucket = config.s3Host === undefined ? undefined : new S3Blobs(config);
  const emptied: string[] = [];
  const removed = await applyRetention({
    database,
    cutoffs: limits,
    announce: ({ id }) => emptied.push(id),
    goOn: () => true,
    isShared,
  });
  for (const id of emptied) await bucket?.removeFolder(`sessions/${id}`);
  let files = 0;
  let bytes = 0;
  if (bucket === undefined) {
    const ownerOf = sessionOwners(database.reads, undefined);
    const options = {
      folder: join(config.dataDir, "files"),
      now,
      attachmentsBefore: limits.attachments,
      ownerOf,
    };
    await sweepFiles(options, (what) => {
      files++;
      bytes += what.bytes;
    });
  }
  let began = performance.now();
  const given = await releaseFreePages(database, async () => {
    if (isShared) await rest(performance.now() - began);
    began = performance.now();
    return true;
  });
  const { sessions, messages, usageReports, feedEntries } = removed;
  process.stdout.write(
    `Deleted: ${sessions} sessions, ${messages} messages, ${usageReports} usage reports, ${feedEntries} feed entries, ${files} files (${inWords(bytes)}).\n` +
      `The database gave ${inWords(given)} back.\n`,
  );
  return 0;
}

// `roost prune`: applies the age limits of every protocol that is on, sweeps files that nobody can reach, and gives the room back; or says what
// would go. Works beside a running server: every step is small, and the server comes first.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "../cli/command.ts";
import { lockUnlessServed } from "../cli/lock-unless-served.ts";
import { inWords } from "../cli/progress.ts";
import { table } from "../cli/table.ts";
import { splitWords, takeSwitch } from "../cli/words.ts";
import { UsageError } from "../config/usage.ts";
import { createLog } from "../observability/log.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";
import { lockFolders } from "../protocol/lock-folders.ts";
import { type OpenOffline, openOffline } from "../protocol/offline.ts";
import type { Program } from "../protocol/program.ts";
import { sweepFiles, unwantedFiles } from "../retention/blob-sweep.ts";
import { believeClock, doubtInWords, RetentionClock } from "../retention/clock.ts";
import { releaseFreePages } from "../retention/free-pages.ts";
import { rest } from "../retention/rest.ts";
import type { Retention } from "../retention/retention.ts";
import { isThere, placedDatabases } from "./databases.ts";

export const prune: Command<Program> = {
  about: "delete what is older than the retention settings keep, now; prune --dry-run says what and whose",
  run: async (argv, program) => {
    const { words, flags: all } = splitWords(argv);
    const { on: isDry, flags: some } = takeSwitch(all, "--dry-run");
    const { on: isRight, flags } = takeSwitch(some, "--now-is-right");
    if (words.length > 0)
      throw new UsageError(
        "Usage: roost prune [--dry-run] [--now-is-right] [--happy-retention-sessions-days 90] ...",
      );
    const { config } = await program.load(flags);
    process.umask(0o077);
    const { dataDir } = config;
    // Of one that is off the limits are unknown: those in its settings are defaults that nobody chose.
    const on = program.on(config);
    const there = placedDatabases({ protocols: on }, config).filter(isThere);
    if (there.length === 0) throw new Error(`There is no database in ${dataDir}.`);
    const checked = await Promise.all(
      there.map(async ({ spec, path }) => ({ path, version: (await spec.migrations()).length })),
    );
    const lock = lockUnlessServed(dataDir, checked, () => lockFolders(dataDir, there));
    try {
      await using stack = new AsyncDisposableStack();
      const log = createLog(config.logLevel);
      const opened: Opened[] = [];
      for (const protocol of on) {
        const offline = await openOffline(protocol, config, log);
        if (offline !== undefined) opened.push({ name: protocol.name, ...stack.use(offline) });
      }
      if (isRight && !isDry)
        believeClock(
          dataDir,
          opened.map(({ name }) => name),
          Date.now(),
        );
      else for (const one of opened) await judgeClock(config, one, isDry);
      const pruned = { config, opened, isShared: lock === undefined };
      return await (isDry ? tell(pruned) : remove(pruned));
    } finally {
      lock?.release();
    }
  },
};

interface Opened extends OpenOffline {
  readonly name: string;
}

interface Pruned {
  readonly config: HouseConfig;
  readonly opened: readonly Opened[];
  /** A server runs on the folder. */
  readonly isShared: boolean;
}

/** @throws Error when now cannot be believed; for a look only, says so. */
async function judgeClock({ dataDir }: HouseConfig, { name, retention }: Opened, isDry: boolean) {
  if (retention === undefined) return;
  const clock = new RetentionClock({ dataDir, name, newest: (now) => retention.newest(now) });
  const doubt = await clock.look(retention.shortestMs());
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

/** In the data folder; those in a bucket have rules of their own. */
const filesOf = ({ config, opened }: Pruned, now: number) => {
  const folder = join(config.dataDir, "files");
  const owners = opened.flatMap(({ blobOwners }) => blobOwners ?? []);
  return config.s3Host === undefined && existsSync(folder) ? { folder, now, owners } : undefined;
};

async function tell(pruned: Pruned): Promise<number> {
  const now = Date.now();
  const sums = new Map<string, Sum>();
  const add = ({ kind, account, count, bytes }: Sum) => {
    const key = `${kind} ${account}`;
    const sum = sums.get(key) ?? { kind, account, count: 0, bytes: 0 };
    sums.set(key, { kind, account, count: sum.count + count, bytes: sum.bytes + bytes });
  };
  const order: string[] = [];
  for (const { retention, blobOwners } of pruned.opened) {
    order.push(...(retention?.kinds ?? []), ...(blobOwners === undefined ? [] : [blobOwners.kind]));
    for (const sum of (await retention?.plan(now)) ?? []) add(sum);
  }
  const files = filesOf(pruned, now);
  if (files !== undefined)
    for await (const { kind, account, bytes } of unwantedFiles({ ...files, leavingAt: now }))
      add({ kind, account: account ?? "nobody", count: 1, bytes });
  if (sums.size === 0) process.stdout.write("Nothing would go.\n");
  else
    process.stdout.write(
      table(
        ["WHAT", "WHOSE", "COUNT", "SIZE"],
        sorted([...sums.values()], order).map(({ kind, account, count, bytes }) => [
          kind,
          account,
          String(count),
          inWords(bytes),
        ]),
      ),
    );
  return 0;
}

/** Kinds in their order, the largest of each first. */
function sorted(sums: Sum[], order: readonly string[]): Sum[] {
  const rank = (kind: string) => (order.includes(kind) ? order.indexOf(kind) : order.length);
  return sums.sort((a, b) => rank(a.kind) - rank(b.kind) || b.bytes - a.bytes);
}

async function remove(pruned: Pruned): Promise<number> {
  const now = Date.now();
  const { opened, isShared } = pruned;
  const went: [kind: string, count: number][] = [];
  for (const { retention } of opened)
    if (retention !== undefined) went.push(...(await run(retention, now, isShared)));
  let count = 0;
  let bytes = 0;
  const files = filesOf(pruned, now);
  if (files !== undefined)
    await sweepFiles(files, (what) => {
      count++;
      bytes += what.bytes;
    });
  let given = 0;
  for (const database of opened.flatMap(({ databases }) => [...databases.values()])) {
    let began = performance.now();
    given += await releaseFreePages(database, async () => {
      if (isShared) await rest(performance.now() - began);
      began = performance.now();
      return true;
    });
  }
  const words = [...went.map(([kind, number]) => `${number} ${kind}`), `${count} files (${inWords(bytes)})`];
  process.stdout.write(
    `Deleted: ${words.join(", ")}.\n${opened.length === 1 ? "The database" : "The databases"} gave ${inWords(given)} back.\n`,
  );
  return 0;
}

const run = async (retention: Retention, now: number, isShared: boolean) =>
  Object.entries(await retention.run({ now, goOn: () => true, isShared }));

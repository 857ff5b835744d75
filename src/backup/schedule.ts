// Takes backups while the server runs: in a process of its own with low priority, because copying a database keeps a thread busy
// for as long as the database is large. Settings are read at each look, so changed ones take effect at once.

import { existsSync, mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { setPriority } from "node:os";
import { resolve } from "node:path";
import type { Logger } from "pino";
import { flagName } from "../config/setting.ts";
import type { PlaceConfig } from "../config/settings.ts";
import { type Child, startChild } from "../ops/child-process.ts";
import type { StorageConfig } from "../storage/settings.ts";
import { listBackups, newestGood } from "./folder.ts";
import { isDated } from "./keep.ts";
import { abandonedScratch } from "./scratch.ts";
import type { BackupConfig as Settings } from "./settings.ts";

const LOOK_EVERY_MS = 30_000;
const FIRST_LOOK_MS = 5_000;
/** After one that failed. */
const RETRY_MS = 15 * 60_000;
const LOW_PRIORITY = 10;
const DAY_MS = 86_400_000;

/** What the child is told; secrets it does not need, and an unknown file it would not find. */
type BackupConfig = Pick<
  Settings & PlaceConfig & StorageConfig,
  | "backupDir"
  | "backupEvery"
  | "backupAt"
  | "backupKeepDaily"
  | "backupKeepWeekly"
  | "dataDir"
  | "config"
  | "s3Host"
>;

/**
 * When the next backup is due, given when the last good one was made. Local time for `at`, as people read clocks. A last one in the
 * future is none: the clock was wrong then, or is now.
 */
export function dueAt(
  made: number | undefined,
  now: number,
  { everyMs, at }: { everyMs: number; at: string | undefined },
): number {
  const last = made !== undefined && isDated({ createdAt: made }, now) ? made : undefined;
  if (at === undefined) return last === undefined ? now : last + everyMs;
  const today = new Date(now);
  const [hours = 0, minutes = 0] = at.split(":").map(Number);
  today.setHours(hours, minutes, 0, 0);
  // The latest time at which one should have been made.
  const latest = today.getTime() <= now ? today.getTime() : today.getTime() - DAY_MS;
  if (last === undefined || last < latest) return now;
  return latest + DAY_MS;
}

export interface ScheduledChild {
  /** In place of this executable. */
  readonly command?: readonly string[];
  /** By the name of a setting: folders elsewhere that belong to the data. */
  readonly homes?: Readonly<Record<string, string>> | undefined;
}

export class BackupSchedule {
  #timer: Timer | undefined;
  #child: Child | undefined;
  #running: Promise<void> | undefined;
  #sweeping: Promise<void> | undefined;
  /** Of performance.now(): the clock may be set back. */
  #failedAt = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(
    private readonly config: BackupConfig,
    private readonly log: Logger,
    private readonly child: ScheduledChild = {},
  ) {}

  start(): void {
    this.#sweeping = this.#sweep().catch((error: unknown) => {
      this.log.warn({ err: error }, "what a killed backup or restore had left could not be removed");
    });
    this.#lookIn(FIRST_LOOK_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#child?.kill("SIGTERM");
    await Promise.all([this.#running, this.#sweeping]);
  }

  async #sweep(): Promise<void> {
    const { backupDir, dataDir } = this.config;
    for (const folder of [dataDir, backupDir])
      for (const path of folder === undefined ? [] : abandonedScratch(folder)) {
        await rm(path, { recursive: true, force: true });
        this.log.info({ path }, "removed what a killed backup or restore had left");
      }
  }

  #lookIn(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#look();
      this.#lookIn(LOOK_EVERY_MS);
    }, ms);
    this.#timer.unref();
  }

  #look(): void {
    const { backupDir, backupEvery, backupAt } = this.config;
    if (backupDir === undefined || this.#running !== undefined) return;
    if (performance.now() < this.#failedAt + RETRY_MS) return;
    try {
      const now = Date.now();
      const last = newestGood(listBackups(backupDir), now)?.createdAt;
      if (now < dueAt(last, now, { everyMs: backupEvery, at: backupAt })) return;
      this.#running = this.#run(backupDir).finally(() => {
        this.#running = undefined;
      });
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error));
    }
  }

  async #run(backupDir: string): Promise<void> {
    try {
      if (!existsSync(backupDir)) mkdirSync(backupDir, { recursive: true, mode: 0o700 });
      const child = startChild([
        ...(this.child.command ?? ownCommand()),
        "backup",
        ...this.#flags(backupDir),
      ]);
      this.#child = child;
      lower(child.pid);
      const { code, errors } = await child.ended;
      if (this.#stopped) return;
      if (code !== 0) return this.#failed(errors.replace(/^roost: /, "") || `It ended with code ${code}.`);
      const made = newestGood(listBackups(backupDir), Date.now());
      this.log.info(
        {
          file: made?.file,
          bytes: made?.bytes,
          drillMs: made?.drill.durationMs,
          compared: made?.drill.compared,
        },
        "a backup was made, and its drill passed",
      );
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error));
    } finally {
      this.#child = undefined;
    }
  }

  #flags(backupDir: string): string[] {
    const { backupKeepDaily, backupKeepWeekly, dataDir, config, s3Host } = this.config;
    const given = {
      config: config && resolve(config),
      dataDir: resolve(dataDir),
      backupDir: resolve(backupDir),
      backupKeepDaily,
      backupKeepWeekly,
      s3Host,
      ...this.child.homes,
    };
    return Object.entries(given).flatMap(([name, value]) =>
      value === undefined ? [] : [`${flagName(name)}=${value}`],
    );
  }

  #failed(problem: string): void {
    this.#failedAt = performance.now();
    this.log.error({ problem }, "the scheduled backup failed; it will be tried again");
  }
}

/** The compiled file is its own command; from source, Bun runs the entry that it was started with. */
function ownCommand(): string[] {
  return Bun.main.startsWith("/$bunfs/") || Bun.main.includes("~BUN")
    ? [process.execPath]
    : [process.execPath, Bun.main];
}

function lower(pid: number): void {
  try {
    setPriority(pid, LOW_PRIORITY);
  } catch {
    // It has ended already, or the system does not allow it.
  }
}

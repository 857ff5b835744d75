// Looks at the machine and the data folder. Nothing is changed: what is written for a test is removed again, and a database that a
// server uses is only read.

import { Database as Sqlite } from "bun:sqlite";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { listBackups } from "../backup/folder.ts";
import { isDated } from "../backup/keep.ts";
import type { BackupConfig } from "../backup/settings.ts";
import type { PlaceConfig } from "../config/settings.ts";
import { readCertificate } from "../server/certificate.ts";
import { localUrl } from "../server/machine-addresses.ts";
import type { ServerConfig } from "../server/settings.ts";
import { codeOf, isBusy } from "../storage/errors.ts";
import type { StorageConfig } from "../storage/settings.ts";
import { untilWhen } from "./certificate.ts";
import { type Finding, failure, ok, problemOf, skipped, warning } from "./finding.ts";
import { ask } from "./http-probe.ts";
import { checkRetention } from "./retention.ts";
import { checkAddresses, checkBounds, type ToldLimits } from "./running-server.ts";

/** The settings that are looked at, of whatever owner. */
export type Looked = PlaceConfig & ServerConfig & StorageConfig & BackupConfig;

export interface AskedBefore {
  /** See checkRetention. */
  readonly ageLimits: Readonly<Record<string, number>>;
  /** What the server that runs on the folder says; undefined where none does. */
  readonly limits: ToldLimits | undefined;
  /** Paths of the databases that there may be. */
  readonly databases: readonly string[];
  /** Folders of databases of their own, and what is private there. */
  readonly homes: readonly PrivateHome[];
  /** A service that tells the time; undefined when the server speaks to none. */
  readonly clockUrl: string | undefined;
  /** What each protocol looks at. */
  readonly ofProtocols: readonly AsyncIterable<Finding>[];
}

export async function* thisMachine(
  config: Looked,
  { ageLimits, limits, databases, homes, clockUrl, ofProtocols }: AskedBefore,
): AsyncGenerator<Finding> {
  yield checkFolder(config);
  for (const { folder, flag } of homes) if (existsSync(folder)) yield checkWritable(folder, flag);
  yield checkPermissions(config, homes);
  if (clockUrl !== undefined) yield await checkClock(clockUrl);
  yield checkDisk(config);
  yield await checkPort(config);
  yield* checkDatabases(databases);
  for (const findings of ofProtocols) yield* findings;
  yield checkBackups(config);
  yield await checkRetention(config.dataDir, ageLimits);
  yield checkAddresses(limits);
  yield checkBounds(limits);
  yield checkOwnCertificate(config);
}

export function checkFolder({ dataDir }: Looked): Finding {
  const at = statSync(dataDir, { throwIfNoEntry: false });
  if (at === undefined)
    return warning("folder", `The data folder ${dataDir} is not there yet; the first start makes it.`, {
      fix: "If Roost has run before, name its folder: --data-dir FOLDER.",
    });
  return checkWritable(dataDir, "--data-dir");
}

function checkWritable(folder: string, flag: string): Finding {
  if (!statSync(folder).isDirectory())
    return failure("folder", `${folder} is not a folder.`, { fix: `Name another one: ${flag} FOLDER.` });
  const probe = join(folder, `.doctor-${process.pid}`);
  try {
    const file = openSync(probe, "wx", 0o600);
    try {
      writeSync(file, "roost doctor");
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return failure("folder", `The data folder ${folder} cannot be written: ${problemOf(error)}.`, {
      fix: `chown -R USER ${folder}   (the user that runs Roost)`,
    });
  } finally {
    rmSync(probe, { force: true });
  }
  return ok("folder", `The data folder ${folder} can be written.`);
}

/** What holds keys, tokens and content, or admits to them. */
const PRIVATE = /\.db(-|\.|$)|secret|\.key$/;

export interface PrivateHome {
  readonly folder: string;
  /** Names another folder. */
  readonly flag: string;
  /** Beside the database. */
  readonly files: readonly string[];
}

export function checkPermissions({ dataDir, tlsKey }: Looked, homes: readonly PrivateHome[] = []): Finding {
  if (process.platform === "win32")
    return skipped("permissions", "Windows keeps permissions in another way.");
  if (statSync(dataDir, { throwIfNoEntry: false }) === undefined)
    return skipped("permissions", "There is no data folder yet.");
  const folders = [{ folder: dataDir, files: [] as readonly string[] }, ...homes];
  const places = [
    ...folders.flatMap(({ folder, files }) => privateFiles(folder, files)),
    ...(tlsKey === undefined ? [] : [{ path: tlsKey, isReached: true }]),
  ];
  const paths = places.map(({ path }) => path);
  const isClosed = (modeOf(dataDir) & 0o007) === 0;
  const open = places.flatMap(({ path, isReached }) =>
    isReached && (modeOf(path) & 0o007) !== 0 ? [path] : [],
  );
  if (open.length > 0)
    return failure("permissions", `Everybody on this machine may read ${open.join(", ")}.`, {
      fix: `chmod go-rwx ${open.join(" ")}`,
    });
  if (!isClosed)
    return warning("permissions", `Everybody on this machine may look into ${dataDir}.`, {
      fix: `chmod 700 ${dataDir}`,
    });
  const owner = statSync(dataDir).uid;
  const strange = paths.filter((path) => path !== tlsKey && statSync(path).uid !== owner);
  if (strange.length > 0)
    return warning(
      "permissions",
      `Another user than the folder's owns ${strange.join(", ")}: a server of the folder's user may not write there.`,
      {
        fix: `chown --reference=${dataDir} ${strange.join(" ")}`,
      },
    );
  return ok("permissions", "Only their owner may read the data and the keys.");
}

/** Whoever may not enter the folder does not reach its files; a key file may lie anywhere. */
function privateFiles(folder: string, files: readonly string[]): { path: string; isReached: boolean }[] {
  if (!existsSync(folder)) return [];
  const isReached = (modeOf(folder) & 0o007) !== 0;
  return readdirSync(folder)
    .filter((name) => PRIVATE.test(name) || files.includes(name))
    .map((name) => ({ path: join(folder, name), isReached }));
}

const modeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.mode ?? 0;

const DAY_MS = 86_400_000;
const CLOCK_TOLERANCE_MS = 60_000;

/** Compared with a service that Roost speaks to anyway. What is shown and kept carries this machine's time. */
export async function checkClock(url: string): Promise<Finding> {
  const built = Date.parse("2025-01-01T00:00:00Z");
  if (Date.now() < built)
    return failure("clock", `The clock says ${new Date().toISOString()}.`, {
      fix: "timedatectl set-ntp true",
    });
  let date: string | null;
  const askedAt = Date.now();
  try {
    date = (await ask(url, { method: "HEAD" })).headers.get("date");
  } catch {
    return skipped(
      "clock",
      `The clock could not be compared: ${new URL(url).host}, which push needs too, does not answer.`,
    );
  }
  const theirs = Date.parse(date ?? "");
  if (Number.isNaN(theirs))
    return skipped("clock", `The clock could not be compared: ${new URL(url).host} tells no time.`);
  const off = (askedAt + Date.now()) / 2 - theirs;
  const seconds = Math.round(Math.abs(off) / 1_000);
  if (Math.abs(off) > CLOCK_TOLERANCE_MS)
    return failure(
      "clock",
      `The clock is ${seconds} s ${off > 0 ? "ahead" : "behind"}: agents look dead, and sign-ins fail.`,
      {
        fix: "timedatectl set-ntp true",
      },
    );
  return ok("clock", `The clock is right within ${Math.max(1, seconds)} s.`);
}

export function checkDisk({ dataDir, minFreeBytes }: Looked): Finding {
  const folder = statSync(dataDir, { throwIfNoEntry: false }) === undefined ? "." : dataDir;
  const { bavail, blocks, bsize, ffree, files } = statfsSync(folder);
  const free = bavail * bsize;
  const text = `${Math.round(free / 2 ** 20)} MiB (${Math.round((bavail / blocks) * 100)} %) of the disk are free`;
  const fix = "Free some space, or move the data folder to a larger disk.";
  if (free < minFreeBytes)
    return failure("disk", `${text}, less than --min-free-bytes: uploads are refused.`, { fix });
  if (files > 0 && ffree < 1_000)
    return failure("disk", "The file system has no room for more files.", { fix });
  if (free < 4 * minFreeBytes || bavail / blocks < 0.05) return warning("disk", `${text}.`, { fix });
  return ok("disk", `${text}.`);
}

export async function checkPort({ host, port, tlsCert }: Looked): Promise<Finding> {
  if (port === 0) return skipped("port", "Port 0 takes any free one.");
  try {
    const server = Bun.serve({ hostname: host, port, fetch: () => new Response() });
    await server.stop(true);
    return ok("port", `Port ${port} is free; Roost does not run there now.`);
  } catch (error) {
    const code = codeOf(error);
    if (code === "EACCES")
      return failure("port", `Port ${port} may not be opened by this user.`, {
        fix: "Choose one above 1023: --port 3005.",
      });
    if (code !== "EADDRINUSE")
      return failure("port", `Port ${port} at ${host} cannot be opened: ${problemOf(error)}.`, {
        fix: "Check --host.",
      });
  }
  const url = `${localUrl(host, port, tlsCert !== undefined)}/ready`;
  const answer = await ask(url).catch(() => undefined);
  if (answer !== undefined && isReadiness(answer.text)) return ok("port", `Roost runs on port ${port}.`);
  return failure("port", `Another program holds port ${port}.`, {
    fix: `Stop it, or choose another port: --port ${port + 1}.`,
  });
}

/** The page that says which parts are well; no other program has it. */
function isReadiness(text: string): boolean {
  try {
    return readiness.safeParse(JSON.parse(text)).success;
  } catch {
    return false;
  }
}

const readiness = z.object({
  status: z.enum(["ready", "not ready"]),
  checks: z.record(z.string(), z.string()),
});

export function* checkDatabases(paths: readonly string[]): Generator<Finding> {
  const there = paths.filter((path) => statSync(path, { throwIfNoEntry: false }) !== undefined);
  if (there.length === 0) yield skipped("database", "There is no database yet.");
  for (const path of there) yield checkDatabase(path);
}

function checkDatabase(path: string): Finding {
  const fix = "Stop Roost, keep a copy of the folder, and restore the last backup: roost restore FILE.";
  try {
    // Not read-only: such a connection would leave its side files behind. It writes nothing all the same.
    const sqlite = new Sqlite(path, { create: false, readwrite: true, strict: true });
    try {
      sqlite.run("PRAGMA busy_timeout = 5000");
      sqlite.run("PRAGMA query_only = ON");
      const problems = sqlite
        .query<{ integrity_check: string }, []>("PRAGMA integrity_check(3)")
        .all()
        .map((row) => row.integrity_check)
        .filter((line) => line !== "ok");
      if (problems.length > 0) return failure("database", `${path} is damaged: ${problems[0]}.`, { fix });
      const broken = sqlite.query("PRAGMA foreign_key_check").all().length;
      if (broken > 0) return failure("database", `${path} has ${broken} rows whose owner is gone.`, { fix });
    } finally {
      sqlite.close();
    }
  } catch (error) {
    if (isBusy(error))
      return failure("database", `Another program keeps ${path} locked, also for readers.`, {
        fix: `End it: fuser ${path} names it.`,
      });
    return failure("database", `${path} cannot be read as a database: ${problemOf(error)}.`, { fix });
  }
  return ok("database", `${path} is sound.`);
}

export function checkBackups({ backupDir, backupEvery, dataDir }: Looked): Finding {
  if (backupDir === undefined)
    return warning("backups", "No backups are made.", { fix: "--backup-dir FOLDER   (on another disk)" });
  const now = Date.now();
  const all = listBackups(backupDir);
  const ahead = all.filter((backup) => !isDated(backup, now));
  if (ahead.length > 0)
    return failure(
      "backups",
      `${ahead.length === 1 ? "A backup is" : `${ahead.length} backups are`} dated in the future, as ${new Date(ahead[0]?.createdAt ?? 0).toISOString()}: the clock was wrong then, or is now. It counts as unknown.`,
      {
        fix: `Put the clock right (timedatectl set-ntp true), make a backup now (roost backup), and remove ${ahead.map(({ file }) => file).join(", ")} from ${backupDir} when you no longer need it.`,
      },
    );
  const [last, ...older] = all;
  if (last === undefined)
    return warning("backups", `There is no finished backup in ${backupDir} yet.`, {
      fix: "Keep Roost running until the next one is due, or make one now: roost backup FILE.",
    });
  const age = Math.max(0, now - last.createdAt);
  const hours = Math.round(age / 3_600_000);
  const fix = 'Look for the area "storage" in the log.';
  if (!last.drill.ok)
    return failure(
      "backups",
      `The last backup cannot be restored: ${last.drill.problems[0] ?? "the drill failed"}`,
      {
        fix,
      },
    );
  // Two turns were missed, whatever the turn is.
  if (age > 2 * Math.max(backupEvery, DAY_MS))
    return failure("backups", `The last backup is ${hours} hours old.`, { fix });
  const says = `${older.length + 1} backups; the last is ${hours} hours old and was restored in a drill.`;
  const device = (path: string) => statSync(path, { throwIfNoEntry: false })?.dev;
  if (device(dataDir) === device(backupDir))
    return warning("backups", `${says} But it lies on the same disk as the data.`, {
      fix: "--backup-dir FOLDER   (on another disk)",
    });
  return ok("backups", says);
}

export function checkOwnCertificate({ tlsCert, tlsKey, publicUrl }: Looked): Finding {
  if (tlsCert === undefined || tlsKey === undefined)
    return publicUrl?.startsWith("https:")
      ? skipped("certificate", `The proxy shows the certificate: roost doctor ${publicUrl} looks at it.`)
      : skipped("certificate", "Roost has none: it speaks http, and phones want https.");
  try {
    const { names, validUntil } = readCertificate({ cert: tlsCert, key: tlsKey });
    return untilWhen("certificate", validUntil, `Certificate and key fit (${names})`);
  } catch (error) {
    return failure("certificate", `${problemOf(error)}.`, {
      fix: "--tls-cert fullchain.pem --tls-key privkey.pem",
    });
  }
}

// Settings of scheduled backups.
import { z } from "zod";
import { duration } from "../config/duration.ts";
import { type Setting, setting, type Values } from "../config/setting.ts";
import { text, whole } from "../config/values.ts";

const MINUTE = 60_000;

export const backupSettings = {
  backupDir: setting(text().optional(), "folder of scheduled backups; without it none are made", {
    live: true,
  }),
  backupEvery: setting(
    duration(MINUTE).prefault("24h"),
    "time between scheduled backups, when no time of day is given",
    {
      live: true,
    },
  ),
  backupAt: setting(
    z
      .string()
      .regex(/^([01]\d|2[0-3]):[0-5]\d$/, "it must be a time such as 03:30")
      .optional(),
    "time of day of scheduled backups, in the machine's own time zone",
    { live: true },
  ),
  backupKeepDaily: setting(whole(0, 10_000).default(7), "days whose newest backup is kept", { live: true }),
  backupKeepWeekly: setting(whole(0, 10_000).default(4), "weeks whose newest backup is kept", { live: true }),
} as const satisfies Record<string, Setting>;

export type BackupConfig = Values<typeof backupSettings>;

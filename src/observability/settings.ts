// Settings of the log.
import { z } from "zod";
import { type Setting, setting, type Values } from "../config/setting.ts";
import { logLevels } from "../config/values.ts";

export const logSettings = {
  logLevel: setting(
    z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
    "least serious log line that is written",
    { live: true },
  ),
  logLevels: setting(
    logLevels().prefault(""),
    "other levels for single areas, such as happy=debug,storage=warn",
    { live: true },
  ),
  logFormat: setting(
    z.enum(["auto", "json", "text"]).default("auto"),
    "how log lines look: JSON, text for people, or auto, which is text on a terminal",
  ),
} as const satisfies Record<string, Setting>;

export type LogConfig = Values<typeof logSettings>;

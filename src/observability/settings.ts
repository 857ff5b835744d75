// Settings of the log.
import { z } from "zod";
import type { Settle } from "../config/catalogue.ts";
import { type Setting, setting } from "../config/setting.ts";
import { UsageError } from "../config/usage.ts";
import { type LogLevels, logLevels } from "../config/values.ts";

export const logSettings = {
  logLevel: setting(
    z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
    "least serious log line that is written",
    { live: true },
  ),
  logLevels: setting(
    logLevels().prefault(""),
    "other levels for single areas, such as server=debug,storage=warn",
    { live: true },
  ),
  logFormat: setting(
    z.enum(["auto", "json", "text"]).default("auto"),
    "how log lines look: JSON, text for people, or auto, which is text on a terminal",
  ),
} as const satisfies Record<string, Setting>;

/** The parts of the house that log under a name of their own; each protocol logs under its own. */
export const LOG_AREAS = ["server", "storage", "limits", "bus"] as const;

/** A level for an area that there is not. */
export const refuseUnknownAreas =
  (areas: readonly string[]): Settle =>
  ({ logLevels: levels }, given) => {
    const strange = Object.keys(levels as LogLevels).find((area) => !areas.includes(area));
    if (strange !== undefined)
      throw new UsageError(
        `${given.logLevels?.source} ${JSON.stringify(given.logLevels?.value)} is not usable: "${strange}" is not one of ${areas.join(", ")}.`,
      );
    return [];
  };

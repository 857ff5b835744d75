// The settings that every protocol shares, from their owners. What a protocol has for itself stands in its own folder.
import { backupSettings } from "../backup/settings.ts";
import { busSettings } from "../bus/settings.ts";
import type { Values } from "../config/setting.ts";
import { placeSettings } from "../config/settings.ts";
import { limitsSettings } from "../limits/settings.ts";
import { logSettings } from "../observability/settings.ts";
import { opsSettings } from "../ops/settings.ts";
import { serverSettings } from "../server/settings.ts";
import { storageSettings } from "../storage/settings.ts";

export const houseSettings = {
  ...placeSettings,
  ...serverSettings,
  ...storageSettings,
  ...backupSettings,
  ...logSettings,
  ...opsSettings,
  ...limitsSettings,
  ...busSettings,
} as const;

export type HouseConfig = Values<typeof houseSettings>;

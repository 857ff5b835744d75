// The two settings that say where a configuration lies; the machinery asks for them itself. All others stand beside their owners.
import { type Setting, setting, type Values } from "./setting.ts";
import { text } from "./values.ts";

export const placeSettings = {
  config: setting(
    text().optional(),
    "configuration file; without it roost.yaml in the data folder, else in the current folder, when there is one",
  ),
  dataDir: setting(text().default("./data"), "folder that keeps the database, files and the secret", {
    legacy: ["DATA_DIR"],
  }),
} as const satisfies Record<string, Setting>;

export type PlaceConfig = Values<typeof placeSettings>;

// `roost config`: every setting with the value that would be in effect, where it came from, and what it means.

import type { Command } from "../cli/command.ts";
import { describeEffective } from "../config/describe.ts";
import { type LoadedConfig, loadConfig } from "../config/load.ts";
import type { Setting } from "../config/setting.ts";
import { type SettingName, settings } from "../config/settings.ts";

export const config: Command = {
  about: "show every setting: its value, where it came from, what it means",
  run: async (argv) => {
    process.stdout.write(text(await loadConfig(argv)));
    return 0;
  },
};

function text(loaded: LoadedConfig): string {
  const { file, places } = loaded;
  const found = file === undefined ? "Configuration file: none" : `Configuration file: ${file}`;
  return `${found} (looked for: ${places.join(", ")})\nFlags win over variables of the environment, these over the file, the file over defaults.\n\n${(Object.keys(settings) as SettingName[]).map((name) => entry(name, loaded)).join("")}`;
}

function entry(name: SettingName, { config: effective, given }: LoadedConfig): string {
  const setting: Setting = settings[name];
  const value = describeEffective(setting, given[name], effective[name]);
  return `${name}: ${value}   (${originOf(name, given)})\n    ${setting.about}${setting.live ? "; changes while the server runs" : ""}\n`;
}

function originOf(name: SettingName, given: LoadedConfig["given"]): string {
  const source = given[name]?.source;
  if (source !== undefined) return source;
  return (name === "host" || name === "port") && given.serverAddr !== undefined
    ? given.serverAddr.source
    : "default";
}

// `roost config`: every setting with the value that would be in effect, where it came from, and what it means.

import type { Command } from "../cli/command.ts";
import { describeEffective } from "../config/describe.ts";
import type { Setting } from "../config/setting.ts";
import type { LoadedConfig, Program } from "../protocol/program.ts";

export const config: Command<Program> = {
  about: "show every setting: its value, where it came from, what it means",
  run: async (argv, program) => {
    const loaded = await program.load(argv);
    const { file, places } = loaded;
    const found = file === undefined ? "Configuration file: none" : `Configuration file: ${file}`;
    const entries = Object.entries(program.catalogue.settings).map(([name, setting]) =>
      entry(name, setting, loaded),
    );
    process.stdout.write(
      `${found} (looked for: ${places.join(", ")})\nFlags win over variables of the environment, these over the file, the file over defaults.\n\n${entries.join("")}`,
    );
    return 0;
  },
};

function entry(name: string, setting: Setting, { config: effective, given, origins }: LoadedConfig): string {
  const value = describeEffective(setting, given[name], (effective as Record<string, unknown>)[name]);
  const origin = given[name]?.source ?? origins[name] ?? "default";
  return `${name}: ${value}   (${origin})\n    ${setting.about}${setting.live ? "; changes while the server runs" : ""}\n`;
}

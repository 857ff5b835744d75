// `roost help`: commands, and every setting with its flag, variables and default. `roost help <command>`: that command's words.

import type { Command } from "../cli/command.ts";
import { describeDefault } from "../config/describe.ts";
import type { Setting } from "../config/setting.ts";
import { flagName, settings, variableName } from "../config/settings.ts";
import { commands } from "./index.ts";

export const help: Command = {
  about: "show the commands and every setting",
  run: async ([name = ""]) => {
    const usage = Object.hasOwn(commands, name) ? (await commands[name]?.())?.usage : undefined;
    process.stdout.write(usage === undefined ? await text() : `${usage}\n`);
    return 0;
  },
};

async function text(): Promise<string> {
  const names = await Promise.all(
    Object.entries(commands).map(async ([name, load]) => `  ${name.padEnd(10)} ${(await load()).about}`),
  );
  const options = Object.entries<Setting>(settings).map(([name, setting]) => {
    const { about, legacy = [] } = setting;
    const value = setting.secret ? undefined : describeDefault(setting);
    const shown = value === undefined ? "" : ` [${value}]`;
    return `  ${flagName(name)}\n      ${about}${shown}\n      ${[variableName(name), ...legacy].join(", ")}`;
  });
  return `Usage: roost [command] [settings]\n\nCommands\n${names.join("\n")}\n\nSettings (flag over variable over roost.yaml over default)\n${options.join("\n")}\n`;
}

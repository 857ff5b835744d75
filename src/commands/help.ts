// `roost help`: commands, and every setting with its flag, variables and default. `roost help <command>`: that command's words.

import type { Command } from "../cli/command.ts";
import { describeDefault } from "../config/describe.ts";
import { flagName, variableName } from "../config/setting.ts";
import type { Program } from "../protocol/program.ts";

type Commands = Readonly<Record<string, () => Promise<Command<Program> | Command>>>;

export const helpOn = (commands: Commands): Command<Program> => ({
  about: "show the commands and every setting",
  run: async ([name = ""], program) => {
    const usage = Object.hasOwn(commands, name) ? (await commands[name]?.())?.usage : undefined;
    process.stdout.write(usage === undefined ? await text(commands, program) : `${usage}\n`);
    return 0;
  },
});

async function text(commands: Commands, { catalogue }: Program): Promise<string> {
  const names = await Promise.all(
    Object.entries(commands).map(async ([name, load]) => `  ${name.padEnd(10)} ${(await load()).about}`),
  );
  const options = Object.entries(catalogue.settings).map(([name, setting]) => {
    const { about, legacy = [], shared } = setting;
    const others = (shared?.variables ?? []).map((variable) => `${variable} (with ${shared?.onlyWith})`);
    const value = setting.secret ? undefined : describeDefault(setting);
    const shown = value === undefined ? "" : ` [${value}]`;
    return `  ${flagName(name)}\n      ${about}${shown}\n      ${[variableName(name), ...legacy, ...others].join(", ")}`;
  });
  return `Usage: roost [command] [settings]\n\nCommands\n${names.join("\n")}\n\nSettings (flag over variable over roost.yaml over default)\n${options.join("\n")}\n`;
}

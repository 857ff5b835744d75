// `roost hapi ...`: what a person does with the HAPI side of a server. Each word has its own file.
import type { Command } from "../cli/command.ts";
import { UsageError } from "../config/usage.ts";
import type { Program } from "../protocol/program.ts";
import type { HapiConfig } from "./settings.ts";
import { USAGE, webCommand } from "./web/command.ts";

export const hapiCommand: Command<Program<HapiConfig>> = {
  about: "get HAPI's web app: hapi web install|status|update|remove",
  usage: USAGE,
  run: async ([word, ...argv], program) => {
    if (word !== "web") throw new UsageError(USAGE);
    return webCommand(argv, program);
  },
};

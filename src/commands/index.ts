// The commands by name, the house's own and those of the protocols, and how they fail: one clear sentence on standard error, exit code
// 2 for a usage error, 1 for a failure.

import type { Command } from "../cli/command.ts";
import { plainLines } from "../cli/table.ts";
import { nearest, UsageError } from "../config/usage.ts";
import type { Program } from "../protocol/program.ts";

type Load = () => Promise<Command<Program> | Command>;

/** Each is loaded when it is asked for: a health check every few seconds must not cost what a server does. */
const OF_THE_HOUSE: Readonly<Record<string, Load>> = {
  serve: async () => (await import("./serve.ts")).serve,
  backup: async () => (await import("./backup.ts")).backup,
  restore: async () => (await import("./restore.ts")).restore,
  prune: async () => (await import("./prune.ts")).prune,
  migrate: async () => (await import("./migrate.ts")).migrate,
  config: async () => (await import("./config.ts")).config,
  service: async () => (await import("./service.ts")).service,
  doctor: async () => (await import("./doctor.ts")).doctor,
  health: async () => (await import("./health.ts")).health,
  version: async () => (await import("./version.ts")).version,
};

/** Exit code. */
export async function run(argv: readonly string[], program: Program): Promise<number> {
  try {
    const commands = commandsOf(program);
    const { name, rest } = commandOf(argv);
    const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (load === undefined)
      throw new UsageError(
        `Unknown command "${name}". Did you mean ${nearest(name, Object.keys(commands))}?`,
      );
    return await (await load()).run(rest, program);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    process.stderr.write(`roost: ${plainLines(problem)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

function commandsOf({ protocols }: Program): Readonly<Record<string, Load>> {
  const others: Record<string, Load> = { ...OF_THE_HOUSE };
  for (const [name, load] of protocols.flatMap(({ commands = {} }) => Object.entries(commands)))
    others[name] = load;
  const all: Record<string, Load> = {
    ...others,
    help: async () => (await import("./help.ts")).helpOn(all),
  };
  return all;
}

function commandOf(argv: readonly string[]): { name: string; rest: readonly string[] } {
  const [first = "serve", ...rest] = argv;
  if (argv.includes("--help") || argv.includes("-h")) return { name: "help", rest: [first] };
  if (first === "--version" || first === "-v") return { name: "version", rest };
  // `roost --port 4000` means `roost serve --port 4000`.
  return first.startsWith("-") ? { name: "serve", rest: argv } : { name: first, rest };
}

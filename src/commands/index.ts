// The commands by name, and how they fail: one clear sentence on standard error, exit code 2 for a usage error, 1 for a failure.

import type { Command } from "../cli/command.ts";
import { nearest, UsageError } from "../config/usage.ts";

/** Each is loaded when it is asked for: a health check every few seconds must not cost what a server does. */
export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import("./serve.ts")).serve,
  backup: async () => (await import("./backup.ts")).backup,
  restore: async () => (await import("./restore.ts")).restore,
  prune: async () => (await import("./prune.ts")).prune,
  migrate: async () => (await import("./migrate.ts")).migrate,
  config: async () => (await import("./config.ts")).config,
  service: async () => (await import("./service.ts")).service,
  accounts: async () => (await import("./accounts.ts")).accounts,
  invite: async () => (await import("./invite.ts")).invite,
  doctor: async () => (await import("./doctor.ts")).doctor,
  health: async () => (await import("./health.ts")).health,
  frames: async () => (await import("./frames.ts")).frames,
  topics: async () => (await import("./topics.ts")).topics,
  version: async () => (await import("./version.ts")).version,
  help: async () => (await import("./help.ts")).help,
};

export async function run(argv: readonly string[]): Promise<number> {
  try {
    const { name, rest } = commandOf(argv);
    const load = commands[name];
    if (load === undefined)
      throw new UsageError(
        `Unknown command "${name}". Did you mean ${nearest(name, Object.keys(commands))}?`,
      );
    return await (await load()).run(rest);
  } catch (error) {
    process.stderr.write(`roost: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

function commandOf(argv: readonly string[]): { name: string; rest: readonly string[] } {
  const [first = "serve", ...rest] = argv;
  if (argv.includes("--help") || argv.includes("-h")) return { name: "help", rest: [first] };
  if (first === "--version" || first === "-v") return { name: "version", rest };
  // `roost --port 4000` means `roost serve --port 4000`.
  return first.startsWith("-") ? { name: "serve", rest: argv } : { name: first, rest };
}

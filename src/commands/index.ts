// The commands by name, and how they fail: one clear sentence on standard error, exit code 2 for a usage error, 1 for a failure.
import { nearest, UsageError } from "../config/env.ts";
import { config } from "./config.ts";
import { health } from "./health.ts";
import { help } from "./help.ts";
import { migrate } from "./migrate.ts";
import { serve } from "./serve.ts";
import { topics } from "./topics.ts";
import { version } from "./version.ts";

export interface Command {
  readonly about: string;
  /** Exit code. @throws UsageError, or any Error whose message is a sentence for the person. */
  run(argv: readonly string[]): Promise<number>;
}

export const commands: Readonly<Record<string, Command>> = {
  serve,
  migrate,
  config,
  health,
  topics,
  version,
  help,
};

export async function run(argv: readonly string[]): Promise<number> {
  try {
    const [first = "serve", ...rest] = argv;
    if (first === "--help" || first === "-h") return await help.run(rest);
    if (first === "--version" || first === "-v") return await version.run(rest);
    // `roost --port 4000` means `roost serve --port 4000`.
    if (first.startsWith("-")) return await serve.run(argv);
    const command = commands[first];
    if (command === undefined)
      throw new UsageError(
        `Unknown command "${first}". Did you mean ${nearest(first, Object.keys(commands))}?`,
      );
    if (rest.includes("--help") || rest.includes("-h")) return await help.run([first]);
    return await command.run(rest);
  } catch (error) {
    process.stderr.write(`roost: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

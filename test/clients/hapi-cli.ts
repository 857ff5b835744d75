// A computer with the released hapi CLI on it, with a home of its own, so that nothing of the person who runs the tests is read or touched.
// Its agents are the tiny ones: one of the Agent Client Protocol, and one that stands for Claude Code.
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { installTinyClaude } from "./happy-cli.ts";
import { type Launched, launch, launchInTerminal } from "./processes.ts";

export class HapiComputer {
  /** Where sessions work. */
  readonly project: string;
  readonly #home: string;
  readonly #env: Record<string, string>;

  constructor(
    readonly name: string,
    readonly folder: string,
    readonly executable: string,
    hub: { url: string; token: string },
  ) {
    this.project = join(folder, "project");
    this.#home = join(folder, ".hapi");
    mkdirSync(this.project, { recursive: true });
    this.#env = {
      PATH: process.env.PATH ?? "",
      HOME: folder,
      TMPDIR: folder,
      LANG: "C.UTF-8",
      TERM: "xterm",
      SHELL: "/bin/sh",
      HAPI_HOME: this.#home,
      HAPI_HOSTNAME: name,
      HAPI_API_URL: hub.url,
      CLI_API_TOKEN: hub.token,
      HAPI_DSH_ACP_COMMAND: process.execPath,
      HAPI_DSH_ACP_ARGS_JSON: JSON.stringify([resolve(import.meta.dir, "acp-agent.ts")]),
      HAPI_CLAUDE_PATH: installTinyClaude(folder),
    };
  }

  /** `hapi <args>` in the background. */
  run(...args: string[]): Launched {
    return launch(`${this.name}: hapi ${args.join(" ")}`, [this.executable, ...args], {
      cwd: this.project,
      env: this.#env,
      logPath: join(this.folder, `${args[0]}.log`),
    });
  }

  /** `hapi <args>` in a terminal, as a person runs it. */
  runInTerminal(...args: string[]): ReturnType<typeof launchInTerminal> {
    return launchInTerminal(`${this.name}: hapi ${args.join(" ")}`, [this.executable, ...args], {
      cwd: this.project,
      env: this.#env,
    });
  }

  /** Known once a command has run. */
  get machineId(): string {
    return String(JSON.parse(readFileSync(join(this.#home, "settings.json"), "utf8")).machineId);
  }

  /** The end of every log that the CLI kept. */
  logs(): { file: string; text: string }[] {
    const folder = join(this.#home, "logs");
    if (!existsSync(folder)) return [];
    return readdirSync(folder).map((file) => ({ file, text: readFileSync(join(folder, file), "utf8") }));
  }
}

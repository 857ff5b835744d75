// A computer with a release of the happy CLI on it, run under Node with a home of its own, so that nothing of the person who runs the
// tests is read or touched. Its Claude Code is the tiny one.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { networkAddresses } from "../../src/server/machine-addresses.ts";
import { until } from "../support/until.ts";
import { fromBase64 } from "./encryption.ts";
import { type Launched, launch, launchInTerminal } from "./processes.ts";

/** The CLI waits for a network before it reconnects; a server on loopback does not count as one for it. */
export function requireNetworkAddress(): void {
  if (networkAddresses().length > 0) return;
  throw new Error(
    "This computer has no IPv4 address but loopback: the happy CLI would never reconnect here.",
  );
}

const credentials = z.union([
  z.object({ token: z.string(), encryption: z.object({ publicKey: z.base64(), machineKey: z.base64() }) }),
  z.object({ token: z.string(), secret: z.base64() }),
]);
const cliSettings = z.object({ machineId: z.uuid() });
const daemonState = z.object({ pid: z.int().positive() });

/** Where Claude Code's own installer puts it. */
export function installTinyClaude(home: string): string {
  const folder = join(home, ".local", "bin");
  const path = join(folder, "claude");
  mkdirSync(folder, { recursive: true });
  // A path may hold what a shell reads as its own.
  const [bun, program] = [process.execPath, resolve(import.meta.dir, "tiny-claude.ts")].map(
    (word) => `'${word.replaceAll("'", `'\\''`)}'`,
  );
  writeFileSync(path, `#!/bin/sh\nexec ${bun} ${program} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

/** One computer with the CLI on it. */
export class HappyComputer {
  /** Where sessions work. */
  readonly project: string;
  /** Sessions that the daemon started: they outlive it. */
  readonly sessionPids = new Set<number>();
  readonly #happyHome: string;
  readonly #env: Record<string, string>;

  constructor(
    readonly name: string,
    readonly folder: string,
    readonly packageFolder: string,
    serverUrl: string,
  ) {
    this.project = join(folder, "project");
    this.#happyHome = join(folder, ".happy");
    mkdirSync(this.project, { recursive: true });
    // Built from nothing: an inherited CI flag silences the CLI's prompts, an inherited proxy diverts its requests.
    this.#env = {
      PATH: process.env.PATH ?? "",
      HOME: folder,
      TMPDIR: folder,
      LANG: "C.UTF-8",
      TERM: "xterm",
      HAPPY_HOME_DIR: this.#happyHome,
      HAPPY_SERVER_URL: serverUrl,
      HAPPY_DISABLE_CAFFEINATE: "1",
      HAPPY_CLAUDE_PATH: installTinyClaude(folder),
      // Some releases look for a Claude Code that npm installed for everybody, and would take the person's own.
      NPM_CONFIG_PREFIX: join(folder, "npm"),
    };
  }

  /** `happy <args>` in the background. */
  run(...args: string[]): Launched {
    return launch(`${this.name}: happy ${args[0]}`, this.#command(args), {
      cwd: this.project,
      env: this.#env,
      logPath: join(this.folder, `${args[0]}.log`),
    });
  }

  /** `happy <args>` in a terminal, as a person runs it. */
  runInTerminal(...args: string[]): ReturnType<typeof launchInTerminal> {
    return launchInTerminal(`${this.name}: happy ${args[0]}`, this.#command(args), {
      cwd: this.project,
      env: this.#env,
    });
  }

  /**
   * `happy auth login`, choosing the mobile app: shows the address that the app scans.
   * @returns the terminal's public key from that address, and the process, which goes on once a phone approved it.
   */
  async login(): Promise<{ terminalKey: Uint8Array; process: Launched }> {
    const process = this.runInTerminal("auth", "login");
    await until(
      "the question how to authenticate",
      () => process.output().includes("How would you like to authenticate?"),
      30_000,
    );
    process.type("1");
    const key = await until(
      "the address that the app scans",
      () => {
        if (process.child.exitCode !== null) throw new Error(`The login ended:\n${process.output()}`);
        return /happy:\/\/terminal\?([\w-]{43})\s/.exec(process.output())?.[1];
      },
      30_000,
    );
    return { terminalKey: fromBase64(key), process };
  }

  // Like bin/happy.mjs itself: with these flags it does not start a second process of its own.
  #command(args: readonly string[]): string[] {
    const entry = join(this.packageFolder, "bin", "happy.mjs");
    return ["node", "--no-warnings", "--no-deprecation", entry, ...args];
  }

  get credentials(): z.infer<typeof credentials> {
    return credentials.parse(this.#read("access.key"));
  }

  get machineId(): string {
    return cliSettings.parse(this.#read("settings.json")).machineId;
  }

  /** The daemon that a command may have started on its own account. */
  get daemonPid(): number | undefined {
    if (!existsSync(join(this.#happyHome, "daemon.state.json"))) return undefined;
    return daemonState.parse(this.#read("daemon.state.json")).pid;
  }

  /** The end of every log that the CLI kept. */
  logs(): { file: string; text: string }[] {
    const folder = join(this.#happyHome, "logs");
    if (!existsSync(folder)) return [];
    return readdirSync(folder).map((file) => ({ file, text: readFileSync(join(folder, file), "utf8") }));
  }

  #read(file: string): unknown {
    return JSON.parse(readFileSync(join(this.#happyHome, file), "utf8"));
  }
}

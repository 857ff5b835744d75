// The released `happy` CLI, unmodified, as people get it from npm: installed once per version into a cache folder, run under Node
// with a home of its own, so that nothing of the person who runs the tests is read or touched.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir, networkInterfaces } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { fromBase64 } from "./encryption.ts";
import { type Launched, launch, launchInTerminal } from "./processes.ts";
import { until } from "./waiting.ts";

export const happyVersion = "1.2.5";

const manifest = z.object({ version: z.string() });

/** @returns the folder of the installed package. Its native helpers are left out: the tests use none of them. */
export async function installHappyCli(): Promise<string> {
  await requireNode();
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "roost", "clients");
  const target = join(cache, `happy-${happyVersion}`);
  const inside = (folder: string) => join(folder, "node_modules", "happy");
  if (!existsSync(target)) {
    mkdirSync(cache, { recursive: true });
    // Built aside and renamed: a run that is cut off leaves no half of an installation under the final name.
    const aside = mkdtempSync(join(cache, ".installing-"));
    const command = ["npm", "install", `happy@${happyVersion}`, "--prefix", aside];
    const quiet = ["--no-audit", "--no-fund", "--no-progress", "--loglevel=error"];
    const npm = Bun.spawn([...command, "--ignore-scripts", "--omit=optional", ...quiet], {
      cwd: aside,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [code, problem] = await Promise.all([npm.exited, npm.stderr.text()]);
    if (code !== 0) {
      rmSync(aside, { recursive: true, force: true });
      throw new Error(`npm could not install happy@${happyVersion} (code ${code}):\n${problem}`);
    }
    try {
      renameSync(aside, target);
    } catch (error) {
      rmSync(aside, { recursive: true, force: true });
      if (!existsSync(target)) throw error; // else another run was faster
    }
  }
  const { version } = manifest.parse(JSON.parse(readFileSync(join(inside(target), "package.json"), "utf8")));
  if (version !== happyVersion) throw new Error(`${target} holds happy ${version}; delete that folder.`);
  return inside(target);
}

/** Bun can pose as `node` on the PATH; the released CLI is made for the real one. */
async function requireNode(): Promise<void> {
  const need = "The happy CLI needs Node.js 20 or newer, with npm, on the PATH.";
  if (Bun.which("node") === null || Bun.which("npm") === null) throw new Error(need);
  const probe = Bun.spawn(["node", "-p", "process.versions.bun ?? process.versions.node"]);
  const version = (await probe.stdout.text()).trim();
  if (Number.parseInt(version, 10) < 20) throw new Error(`${need} Found ${version}.`);
}

/** The CLI waits for a network before it reconnects; a server on loopback does not count as one for it. */
export function requireNetworkAddress(): void {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  if (addresses.some(({ family, internal }) => family === "IPv4" && !internal)) return;
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

/** One computer with the CLI on it. */
export class HappyComputer {
  /** Where sessions work. */
  readonly project: string;
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

  /**
   * `happy auth login`, choosing the mobile app: shows the address that the app scans.
   * @returns the terminal's public key from that address, and the process, which goes on once a phone approved it.
   */
  async login(): Promise<{ terminalKey: Uint8Array; process: Launched }> {
    const process = launchInTerminal(`${this.name}: happy auth login`, this.#command(["auth", "login"]), {
      cwd: this.project,
      env: this.#env,
    });
    await until("the question how to authenticate", 30_000, () =>
      process.output().includes("How would you like to authenticate?") ? true : undefined,
    );
    process.type("1");
    const key = await until("the address that the app scans", 30_000, () => {
      if (process.child.exitCode !== null) throw new Error(`The login ended:\n${process.output()}`);
      return /happy:\/\/terminal\?([\w-]{43})\s/.exec(process.output())?.[1];
    });
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

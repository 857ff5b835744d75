// What the client tests run in: a fresh folder with the server's data and one home per computer, the server itself, the installed CLI.
// Closing it ends every process and removes the folder; a failed test gets the end of every log first.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../support/until.ts";
import { HappyComputer } from "./happy-cli.ts";
import { currentRelease, type HappyRelease, installRelease } from "./happy-release.ts";
import { endOfLogs, killAll, killAllNow, killPid, processesWith } from "./processes.ts";
import { freePort, RoostServer } from "./roost-server.ts";

/** The shortest grace that the server accepts: the tests wait for its end. */
export const presenceGraceMs = 30_000;

export class World {
  readonly #computers: HappyComputer[] = [];

  private constructor(
    readonly folder: string,
    readonly packageFolder: string,
    readonly server: RoostServer,
  ) {}

  /** @param further settings of the server, as variables. */
  static async open(
    release: HappyRelease = currentRelease,
    further: Readonly<Record<string, string>> = {},
  ): Promise<World> {
    const packageFolder = await installRelease(release);
    const folder = mkdtempSync(join(tmpdir(), "roost-clients-"));
    const server = new RoostServer(await freePort(), folder, {
      ROOST_PRESENCE_GRACE_MS: `${presenceGraceMs}`,
      ROOST_LOG_LEVEL: "debug",
      // Two phones, each with an account of its own.
      ROOST_REGISTRATION: "open",
      ...further,
    });
    const world = new World(folder, packageFolder, server);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.once(signal, () => world.#abandon());
    try {
      await server.start();
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  addComputer(name: string): HappyComputer {
    const folder = join(this.folder, name);
    mkdirSync(folder);
    const computer = new HappyComputer(name, folder, this.packageFolder, this.server.url);
    this.#computers.push(computer);
    return computer;
  }

  /** The last lines of everything that was printed or logged. */
  report(lines = 30): string {
    return endOfLogs(
      this.#computers.flatMap((computer) =>
        computer.logs().map(({ file, text }) => ({ title: `${computer.name}: ${file}`, text })),
      ),
      lines,
    );
  }

  /** @throws Error when a process of this world outlives it. */
  async close(): Promise<void> {
    await killAll();
    this.#killDetached();
    await until(
      "every process of the tests to end",
      () => {
        const left = processesWith(this.folder);
        for (const pid of left) killPid(pid);
        if (left.length > 0) throw new Error(`Still running: ${left.join(", ")}`);
        return true;
      },
      10_000,
    );
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The run was interrupted: nothing is waited for, nothing stays. */
  #abandon(): void {
    killAllNow();
    this.#killDetached();
    rmSync(this.folder, { recursive: true, force: true });
    process.exit(130);
  }

  /** The CLI starts a daemon by itself when it finds none, and a daemon starts sessions, all detached. */
  #killDetached(): void {
    for (const { daemonPid, sessionPids } of this.#computers) {
      if (daemonPid !== undefined) killPid(daemonPid);
      for (const pid of sessionPids) killPid(pid);
    }
    for (const pid of processesWith(this.folder)) killPid(pid);
  }
}

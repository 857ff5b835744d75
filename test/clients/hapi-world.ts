// What the tests of hapi run in: a fresh folder with a hub's data and one home per computer, the hub itself, the installed CLI. Closing it
// ends every process and removes the folder; a failed test gets the end of every log first.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../support/until.ts";
import { HapiComputer } from "./hapi-cli.ts";
import { installHapi } from "./hapi-release.ts";
import type { HapiServer, MakeServer } from "./hapi-server.ts";
import { endOfLogs, killAll, killAllNow, killPid, processesWith } from "./processes.ts";

export class HapiWorld {
  readonly #computers: HapiComputer[] = [];

  private constructor(
    readonly folder: string,
    readonly executable: string,
    readonly server: HapiServer,
  ) {}

  static async open(makeServer: MakeServer): Promise<HapiWorld> {
    const executable = await installHapi();
    const folder = mkdtempSync(join(tmpdir(), "roost-hapi-"));
    const world = new HapiWorld(folder, executable, await makeServer(join(folder, "hub")));
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.once(signal, () => world.#abandon());
    try {
      await world.server.start();
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  addComputer(name: string): HapiComputer {
    const folder = join(this.folder, name);
    mkdirSync(folder);
    const computer = new HapiComputer(name, folder, this.executable, this.server);
    this.#computers.push(computer);
    return computer;
  }

  /** The last lines of everything that was printed or logged. */
  report(lines = 30): string {
    const further = this.#computers.flatMap((computer) =>
      computer.logs().map(({ file, text }) => ({ title: `${computer.name}: ${file}`, text })),
    );
    return endOfLogs(further, lines);
  }

  /** @throws Error when a process of this world outlives it. */
  async close(): Promise<void> {
    await killAll();
    await until(
      "every process of the tests to end",
      () => {
        // The CLI starts runners, and runners start sessions, all detached.
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
    for (const pid of processesWith(this.folder)) killPid(pid);
    rmSync(this.folder, { recursive: true, force: true });
    process.exit(130);
  }
}

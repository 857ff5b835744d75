// The compiled executable as a process: in an empty folder, with an empty environment unless a test says otherwise.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Finished, type Started, start } from "./process.ts";

const os = process.platform === "win32" ? "windows" : process.platform;

/**
 * What `bun build.ts` made for this platform, or what ROOST_EXECUTABLE names; undefined when nothing was built.
 * @throws Error when ROOST_EXECUTABLE names a file that is not there.
 */
export function executable(): string | undefined {
  const named = process.env.ROOST_EXECUTABLE;
  if (named !== undefined && named !== "") {
    if (!existsSync(named)) throw new Error(`ROOST_EXECUTABLE names ${named}, which is not there.`);
    return resolve(named);
  }
  const built = resolve(import.meta.dir, "../../dist", `roost-${os}-${process.arch}`);
  return existsSync(built) ? built : undefined;
}

/** A folder of its own for one test. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "roost-run-"));
  readonly #started: Started[] = [];

  /** Runs to its end. */
  run(command: readonly string[], env: Record<string, string> = {}): Promise<Finished> {
    return this.start(command, env).finished();
  }

  start(command: readonly string[], env: Record<string, string> = {}): Started {
    const started = start(command, { cwd: this.path, env });
    this.#started.push(started);
    return started;
  }

  async remove(): Promise<void> {
    for (const started of this.#started) await started.end("SIGKILL");
    rmSync(this.path, { recursive: true, force: true });
  }
}

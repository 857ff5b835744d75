// The compiled Roost executable as a process: started on a port and data folder of its own, stopped the way an init system does.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { until } from "../support/until.ts";
import { type Launched, launch } from "./processes.ts";

/** What `bun run build` makes for this platform; a packager may point the tests at another file. */
export function executablePath(): string {
  const built = resolve(import.meta.dir, "../../dist", `roost-${process.platform}-${process.arch}`);
  const path = process.env.ROOST_TEST_EXECUTABLE ?? built;
  if (!existsSync(path)) throw new Error(`There is no executable at ${path}. Run "bun run build" first.`);
  return path;
}

export async function freePort(): Promise<number> {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

export class RoostServer {
  #running: Launched | undefined;

  constructor(
    readonly port: number,
    readonly folder: string,
    readonly settings: Record<string, string>,
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Resolves when it answers. @throws Error with its output when it ends instead. */
  async start(): Promise<void> {
    const command = [executablePath(), "serve", "--port", `${this.port}`, "--host", "127.0.0.1"];
    const server = launch("roost", [...command, "--data-dir", join(this.folder, "data")], {
      cwd: this.folder,
      env: { PATH: process.env.PATH ?? "", HOME: this.folder, ...this.settings },
      logPath: join(this.folder, "roost.log"),
    });
    this.#running = server;
    await until(
      "the server to answer /health",
      async () => {
        if (server.child.exitCode !== null)
          throw new Error(`The server ended with code ${server.child.exitCode}:\n${server.output()}`);
        return (await fetch(`${this.url}/health`)).ok || undefined;
      },
      30_000,
    );
  }

  /** @returns the exit code and how long it took. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<{ code: number; tookMs: number }> {
    const begun = performance.now();
    this.#running?.child.kill(signal);
    const code = (await this.#running?.child.exited) ?? 0;
    return { code, tookMs: performance.now() - begun };
  }
}

// The compiled executable as a process of its own on a fresh data folder: what people run is what is measured.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const EXECUTABLE = process.env.ROOST_EXECUTABLE ?? `dist/roost-${process.platform}-${process.arch}`;

export interface ServerProcess {
  readonly url: string;
  readonly dataDir: string;
  readonly pid: number;
  /** Milliseconds from spawn to the first HTTP answer. */
  readonly firstAnswerMs: number;
  residentMb(): number;
  cpuSeconds(): number;
  /** Stops the process; keeps the folder when asked to. */
  stop(keepData?: boolean): Promise<void>;
}

export async function serverProcess(
  options: {
    dataDir?: string;
    env?: Record<string, string>;
    flags?: readonly string[];
    executable?: string;
  } = {},
): Promise<ServerProcess> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "roost-bench-"));
  const { executable = EXECUTABLE } = options;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const started = performance.now();
  const child = Bun.spawn(
    [
      executable,
      "serve",
      "--port",
      String(port),
      "--host",
      "127.0.0.1",
      "--data-dir",
      dataDir,

      ...(options.flags ?? []),
    ],
    {
      stdout: process.env.BENCH_LOG ? "inherit" : "ignore",
      stderr: "inherit",
      // Scenarios make accounts as they need; the default admits one.
      env: { PATH: process.env.PATH ?? "", ROOST_REGISTRATION: "open", ...options.env },
    },
  );
  for (;;) {
    try {
      await (await fetch(url)).text();
      break;
    } catch {
      if (child.exitCode !== null) throw new Error(`${executable} exited with ${child.exitCode}`);
      await Bun.sleep(2);
    }
  }
  const firstAnswerMs = performance.now() - started;
  return {
    url,
    dataDir,
    pid: child.pid,
    firstAnswerMs,
    residentMb: () => residentMb(child.pid),
    cpuSeconds: () => cpuSeconds(child.pid),
    stop: async (keepData = false) => {
      child.kill("SIGTERM");
      await child.exited;
      if (!keepData) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export function residentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function freePort(): Promise<number> {
  const probe = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const { port } = probe;
  await probe.stop(true);
  return port ?? 0;
}

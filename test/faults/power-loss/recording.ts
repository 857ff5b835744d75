// Records everything that a real server does to its folder and says on its sockets, by strace. Works for the sources and for the
// compiled executable, and for every thread of them.
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needs } from "../../support/needs.ts";
import { type ServerProcess, startProcess } from "../server-process.ts";
import { readCalls, type SystemCall, TRACED } from "./system-calls.ts";

const PROBE = ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync", "true"];

/** Tracing is forbidden in many containers. */
export const tracing = needs.all(
  needs.program("strace"),
  needs.machine(
    "tracing of processes",
    () => Bun.spawnSync(PROBE, { stdout: "ignore", stderr: "ignore" }).exitCode === 0,
  ),
);

/** `test`, or one that is skipped by name where no process can be traced. */
export const powerTest = tracing.test;

/** Far more than any message of these tests; what is longer is an error and not cut off. */
const LONGEST_DATA = 64 * 1024 ** 2;

export class Recording implements Disposable {
  readonly #folder = realpathSync(mkdtempSync(join(tmpdir(), "roost-power-")));
  /** Empty at first; what the server makes here is recorded from its first byte. */
  readonly dataDir = join(this.#folder, "data");
  readonly calls: SystemCall[] = [];
  #end = 0;

  /** One life of a server: starts it, works with it, ends it. May be called again for the same folder. */
  async run(
    env: Readonly<Record<string, string>>,
    work: (server: ServerProcess) => Promise<void>,
    signal: "SIGTERM" | "SIGKILL",
  ): Promise<void> {
    const trace = join(this.#folder, "trace");
    // -D: the server stays our child, so that signals reach it and not strace.
    const options = ["-D", "-f", "--seccomp-bpf", "-yy", "-xx", "-s", `${LONGEST_DATA}`, "-o", trace];
    const server = await startProcess({
      dataDir: this.dataDir,
      env: { ROOST_LOG_LEVEL: "warn", ROOST_RATE_LIMITS: "false", ...env },
      wrapper: ["strace", ...options, "-e", `trace=?${TRACED.join(",?")}`, "--"],
    });
    try {
      await work(server);
    } finally {
      // Resolves when strace, too, has closed its streams: the trace is complete then.
      await server.end(signal);
    }
    const mine = (target: string) =>
      target === this.dataDir || target.startsWith(`${this.dataDir}/`) || target.startsWith("TCP");
    const { calls, end } = readCalls(readFileSync(trace, "latin1"), mine, this.#end);
    for (const call of calls) {
      if (call.over !== Number.POSITIVE_INFINITY) this.calls.push(call);
      else if (hasHappened(call)) this.calls.push({ ...call, over: end, result: call.data.byteLength });
    }
    this.#end = end + 1;
    rmSync(trace);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Of a call that was under way when the process ended: told by what is there now. A sync that did not come back promises nothing. */
function hasHappened({ name, target, paths, offset, data }: SystemCall): boolean {
  if (target.startsWith("TCP")) return true;
  const [from = target, to] = paths;
  if (name.startsWith("unlink")) return !existsSync(from);
  if (name.startsWith("rename")) return !existsSync(from) && existsSync(to ?? "");
  if (name.startsWith("mkdir")) return existsSync(from);
  if (name === "ftruncate") return existsSync(target) && statSync(target).size === offset;
  if (/write/.test(name) && offset !== undefined && existsSync(target))
    return readFileSync(target)
      .subarray(offset, offset + data.byteLength)
      .equals(data);
  return false;
}

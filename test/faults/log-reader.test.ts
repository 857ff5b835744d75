// Who reads the log must not hold up who writes it: a reader that stops, is slow, or goes away costs lines at most, counted ones, and
// never a request. Real processes; the reader is another one behind a real pipe, a socket or a terminal.
import { afterAll, expect } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needs, onUnix } from "../support/needs.ts";
import { until } from "../support/until.ts";
import { memoryOf, type ServerProcess, startProcess } from "./server-process.ts";

const folders: string[] = [];
const pids: number[] = [];
afterAll(() => {
  // A test that failed leaves them; the reader may stand still.
  for (const pid of pids.filter(isAlive)) process.kill(pid, "SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const unix = onUnix.test;

const METRICS_TOKEN = "figures-of-the-log";

interface Read {
  readonly server: ServerProcess;
  readonly pid: number;
  /** What the reader has read so far. */
  log(): string;
  signalReader(signal: "SIGSTOP" | "SIGCONT" | "SIGKILL"): void;
  /** Ends the server; resolves when the reader has read everything. */
  end(): Promise<void>;
}

/** Commands that run the rest of their words and read what it prints: through a pipe, a socket as journald has it, or a terminal. */
const READERS = {
  pipe: ["sh", "-c", `"$@" | sh -c 'echo $$ > "$READER"; exec tee "$LOG"'`, "sh"],
  socket: [
    process.execPath,
    "-e",
    `const { appendFileSync, writeFileSync } = require("node:fs");
     const child = Bun.spawn(process.argv.slice(1), { stdout: "pipe", stderr: "inherit" });
     writeFileSync(process.env.READER, String(process.pid));
     for await (const chunk of child.stdout) {
       appendFileSync(process.env.LOG, chunk);
       process.stdout.write(chunk);
     }`,
  ],
  terminal: [
    "sh",
    "-c",
    `echo $$ > "$READER"; c=""; for w in "$@"; do w=$(printf %s "$w" | sed "s/'/'\\\\\\\\''/g"); c="$c '$w'"; done; exec script -qfec "exec $c" "$LOG"`,
    "sh",
  ],
} as const;

/** A server at the level trace, whose standard output somebody else reads. */
async function readServer(kind: keyof typeof READERS = "pipe"): Promise<Read> {
  const folder = mkdtempSync(join(tmpdir(), "roost-log-"));
  folders.push(folder);
  const [dataDir, log, reader] = [join(folder, "data"), join(folder, "log"), join(folder, "reader")];
  const env = {
    ROOST_LOG_LEVEL: "trace",
    ROOST_LOG_FORMAT: "json",
    ROOST_METRICS_TOKEN: METRICS_TOKEN,
    READER: reader,
    LOG: log,
  };
  const server = await startProcess({ dataDir, env, wrapper: READERS[kind] });
  const pid = Number(readFileSync(join(dataDir, "roost.pid"), "utf8"));
  const readerPid = Number(readFileSync(reader, "utf8"));
  pids.push(pid, readerPid);
  return {
    server,
    pid,
    log: () => readFileSync(log, "utf8"),
    signalReader: (signal) => process.kill(readerPid, signal),
    end: async () => {
      process.kill(pid, "SIGTERM");
      await server.exited;
    },
  };
}

/** Asks so often, several at a time. @returns the longest that one answer took, in ms. */
async function askOften(url: string, times: number): Promise<number> {
  let longest = 0;
  let left = times;
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      while (left-- > 0) {
        const began = performance.now();
        const answer = await fetch(`${url}/nothing-here`, { signal: AbortSignal.timeout(5_000) });
        await answer.bytes();
        longest = Math.max(longest, performance.now() - began);
      }
    }),
  );
  return longest;
}

interface Line {
  readonly time: string;
  readonly msg: string;
  readonly lost?: number;
}

/** Whole lines: the last one may still be on its way. */
const linesOf = (log: string): Line[] =>
  log
    .slice(0, log.lastIndexOf("\n") + 1)
    .split("\n")
    .flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Line] : []));
const requestsIn = (log: string) => linesOf(log).filter(({ msg }) => msg === "request").length;
const lostIn = (log: string) => linesOf(log).reduce((sum, { lost = 0 }) => sum + lost, 0);

/** More bytes of log than are kept for a reader. */
const FLOOD = 16_000;

for (const kind of ["pipe", "socket", "terminal"] as const)
  needs.all(onUnix, needs.program("script").when(kind === "terminal")).test(
    `a reader that stops holds nobody up; what it misses is counted, and the rest comes in order: ${kind}`,
    async () => {
      const { server, pid, log, signalReader, end } = await readServer(kind);
      signalReader("SIGSTOP");
      expect(await askOften(server.url, FLOOD)).toBeLessThan(2_000);
      const headers = { authorization: `Bearer ${METRICS_TOKEN}` };
      const metrics = await (await fetch(`${server.url}/metrics`, { headers })).text();
      expect(Number(/^roost_log_waiting_bytes (\d+)/m.exec(metrics)?.[1])).toBeLessThanOrEqual(2 * 1024 ** 2);
      expect(Number(/^roost_log_lost_lines_total (\d+)/m.exec(metrics)?.[1])).toBeGreaterThan(1_000);
      expect(memoryOf(pid)?.peak ?? 0).toBeLessThan(300 * 1024 ** 2);
      signalReader("SIGCONT");
      await until("the loss is told", () => lostIn(log()) > 0);
      await askOften(server.url, 100);
      await end();
      const whole = log();
      expect(requestsIn(whole) + lostIn(whole)).toBeGreaterThanOrEqual(FLOOD + 100);
      expect(whole).toMatch(/"lost":\d+,"msg":"\d+ lines were lost: the reader of the log is too slow"/);
      const times = linesOf(whole)
        .filter(({ lost }) => lost === undefined)
        .map(({ time }) => time);
      expect(times).toEqual(times.toSorted());
      expect(linesOf(whole).at(-1)?.msg).toBe("stopped");
    },
    60_000,
  );

unix(
  "nothing is lost while the reader keeps up",
  async () => {
    const { server, log, end } = await readServer();
    await askOften(server.url, 5_000);
    await end();
    expect(requestsIn(log())).toBe(5_000);
    expect(lostIn(log())).toBe(0);
  },
  60_000,
);

unix(
  "a reader that is gone ends nothing and costs no work",
  async () => {
    const { server, pid, signalReader } = await readServer();
    signalReader("SIGKILL");
    expect(await askOften(server.url, 1_000)).toBeLessThan(2_000);
    const before = cpuTicks(pid);
    const began = performance.now();
    await until("a second has passed", () => performance.now() - began > 1_000);
    expect(cpuTicks(pid) - before).toBeLessThan(30);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    process.kill(pid, "SIGTERM");
    await server.exited;
  },
  60_000,
);

unix(
  "a server whose reader has stopped can be stopped",
  async () => {
    const { server, pid, signalReader } = await readServer();
    signalReader("SIGSTOP");
    await askOften(server.url, 2_000);
    process.kill(pid, "SIGTERM");
    await until("the process has ended", () => !isAlive(pid));
    signalReader("SIGCONT");
    await server.exited;
  },
  60_000,
);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Hundredths of a second of processor time. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

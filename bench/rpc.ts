// The RPC room under load, on the compiled executable with its default settings: one line of the log and two of the audit for each call.
// Beside it, in alternating rounds, a bare Hono route. Clients are a process of their own. BENCH_ROUNDS of BENCH_MS each; figures are
// medians. Where others use the cores, the processor time of a call says more than calls per second.
import { join } from "node:path";
import { freePort } from "../test/support/free-port.ts";
import { clientProcess } from "./client-process.ts";
import { median, type Result } from "./figures.ts";
import { FORMATS, type FormatName } from "./rpc/bodies.ts";
import type { Done, Task, Work } from "./rpc/load.ts";
import { cpuSeconds, type ServerProcess, serverProcess } from "./server-process.ts";

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const MS = Number(process.env.BENCH_MS ?? 4_000);
const IN_FLIGHT = [1, 64] as const;

interface Measured extends Done {
  /** Of the server, microseconds. */
  readonly cpuUs: number;
}

interface Target {
  readonly url: string;
  readonly pid: number;
}

const ON = ["--rpc-enabled", "true", "--rpc-fixtures", "true"];
const room = (): Promise<ServerProcess> => serverProcess({ flags: ON });

/** In JSON beside the bare route, then in every other format. */
export async function unary(): Promise<Result[]> {
  const [server, bare] = [await room(), await bareRoute()];
  const results: Result[] = [];
  try {
    for (const inFlight of IN_FLIGHT) {
      const work: Work = { kind: "calls", format: "json", inFlight, ms: MS };
      const [ours, theirs]: Measured[][] = [[], []];
      for (let round = 0; round < ROUNDS; round++) {
        theirs?.push(await measured(bare, work));
        ours?.push(await measured(server, work));
      }
      results.push(besideBare(inFlight, ours ?? [], theirs ?? []));
    }
    for (const format of FORMATS.filter((name) => name !== "json"))
      for (const inFlight of IN_FLIGHT) results.push(await alone(server, format, inFlight));
    return results;
  } finally {
    await server.stop();
    bare.stop();
  }
}

const rate = ({ count, seconds }: Done): number => count / seconds;

function besideBare(inFlight: number, ours: readonly Measured[], theirs: readonly Measured[]): Result {
  const share = (figure: (run: Measured) => number) =>
    median(ours.map((run, round) => figure(run) / figure(theirs[round] ?? run)));
  return {
    name: `RPC unary, JSON, ${inFlight} in flight`,
    figures: {
      ...callFigures(ours),
      bare_calls_per_s: median(theirs.map(rate)),
      bare_cpu_us: median(theirs.map(({ cpuUs }) => cpuUs)),
      bare_p99_ms: median(theirs.map(({ p99Ms }) => p99Ms)),
      share_of_bare: share(rate),
      share_by_cpu: 1 / share(({ cpuUs }) => cpuUs),
    },
  };
}

async function alone(server: Target, format: FormatName, inFlight: number): Promise<Result> {
  const runs: Measured[] = [];
  for (let round = 0; round < ROUNDS; round++)
    runs.push(await measured(server, { kind: "calls", format, inFlight, ms: MS }));
  return { name: `RPC unary, ${format}, ${inFlight} in flight`, figures: callFigures(runs) };
}

const callFigures = (runs: readonly Measured[]) => ({
  calls_per_s: median(runs.map(rate)),
  cpu_us: median(runs.map(({ cpuUs }) => cpuUs)),
  p50_ms: median(runs.map(({ p50Ms }) => p50Ms)),
  p99_ms: median(runs.map(({ p99Ms }) => p99Ms)),
  clients_cpu: median(runs.map(({ cpuShare }) => cpuShare)),
});

const ITEMS = 20_000;

/** Server-sent events. */
export async function streamed(): Promise<Result[]> {
  const server = await room();
  try {
    const results: Result[] = [];
    for (const streams of [1, 16]) {
      const runs: Measured[] = [];
      for (let round = 0; round < ROUNDS; round++)
        runs.push(await measured(server, { kind: "streams", streams, items: ITEMS, ms: MS }));
      results.push({
        name: `RPC stream of ${ITEMS.toLocaleString("en")} items, ${streams} at once`,
        figures: {
          items_per_s: median(runs.map(rate)),
          cpu_us: median(runs.map(({ cpuUs }) => cpuUs)),
          clients_cpu: median(runs.map(({ cpuShare }) => cpuShare)),
        },
      });
    }
    return results;
  } finally {
    await server.stop();
  }
}

/** A fresh server each time: what is there already counts. */
export async function tasks(): Promise<Result> {
  const runs: Measured[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const server = await room();
    runs.push(await measured(server, { kind: "tasks", tasks: 5_000, inFlight: 64 }));
    await server.stop();
  }
  return {
    name: "RPC tasks, stored, run and over, 64 submitted at once",
    figures: {
      tasks_per_s: median(runs.map(rate)),
      submitted_per_s: median(runs.map(({ count, submittedSeconds = 0 }) => count / submittedSeconds)),
      cpu_us: median(runs.map(({ cpuUs }) => cpuUs)),
      p50_ms: median(runs.map(({ p50Ms }) => p50Ms)),
      p99_ms: median(runs.map(({ p99Ms }) => p99Ms)),
    },
  };
}

const CALLS = 100_000;

export async function memory(): Promise<Result> {
  const server = await room();
  try {
    await Bun.sleep(3_000);
    const idle = server.residentMb();
    await measured(server, {
      kind: "calls",
      format: "json",
      inFlight: 64,
      ms: 600_000,
      count: CALLS,
      isCold: true,
    });
    const after = server.residentMb();
    await Bun.sleep(20_000);
    return {
      name: `RPC resident memory, ${CALLS.toLocaleString("en")} calls`,
      figures: {
        idle_mb: idle,
        after_mb: after,
        rested_mb: server.residentMb(),
      },
    };
  } finally {
    await server.stop();
  }
}

/** The room on and off, one after the other; BENCH_WITHOUT_ROOM names an executable that has no such room. */
export async function offAndOn(): Promise<Result[]> {
  const without = process.env.BENCH_WITHOUT_ROOM;
  const kinds = [
    ["off", { flags: ["--rpc-enabled", "false"] }],
    ["on", { flags: ON }],
    ...(without === undefined ? [] : ([["not built in", { executable: without }]] as const)),
  ] as const;
  const all = new Map<string, (Measured & { startCpuMs: number; firstAnswerMs: number; mb: number })[]>();
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, options] of kinds) {
      const server = await serverProcess(options);
      await Bun.sleep(3_000);
      const started = {
        startCpuMs: server.cpuSeconds() * 1_000,
        firstAnswerMs: server.firstAnswerMs,
        mb: server.residentMb(),
      };
      const run = await measured(server, { kind: "asks", path: "/health", inFlight: 64, ms: MS });
      all.set(name, [...(all.get(name) ?? []), { ...started, ...run }]);
      await server.stop();
    }
  return [...all].map(([name, runs]) => ({
    name: `the RPC room ${name}`,
    figures: {
      start_cpu_ms: median(runs.map(({ startCpuMs }) => startCpuMs)),
      first_answer_ms: median(runs.map(({ firstAnswerMs }) => firstAnswerMs)),
      resident_mb: median(runs.map(({ mb }) => mb)),
      health_per_s: median(runs.map(rate)),
      health_cpu_us: median(runs.map(({ cpuUs }) => cpuUs)),
    },
  }));
}

async function measured({ url, pid }: Target, work: Work): Promise<Measured> {
  const task: Task = { url, work };
  const clients = clientProcess(join(import.meta.dir, "rpc", "load.ts"), task);
  await clients.next();
  const before = cpuSeconds(pid);
  await clients.next();
  const seconds = cpuSeconds(pid) - before;
  const done = (await clients.next()) as Done;
  await clients.end();
  return { ...done, cpuUs: (seconds * 1e6) / done.count };
}

async function bareRoute(): Promise<Target & { stop(): void }> {
  const port = freePort();
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "rpc", "bare.ts"), String(port)], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { PATH: process.env.PATH ?? "", NODE_ENV: "production" },
  });
  const url = `http://127.0.0.1:${port}`;
  while (
    !(await fetch(url).then(
      () => true,
      () => false,
    ))
  )
    await Bun.sleep(20);
  return { url, pid: child.pid, stop: () => child.kill() };
}

// A real server under the memory limit of the shipped unit, with one account that lives on it while others attack: whoever attacks must
// cost that account little, and the server not its life.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryOf, type ServerProcess, startProcess } from "../faults/server-process.ts";
import { type Account, type Listener, newAccount } from "./happy-client.ts";
import { type MemoryLimit, memoryLimit, UNIT_MEMORY_BYTES } from "./memory-limit.ts";

const MIB = 1024 * 1024;
const METRICS_TOKEN = "metrics-of-the-attacked-server";
const PROBE_BOUND_MS = 20_000;

export interface Verdict {
  /** Of the bystander's round trips while the attack ran, in milliseconds. */
  readonly slowestMs: number;
  readonly medianMs: number;
  readonly roundTrips: number;
  /** Resident memory that the attack added, and the most that the server ever had, in MiB. */
  readonly grownMib: number;
  readonly peakMib: number;
}

export interface AttackedServer {
  readonly port: number;
  readonly url: string;
  readonly process: ServerProcess;
  /** Signed in from 127.0.0.1, which is known to the server therefore. Strangers come from other addresses. */
  readonly bystander: Account;
  readonly phone: Listener;
  /** Runs the attack beside the bystander's round trips. */
  during(name: string, attack: () => Promise<void>): Promise<Verdict>;
  /** The value of a metric's line; 0 when there is none. */
  metric(line: string): Promise<number>;
  stop(): Promise<void>;
}

export async function attackedServer(env: Readonly<Record<string, string>> = {}): Promise<AttackedServer> {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-attacked-"));
  const limit: MemoryLimit = memoryLimit(UNIT_MEMORY_BYTES);
  const server = await startProcess({
    dataDir,
    wrapper: limit.wrapper,
    env: { ROOST_LOG_LEVEL: "warn", ROOST_RATE_LIMITS: "false", ROOST_METRICS_TOKEN: METRICS_TOKEN, ...env },
  });
  const bystander = await newAccount(server.url);
  const phone = await bystander.connect();
  const resident = () => memoryOf(server.pid)?.resident ?? 0;
  const peak = () => memoryOf(server.pid)?.peak ?? 0;
  return {
    port: server.port,
    url: server.url,
    process: server,
    bystander,
    phone,
    during: async (name, attack) => {
      const before = resident();
      const prober = Bun.spawn(
        [process.execPath, join(import.meta.dir, "prober.ts"), server.url, bystander.token],
        { stdout: "pipe", stderr: "inherit" },
      );
      const lines = linesOf(prober.stdout);
      await lines.next();
      const waits: number[] = [];
      const reading = (async () => {
        for await (const line of lines) waits.push(Number(line));
      })();
      try {
        await attack();
        // A round trip that the attack holds up still counts.
        const sofar = waits.length;
        const bound = performance.now() + PROBE_BOUND_MS;
        while (waits.length <= sofar && performance.now() < bound) await Bun.sleep(5);
      } finally {
        prober.kill("SIGKILL");
      }
      await reading;
      waits.sort((a, b) => a - b);
      const verdict = {
        slowestMs: Math.round(waits.at(-1) ?? 0),
        medianMs: Math.round(waits[waits.length >> 1] ?? 0),
        roundTrips: waits.length,
        grownMib: Math.round((peak() - before) / MIB),
        peakMib: Math.round(peak() / MIB),
      };
      console.error(`${name}: ${JSON.stringify(verdict)} (${limit.kind})`);
      return verdict;
    },
    metric: async (line) => {
      const headers = { authorization: `Bearer ${METRICS_TOKEN}` };
      const text = await (await fetch(`${server.url}/metrics`, { headers })).text();
      return Number(
        text
          .split("\n")
          .find((one) => one.startsWith(`${line} `))
          ?.slice(line.length + 1) ?? 0,
      );
    },
    stop: async () => {
      phone.close();
      const kills = limit.kills();
      const code = await server.end("SIGKILL");
      limit.release();
      rmSync(dataDir, { recursive: true, force: true });
      if (kills > 0 || code !== 137) throw new Error(`the server was killed for want of memory (${code})`);
    },
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

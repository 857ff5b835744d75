// A real Redis on a free port that keeps nothing, which a test may pause, kill and start again. Without the program the tests that need it
// are skipped, and named at the end of the run.
import { RedisClient } from "bun";
import { freePort } from "./free-port.ts";
import { needs } from "./needs.ts";
import { untilTheRunEnds } from "./process.ts";
import { until } from "./until.ts";

const binary = Bun.which("redis-server");

export const withRedis = needs.program("redis-server");

export interface Redis {
  readonly url: string;
  /** Forgets everything. */
  empty(): Promise<void>;
  /** Stops it from answering without closing its connections, until `resume`. */
  pause(): void;
  resume(): void;
  /** kill -9: it keeps nothing. */
  kill(): Promise<void>;
  /** On the same port. Resolves when it answers. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRedis(): Promise<Redis> {
  if (binary === null) throw new Error("redis-server is not installed");
  const port = freePort();
  const url = `redis://127.0.0.1:${port}`;
  let child: Bun.Subprocess | undefined;
  const ask = async (command: string) => {
    const client = new RedisClient(url, { autoReconnect: false, enableOfflineQueue: false });
    try {
      await client.connect();
      await client.send(command, []);
    } finally {
      client.close();
    }
  };
  const kill = async () => {
    child?.kill("SIGKILL");
    await child?.exited;
  };
  const start = async () => {
    child = untilTheRunEnds(
      Bun.spawn([binary, "--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      }),
    );
    await until("Redis to answer", async () => {
      await ask("PING");
      return true;
    });
  };
  await start();
  return {
    url,
    start,
    kill,
    stop: kill,
    empty: () => ask("FLUSHALL"),
    pause: () => child?.kill("SIGSTOP"),
    resume: () => child?.kill("SIGCONT"),
  };
}

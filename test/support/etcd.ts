// A real etcd on free ports in a folder of its own, which a test may kill and start again. Without the binary the tests that need it
// are skipped, and named at the end of the run.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { needs } from "./needs.ts";
import { untilTheRunEnds } from "./process.ts";

const binary = Bun.which("etcd");

/** For suites that need it: `withEtcd.describe(...)`. */
export const withEtcd = needs.program("etcd");
export const withoutEtcd = !withEtcd.met;

export interface Etcd {
  readonly url: string;
  /** kill -9, as a crash. */
  kill(): Promise<void>;
  /** Stops it from answering without closing its connections, until `resume`. */
  pause(): void;
  resume(): void;
  /** Again on the same ports; `fresh` without the old data. Resolves when it answers. */
  start(options?: { fresh?: boolean }): Promise<void>;
  /** One call of the JSON gateway. */
  // biome-ignore lint/suspicious/noExplicitAny: what etcd answers is looked at field by field
  call(path: string, body: unknown): Promise<any>;
  put(key: string, value: string): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

const START_BOUND_MS = 15_000;

export interface EtcdOptions {
  readonly flags?: readonly string[];
  /** `https` needs the certificate flags, and `ca` to ask it anything. */
  readonly scheme?: "http" | "https";
  readonly tls?: { ca: string; cert?: string; key?: string };
}

export async function startEtcd({ flags = [], scheme = "http", tls }: EtcdOptions = {}): Promise<Etcd> {
  if (binary === null) throw new Error("etcd is not installed");
  const folder = mkdtempSync(join(tmpdir(), "roost-etcd-"));
  const [clientPort, peerPort] = [freePort(), freePort()];
  const url = `${scheme}://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  let child: Bun.Subprocess | undefined;

  const call: Etcd["call"] = async (path, body) => {
    const init = { method: "POST", body: JSON.stringify(body), signal: AbortSignal.timeout(5_000) };
    const response = await fetch(`${url}${path}`, tls === undefined ? init : { ...init, tls });
    return await response.json();
  };
  const kill = async () => {
    child?.kill("SIGKILL");
    await child?.exited;
  };
  const start: Etcd["start"] = async ({ fresh = false } = {}) => {
    const dataDir = join(folder, "data");
    if (fresh) rmSync(dataDir, { recursive: true, force: true });
    const started = Bun.spawn(
      [
        binary,
        ...["--data-dir", dataDir],
        ...["--listen-client-urls", url, "--advertise-client-urls", url],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
        ...["--initial-cluster", `default=${peer}`, "--log-level", "error"],
        ...flags,
      ],
      { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
    );
    child = started;
    untilTheRunEnds(started);
    const deadline = performance.now() + START_BOUND_MS;
    for (;;) {
      if (started.exitCode !== null) throw new Error(`etcd ended with code ${started.exitCode}`);
      try {
        const health =
          tls === undefined ? await fetch(`${url}/health`) : await fetch(`${url}/health`, { tls });
        if (health.ok) return;
      } catch {
        // Not yet.
      }
      if (performance.now() > deadline) throw new Error(`etcd did not answer within ${START_BOUND_MS} ms`);
      await Bun.sleep(20);
    }
  };
  await start();
  return {
    url,
    kill,
    start,
    call,
    pause: () => child?.kill("SIGSTOP"),
    resume: () => child?.kill("SIGCONT"),
    put: async (key, value) => {
      await call("/v3/kv/put", { key: btoa(key), value: Buffer.from(value).toString("base64") });
    },
    stop: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

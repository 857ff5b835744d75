// A real Roost on a free port with a fresh data folder, in this process. Everything it made is gone after `stop`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningServer, startServer } from "../../src/context.ts";
import { createLog } from "../../src/observability/log.ts";
import type { Config } from "./config.ts";
import { parseConfig } from "./config.ts";

export interface TestServer {
  readonly url: string;
  readonly dataDir: string;
  readonly config: Config;
  /** Stops and starts again in the same folder, on the same port; `between` runs while nothing runs. */
  restart(between?: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

export const TEST_SECRET = "test-master-secret";

export async function testServer(overrides: Partial<Config> = {}): Promise<TestServer> {
  const dataDir = overrides.dataDir ?? mkdtempSync(join(tmpdir(), "roost-test-"));
  const config: Config = {
    ...parseConfig({}),
    port: 0,
    host: "127.0.0.1",
    masterSecret: TEST_SECRET,
    logLevel: "fatal",
    // Tests make as many accounts as they like; the default admits one.
    happyRegistration: "open",
    ...overrides,
    dataDir,
  };
  const log = createLog(process.env.ROOST_TEST_LOG ?? config.logLevel);
  let running: RunningServer = await startServer(config, log);
  const { port } = running;
  return {
    url: `http://127.0.0.1:${port}`,
    dataDir,
    config,
    restart: async (between) => {
      await running.stop();
      await between?.();
      running = await startServer({ ...config, port }, log);
    },
    stop: async () => {
      await running.stop();
      if (overrides.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

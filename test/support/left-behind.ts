// For a file of tests that start servers on folders of their own: after each test nothing of either is left behind.
import { afterEach } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Launch, type ServerProcess, startProcess } from "../faults/server-process.ts";

export interface Belongings {
  freshFolder(): string;
  /** A server that is killed after the test when it still runs then. */
  started(dataDir: string, env?: Readonly<Record<string, string>>): Promise<ServerProcess>;
  /** Called after the test, the last first. */
  undo(step: () => unknown): void;
}

/**
 * Call it once, at the top of the file.
 * @param name stands in the folders' names. @param defaults of every server that is started.
 */
export function nothingLeftBehind(name: string, defaults: Omit<Launch, "dataDir"> = {}): Belongings {
  const steps: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of steps.splice(0).reverse()) await step();
  });
  const undo = (step: () => unknown) => void steps.push(step);
  return {
    undo,
    freshFolder: () => {
      const folder = mkdtempSync(join(tmpdir(), `roost-${name}-`));
      undo(() => rmSync(folder, { recursive: true, force: true }));
      return folder;
    },
    started: async (dataDir, env = {}) => {
      const server = await startProcess({ ...defaults, dataDir, env: { ...defaults.env, ...env } });
      undo(() => server.end("SIGKILL"));
      return server;
    },
  };
}

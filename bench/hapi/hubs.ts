// The two hubs that are measured, each a process on a fresh home: Roost's executable, and the released hub where it is installed.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installedHapi } from "../../test/clients/hapi-release.ts";
import { freePort } from "../../test/support/free-port.ts";
import { cpuSeconds, residentMb, serverProcess } from "../server-process.ts";

export const TOKEN = "bench-0123456789-abcdefghijklmnop";

export interface HubProcess {
  readonly url: string;
  /** A login of the web API. */
  readonly jwt: string;
  readonly pid: number;
  readonly database: string;
  residentMb(): number;
  cpuSeconds(): number;
  /** At rest afterwards; `start` of the same hub may go on with the folder. */
  stop(): Promise<void>;
  remove(): void;
}

export interface Hub {
  readonly name: "roost" | "released";
  /** On `folder`, or on a fresh one. */
  start(folder?: string): Promise<HubProcess>;
}

const roost: Hub = {
  name: "roost",
  start: async (folder) => {
    const server = await serverProcess({
      ...(folder !== undefined && { dataDir: folder }),
      flags: ["--hapi-enabled", "true", "--hapi-port", "none"],
      env: { CLI_API_TOKEN: TOKEN, ROOST_LOG_LEVEL: "warn" },
    });
    return {
      url: server.url,
      jwt: await logIn(server.url),
      pid: server.pid,
      database: join(server.dataDir, "hapi", "hapi.db"),
      residentMb: server.residentMb,
      cpuSeconds: server.cpuSeconds,
      stop: () => server.stop(true),
      remove: () => rmSync(server.dataDir, { recursive: true, force: true }),
    };
  },
};

const released = (executable: string): Hub => ({
  name: "released",
  start: async (folder) => {
    const home = folder ?? mkdtempSync(join(tmpdir(), "roost-bench-released-"));
    mkdirSync(home, { recursive: true, mode: 0o700 });
    const port = freePort();
    const url = `http://127.0.0.1:${port}`;
    const child = Bun.spawn([executable, "hub", "--no-relay"], {
      stdio: ["ignore", "ignore", "ignore"],
      cwd: home,
      env: {
        PATH: process.env.PATH ?? "",
        HOME: home,
        HAPI_HOME: home,
        HAPI_LISTEN_PORT: `${port}`,
        HAPI_ANDROID_PUSH: "off",
        HAPI_IOS_PUSH: "off",
        CLI_API_TOKEN: TOKEN,
      },
    });
    while (!(await answers(url))) {
      if (child.exitCode !== null) throw new Error(`the released hub exited with ${child.exitCode}`);
      await Bun.sleep(20);
    }
    return {
      url,
      jwt: await logIn(url),
      pid: child.pid,
      database: join(home, "hapi.db"),
      residentMb: () => residentMb(child.pid),
      cpuSeconds: () => cpuSeconds(child.pid),
      stop: async () => {
        child.kill("SIGTERM");
        await child.exited;
      },
      remove: () => rmSync(home, { recursive: true, force: true }),
    };
  },
});

/** Roost, and the released hub where `test/clients` has installed it. */
export function hubs(): readonly Hub[] {
  const executable = installedHapi();
  return executable === undefined ? [roost] : [roost, released(executable)];
}

const answers = (url: string) =>
  fetch(`${url}/health`).then(
    ({ ok }) => ok,
    () => false,
  );

async function logIn(url: string): Promise<string> {
  const answer = await fetch(`${url}/api/auth`, {
    method: "POST",
    body: JSON.stringify({ accessToken: TOKEN }),
  });
  return ((await answer.json()) as { token: string }).token;
}

/** @returns the ids of so many new sessions. */
export async function openSessions(url: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let index = 0; index < count; index++) {
    const answer = await fetch(`${url}/cli/sessions`, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify({
        tag: `bench-${crypto.randomUUID()}`,
        metadata: {
          path: `/home/bench/project-${index}`,
          host: "bench",
          name: `Session ${index}`,
          flavor: "claude",
          summary: { text: "What it is about, in about as many words as people see", updatedAt: Date.now() },
          tools: Array.from({ length: 20 }, (_, at) => `tool-${at}`),
        },
        agentState: { controlledByUser: false, requests: {}, completedRequests: {} },
      }),
    });
    if (!answer.ok) throw new Error(`a session was refused: ${answer.status} ${await answer.text()}`);
    ids.push(((await answer.json()) as { session: { id: string } }).session.id);
  }
  return ids;
}

// The hub that the released hapi CLI and its web app are driven against, as a process on a folder and a port of its own: the original one,
// or the compiled Roost. What is proven does not know which.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { endsWithUs, run } from "../support/process.ts";
import { until } from "../support/until.ts";
import { installHapi } from "./hapi-release.ts";
import { type Launched, launch } from "./processes.ts";
import { executablePath, freePort, RoostServer } from "./roost-server.ts";

export interface HapiServer {
  readonly name: string;
  readonly url: string;
  /** The access token. */
  readonly token: string;
  /** Resolves when it answers; always on the same folder and port. */
  start(): Promise<void>;
  /** Has the web app served. @returns the address that a person opens. */
  webApp(): Promise<string>;
  /** As an init system does, or as a power cut does. */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
}

/** Makes one in an empty folder; it does not run yet. */
export type MakeServer = (folder: string) => Promise<HapiServer>;

/** The released hub 0.30.7. */
export const originalServer: MakeServer = async (folder) => {
  const executable = await installHapi();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const token = `token-${crypto.randomUUID()}`;
  mkdirSync(folder, { recursive: true });
  let running: Launched | undefined;
  return {
    name: "the released hub",
    url,
    token,
    start: async () => {
      const hub = launch("hapi hub", endsWithUs([executable, "hub", "--no-relay"]), {
        cwd: folder,
        env: {
          PATH: process.env.PATH ?? "",
          HOME: folder,
          HAPI_HOME: join(folder, ".hapi"),
          HAPI_LISTEN_PORT: `${port}`,
          HAPI_ANDROID_PUSH: "off",
          HAPI_IOS_PUSH: "off",
          // Its own rule would let a browser in from localhost only.
          HAPI_PUBLIC_URL: url,
          CLI_API_TOKEN: token,
        },
        logPath: join(folder, "hub.log"),
      });
      running = hub;
      await answers(url, hub);
    },
    // It brings its own.
    webApp: async () => url,
    stop: async (signal = "SIGTERM") => {
      running?.child.kill(signal);
      await running?.child.exited;
    },
  };
};

/** Made at the first start in the data folder, where the original keeps it. */
export function accessTokenIn(dataDir: string): string {
  const kept = JSON.parse(readFileSync(join(dataDir, "hapi", "settings.json"), "utf8"));
  return String(kept.cliApiToken);
}

/** The compiled Roost as it is: nobody asked for HAPI. */
export const roostServer: MakeServer = async (folder) => {
  mkdirSync(folder, { recursive: true });
  const server = new RoostServer(await freePort(), folder, { ROOST_LOG_LEVEL: "debug" });
  return {
    name: "Roost",
    url: server.url,
    get token() {
      return accessTokenIn(join(folder, "data"));
    },
    start: () => server.start(),
    webApp: async () => {
      const words = ["hapi", "web", "install", "--from-cli", await installHapi()];
      const command = [executablePath(), ...words, "--data-dir", join(folder, "data")];
      const { code, stderr } = await run(command, { cwd: folder });
      if (code !== 0) throw new Error(`The web app was not installed (code ${code}):\n${stderr}`);
      return server.url;
    },
    stop: async (signal = "SIGTERM") => {
      await server.stop(signal);
    },
  };
};

async function answers(url: string, { child, output }: Launched): Promise<void> {
  await until(
    "the hub to answer /health",
    async () => {
      if (child.exitCode !== null) throw new Error(`The hub ended with code ${child.exitCode}:\n${output()}`);
      return (await fetch(`${url}/health`)).ok || undefined;
    },
    30_000,
  );
}

// The released HAPI hub 0.30.7 as a black box: its own executable from npm, on a fresh home and a free port, with nothing that would
// reach the network.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installedHapi } from "../clients/hapi-release.ts";
import { freePort } from "../support/free-port.ts";
import { endsWithUs, start } from "../support/process.ts";
import { until } from "../support/until.ts";
import type { HubUnderTest } from "./hub-under-test.ts";

/** The path of the executable; undefined where it was never installed. */
export const originalHub = installedHapi;

/** @param environment variables beside what it always has */
export async function startOriginalHub(environment: Record<string, string> = {}): Promise<HubUnderTest> {
  const executable = installedHapi();
  if (executable === undefined) throw new Error("The released hapi is not installed.");
  const home = mkdtempSync(join(tmpdir(), "roost-hapi-original-"));
  const port = freePort();
  const token = `proof-${crypto.randomUUID()}`;
  const hub = start(endsWithUs([executable, "hub", "--no-relay"]), {
    cwd: home,
    env: {
      PATH: process.env.PATH ?? "",
      HOME: home,
      HAPI_HOME: join(home, ".hapi"),
      HAPI_LISTEN_PORT: `${port}`,
      HAPI_ANDROID_PUSH: "off",
      HAPI_IOS_PUSH: "off",
      CLI_API_TOKEN: token,
      ...environment,
    },
  });
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    await hub.end("SIGKILL");
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await until("the released hub to answer", async () => (await fetch(`${url}/health`)).ok, 30_000);
  } catch (error) {
    await stop();
    throw error;
  }
  const settings = join(home, ".hapi", "settings.json");
  const stored = existsSync(settings) ? JSON.parse(readFileSync(settings, "utf8")) : {};
  return {
    url,
    token,
    publicOrigin: `http://localhost:${port}`,
    vapidPublicKey: stored.vapidKeys?.publicKey ?? "",
    stop,
  };
}

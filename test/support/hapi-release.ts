// The released HAPI hub as a black box on a database that a test made: it opens it, answers, and leaves it whole.
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installedHapi } from "../clients/hapi-release.ts";
import { freePort } from "./free-port.ts";
import { needs } from "./needs.ts";
import { endsWithUs, start } from "./process.ts";
import { until } from "./until.ts";

export const releasedHub = needs.installed("the released hapi 0.30.7", installedHapi());

export interface ReleasedHub {
  readonly url: string;
  /** Of its database. */
  readonly path: string;
  /** An answer of its web API, or of its CLI API, as JSON. */
  ask(method: string, path: string, body?: unknown): Promise<unknown>;
  /** Ends it, so that its file is at rest. */
  stop(): Promise<void>;
  /** Also of one that still runs, because a test failed before it came to `stop`. */
  remove(): Promise<void>;
}

/** @param from a database at rest, which is copied; without it the hub makes one. */
export async function startReleasedHub(from?: string): Promise<ReleasedHub> {
  const home = mkdtempSync(join(tmpdir(), "roost-hapi-released-"));
  const folder = join(home, ".hapi");
  mkdirSync(folder, { mode: 0o700 });
  const path = join(folder, "hapi.db");
  if (from !== undefined) {
    copyFileSync(from, path);
    chmodSync(path, 0o600);
  }
  const port = freePort();
  const token = "handed-back-0123456789-abcdef";
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: home,
    HAPI_HOME: folder,
    HAPI_LISTEN_PORT: `${port}`,
    HAPI_ANDROID_PUSH: "off",
    HAPI_IOS_PUSH: "off",
    CLI_API_TOKEN: token,
  };
  const hub = start(endsWithUs([installedHapi() ?? "", "hub", "--no-relay"]), { cwd: home, env });
  const url = `http://127.0.0.1:${port}`;
  const remove = async () => {
    await hub.end("SIGKILL");
    rmSync(home, { recursive: true, force: true });
  };
  let jwt: string;
  try {
    await until("the released hub to answer", async () => (await fetch(`${url}/health`)).ok, 30_000);
    const login = await fetch(`${url}/api/auth`, {
      method: "POST",
      body: JSON.stringify({ accessToken: token }),
    });
    jwt = ((await login.json()) as { token: string }).token;
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    url,
    path,
    ask: async (method, target, body) => {
      const bearer = target.startsWith("/cli") ? token : jwt;
      const answer = await fetch(url + target, {
        method,
        headers: { authorization: `Bearer ${bearer}` },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      if (!answer.ok) throw new Error(`${method} ${target}: ${answer.status} ${await answer.text()}`);
      return answer.json();
    },
    stop: async () => {
      await hub.end("SIGTERM");
    },
    remove,
  };
}

// The released HAPI hub as a black box on a home that a test keeps: started, asked as its web app and its CLI ask, stopped, and started
// again on the same.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { installedHapi } from "../clients/hapi-release.ts";
import { freePort } from "./free-port.ts";
import { endsWithUs, start } from "./process.ts";
import { until } from "./until.ts";

export interface Answered {
  readonly status: number;
  readonly body: unknown;
  readonly text: string;
}

/** Who asks: a hub of either kind, with its token. */
export interface Asked {
  readonly url: string;
  readonly token: string;
  ask(method: string, path: string, body?: unknown): Promise<Answered>;
}

export interface HubOn extends Asked {
  readonly port: number;
  /** As a person stops it. */
  stop(): Promise<void>;
}

/** Logs in as the web app does; below /cli the token itself is shown. */
export async function asking(url: string, token: string): Promise<Asked> {
  const login = await fetch(`${url}/api/auth`, {
    method: "POST",
    body: JSON.stringify({ accessToken: token }),
  });
  const { token: jwt } = (await login.json()) as { token: string };
  return {
    url,
    token,
    ask: async (method, path, body) => {
      const answer = await fetch(url + path, {
        method,
        headers: { authorization: `Bearer ${path.startsWith("/cli") ? token : jwt}` },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      const isJson = answer.headers.get("content-type")?.startsWith("application/json") === true;
      return { status: answer.status, body: isJson ? JSON.parse(text) : undefined, text };
    },
  };
}

export async function hubOn(home: string): Promise<HubOn> {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const port = freePort();
  const hub = start(endsWithUs([installedHapi() ?? "", "hub", "--no-relay"]), {
    cwd: home,
    env: {
      PATH: process.env.PATH ?? "",
      HOME: dirname(home),
      HAPI_HOME: home,
      HAPI_LISTEN_PORT: `${port}`,
      HAPI_ANDROID_PUSH: "off",
      HAPI_IOS_PUSH: "off",
    },
  });
  const url = `http://127.0.0.1:${port}`;
  let asked: Asked;
  try {
    await until("the released hub to answer", async () => (await fetch(`${url}/health`)).ok, 60_000);
    await until("the released hub's token", () => existsSync(join(home, "settings.json")));
    const { cliApiToken } = JSON.parse(readFileSync(join(home, "settings.json"), "utf8"));
    asked = await asking(url, cliApiToken);
  } catch (error) {
    await hub.end("SIGKILL");
    throw error;
  }
  return {
    ...asked,
    port,
    stop: async () => {
      await hub.end("SIGTERM");
    },
  };
}

// What tests of HAPI's web app share: a folder that goes with the file, a hub that has an app to give, the command and servers.
import { afterAll, afterEach } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "./config.ts";
import { type AppHub, appHub, smallApp } from "./hapi-app.ts";
import { runRoost } from "./process.ts";
import { type TestServer, testServer } from "./server.ts";

/** For one file: called at its top. */
export function hapiWeb() {
  const place = mkdtempSync(join(tmpdir(), "roost-hapi-web-test-"));
  const hub: AppHub = appHub();
  afterAll(async () => {
    await hub.stop();
    rmSync(place, { recursive: true, force: true });
  });
  afterEach(() => {
    hub.app = smallApp();
    hub.bend = () => undefined;
  });
  let folders = 0;
  return {
    place,
    hub,
    /** A new data folder. */
    folder: () => {
      const path = join(place, `data-${++folders}`);
      mkdirSync(path, { mode: 0o700 });
      return path;
    },
    /** `roost hapi web`. */
    web: (dataDir: string, ...words: string[]) =>
      runRoost(["hapi", "web", ...words, "--data-dir", dataDir], {
        cwd: place,
        env: { PATH: process.env.PATH ?? "", HOME: place },
      }),
    server: (settings: Record<string, unknown>): Promise<TestServer> =>
      testServer({ hapiEnabled: true, hapiPort: "none", ...settings } as Partial<Config>),
    /** What the hub gives as its page. */
    page: () => hub.app.get("index.html") as string,
  };
}

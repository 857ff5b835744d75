// The web app of the released hapi in Chromium, as Roost has installed it: it logs in at the root of the server, lives on after its service
// worker has taken over, and at a port of its own it finds its hub by itself.
import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Chromium, findChromium, type Page } from "./clients/chromium.ts";
import { installedHapi } from "./clients/hapi-release.ts";
import type { Config } from "./support/config.ts";
import { freePort } from "./support/free-port.ts";
import { needs } from "./support/needs.ts";
import { runRoost } from "./support/process.ts";
import { type TestServer, testServer } from "./support/server.ts";

setDefaultTimeout(120_000);

needs
  .all(needs.program("chromium", findChromium), needs.installed("the released hapi 0.30.7", installedHapi()))
  .describe("the released web app", () => {
    const place = mkdtempSync(join(tmpdir(), "roost-hapi-browser-"));
    // One for each server: one that has just stopped here may not have let go of its database.
    const [first, second] = [join(place, "first"), join(place, "second")] as const;
    let browser: Chromium;
    let page: Page;

    beforeAll(async () => {
      await install(first, "--from-cli", installedHapi() ?? "");
      mkdirSync(join(place, "browser"));
      browser = await Chromium.start(join(place, "browser"));
    });
    afterAll(async () => {
      const closed = new Promise((resolve) => browser?.socket.addEventListener("close", resolve));
      void browser?.send("Browser.close");
      if (browser !== undefined) await closed;
      // Its processes write their profile until they have ended.
      rmSync(place, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
    });

    const install = async (dataDir: string, ...way: string[]) => {
      mkdirSync(dataDir, { mode: 0o700 });
      const words = ["hapi", "web", "install", ...way, "--data-dir", dataDir];
      expect((await runRoost(words, { cwd: place })).stderr).toBe("");
    };
    const server = (settings: Record<string, unknown>): Promise<TestServer> =>
      testServer({ hapiEnabled: true, hapiPort: "none", ...settings } as Partial<Config>);

    const logIn = async (dataDir: string) => {
      const { cliApiToken } = JSON.parse(readFileSync(join(dataDir, "hapi", "settings.json"), "utf8"));
      await page.press("the token field", `document.querySelector("input")`);
      await page.type(cliApiToken);
      await page.button("Sign In");
      await page.until("the list of sessions", `location.pathname === "/sessions"`);
      await page.shows("No sessions yet");
    };

    needs.all().test("logs in at the root, also when its service worker answers there", async () => {
      const roost = await server({ dataDir: first });
      // One Roost gets it from another.
      await install(second, "--from", roost.url);
      page = await browser.open(`${roost.url}/`);
      await logIn(first);
      await page.until("its service worker", "navigator.serviceWorker.controller !== null");
      await page.go(`${roost.url}/`);
      await page.until("the list of sessions", `location.pathname === "/sessions"`);
      // Straight from the server: the worker leaves such pages to the network.
      await page.go(`${roost.url}/settings`);
      await page.until("the page of settings", `location.pathname === "/settings"`);
      await page.shows("Session list");
      expect(page.answers.filter((answer) => answer.startsWith("404"))).toEqual([]);
      expect(page.problems).toEqual([]);
      await roost.stop();
    });

    needs.all().test("finds its hub from a port of its own, beside another app at the root", async () => {
      const other = join(place, "other");
      mkdirSync(other);
      writeFileSync(join(other, "index.html"), "<head></head>the other app");
      const hapiWebPort = freePort();
      const roost = await server({ dataDir: second, happyStaticDir: other, hapiWebPort });
      const origin = `http://127.0.0.1:${hapiWebPort}`;
      page = await browser.open(`${origin}/`);
      await logIn(second);
      expect(page.answers).toContain(`200 ${roost.url}/api/auth`);
      expect(page.problems).toEqual([]);
      await roost.stop();
    });
  });

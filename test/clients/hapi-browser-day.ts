// One day of a person who has nothing but a browser: the released web app of HAPI in Chromium, against a hub that is handed in, with the
// released runner on another computer. What is done is done with mouse and keys, what is expected is read on the page.
import { afterAll, expect } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { until } from "../support/until.ts";
import { Chromium, type Page } from "./chromium.ts";
import type { HapiComputer } from "./hapi-cli.ts";
import type { MakeServer } from "./hapi-server.ts";
import { HapiWeb } from "./hapi-web.ts";
import { HapiWorld } from "./hapi-world.ts";
import { boundMs, storyIn } from "./scene.ts";

const tokenField = `document.querySelector("input")`;
const composer = `document.querySelector("[contenteditable]")`;

/** Call it in a `describe`. */
export function hapiBrowserDay(makeServer: MakeServer): void {
  const day = storyIn(() => HapiWorld.open(makeServer));
  const { scene } = day;
  let browser: Chromium;
  let page: Page;
  let desk: HapiComputer;
  let address: string;

  afterAll(() => browser?.close());

  const say = async (text: string): Promise<void> => {
    await page.press("the composer", composer);
    await page.type(text);
    await page.button("Send");
    await page.shows(text);
  };

  scene("a wrong token is refused with the hub's words, the right one shows the empty list", async () => {
    desk = day.world.addComputer("desk");
    desk.run("runner", "start-sync");
    address = await day.world.server.webApp();
    const folder = join(day.world.folder, "browser");
    mkdirSync(folder);
    browser = await Chromium.start(folder);
    page = await browser.open(`${address}/`);
    await page.press("the token field", tokenField);
    await page.type("not-the-token");
    await page.button("Sign In");
    await page.shows("Invalid access token");
    await page.press("the token field", tokenField);
    await page.evaluate(`${tokenField}.select()`);
    await page.type(day.world.server.token);
    await page.key("Enter");
    await page.until("the list of sessions", `location.pathname === "/sessions"`);
  });

  scene("the form knows the machine and its agents, and starts a session there", async () => {
    await page.button("New Session");
    await page.shows("desk (linux) · CLI 0.30.7", boundMs);
    await page.press("the folder", `document.querySelector('input[placeholder="/path/to/project"]')`);
    await page.type(desk.project);
    await page.press(
      "the agent",
      `[...document.querySelectorAll("label")].find((label) => label.innerText.includes("DeepSeek Harness"))`,
    );
    await page.shows("Managed by agent");
    await page.button("Create");
    await page.until("the new session's page", `/^\\/sessions\\/[0-9a-f-]{36}$/.test(location.pathname)`);
    await page.shows("machine: desk");
    await page.shows("desk/project");
    await page.shows("online");
  });

  scene("what is sent is answered on the page", async () => {
    await page.button("Got it");
    await say("hello from a browser");
    await page.shows("heard: hello from a browser");
  });

  scene("the agent's question is asked on the page, and its answer reaches the agent", async () => {
    await say("ask ls");
    await page.shows("Waiting for approval");
    await page.shows("pending 1");
    await page.button("Allow");
    await page.shows("permission: proceed_once");
    await page.until("no pending request", `!document.body.innerText.includes("pending 1")`);
    await say("ask rm");
    await page.shows("Waiting for approval");
    await page.button("Deny");
    await page.shows("permission: cancel");
  });

  scene("a terminal on the page runs commands on the machine, over a WebSocket", async () => {
    await page.button("Terminal");
    await page.until("the terminal", `document.querySelector('[aria-label="Terminal input"]') !== null`);
    await page.press("the terminal", `document.querySelector(".xterm")`);
    // Each Enter is answered by a prompt. The first may still come by polling, before the page has its WebSocket.
    await until(
      "a prompt over the WebSocket",
      async () => {
        await page.key("Enter");
        return page.packets.some((packet) => packet.includes("terminal:output"));
      },
      boundMs,
    );
    await page.type("echo $((6 * 7))-in-a-browser");
    await page.key("Enter");
    await until("the output", () => page.packets.join("").includes("42-in-a-browser"), boundMs);
    await page.evaluate("history.back()");
    await page.shows("permission: proceed_once");
  });

  scene("after a restart of the hub the page goes on by itself", async () => {
    const before = page.answers.length;
    await day.world.server.stop();
    await day.world.server.start();
    await until(
      "a new stream",
      () => page.answers.slice(before).some((answer) => /^200 .*\/api\/events/.test(answer)),
      boundMs,
    );
    // The released hub takes the session for ended until its CLI is back.
    const session = `${await page.evaluate('location.pathname.split("/")[2]')}`;
    const { url, token } = day.world.server;
    const web = await HapiWeb.logIn(url, token);
    await until("an active session", async () => (await web.summary(session))?.active === true, boundMs);
    await page.shows("online", boundMs);
    await say("still there?");
    await page.shows("heard: still there?");
    // The page has each only once.
    const count = `document.body.innerText.split("heard: still there?").length - 1`;
    expect(await page.evaluate(count)).toBe(1);
  });

  scene("after a reload everything is there again", async () => {
    await page.send("Page.reload");
    for (const words of ["hello from a browser", "permission: proceed_once", "heard: still there?"])
      await page.shows(words);
  });

  scene("no script of the page failed, and no answer was an error of the hub", async () => {
    expect(page.problems).toEqual([]);
    expect(page.answers.filter((answer) => answer.startsWith("5"))).toEqual([]);
    // Refused is what was wrong: the token of the first scene.
    const refused = page.answers.filter((answer) => /^4/.test(answer));
    expect(refused.map((answer) => answer.replace(/^(\d+) https?:\/\/[^/]+/, "$1 "))).toEqual([
      "401 /api/auth",
    ]);
  });
}

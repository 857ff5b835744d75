// A real browser: headless Chromium with a profile of its own, driven over its DevTools protocol. What a person would do is done with mouse
// and keys; what a person would see is read from the page.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../support/until.ts";
import { launch } from "./processes.ts";

type Result = { [key: string]: unknown };
type Reply = {
  id?: number;
  method?: string;
  sessionId?: string;
  params?: Result;
  result?: Result;
  error?: { message: string };
};

const BOUND_MS = 30_000;

/** Debian's own; another one may be named. */
export const findChromium = (): string | undefined =>
  process.env.ROOST_TEST_CHROMIUM ?? Bun.which("chromium") ?? undefined;

export class Chromium {
  readonly #waiting = new Map<
    number,
    { resolve: (result: Result) => void; reject: (error: Error) => void }
  >();
  readonly #pages = new Map<string, Page>();
  #asked = 0;

  private constructor(readonly socket: WebSocket) {
    socket.addEventListener("message", ({ data }) => {
      const { id, method, sessionId, params, result, error } = JSON.parse(`${data}`) as Reply;
      if (id === undefined) return this.#pages.get(sessionId ?? "")?.happened(method ?? "", params ?? {});
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result ?? {});
      else waiting?.reject(new Error(error.message));
    });
  }

  /** In a folder that it may fill: profile, cache and downloads go there. */
  static async start(folder: string): Promise<Chromium> {
    const executable = findChromium();
    if (executable === undefined) throw new Error("There is no Chromium on the PATH.");
    const profile = join(folder, "profile");
    mkdirSync(profile, { recursive: true });
    const flags = [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--window-size=1280,900",
    ];
    const ports = ["--remote-debugging-port=0", `--user-data-dir=${profile}`];
    // Fonts and the like from elsewhere: nothing leaves this machine.
    const closed = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"];
    const browser = launch("chromium", [executable, ...flags, ...ports, ...closed, "about:blank"], {
      cwd: folder,
      env: { PATH: process.env.PATH ?? "", HOME: folder, TMPDIR: folder, LANG: "C.UTF-8" },
      logPath: join(folder, "chromium.log"),
    });
    const told = join(profile, "DevToolsActivePort");
    const [port, path] = await until(
      "Chromium to listen",
      () => {
        if (browser.child.exitCode !== null) throw new Error(`Chromium ended:\n${browser.output()}`);
        const lines = existsSync(told) ? readFileSync(told, "utf8").split("\n") : [];
        return lines.length > 1 ? lines : undefined;
      },
      BOUND_MS,
    );
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", reject);
    });
    return new Chromium(socket);
  }

  send(method: string, params: Result = {}, sessionId?: string): Promise<Result> {
    const id = ++this.#asked;
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#waiting.set(id, { resolve, reject });
    this.socket.send(JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) }));
    return promise;
  }

  /** A tab of its own, as wide as a desk's screen. */
  async open(url: string): Promise<Page> {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, `${sessionId}`);
    this.#pages.set(`${sessionId}`, page);
    for (const domain of ["Page", "Runtime", "Network", "Log"]) await page.send(`${domain}.enable`);
    // A tab that nobody looks at is not painted, and pages animate what they show.
    await page.send("Emulation.setFocusEmulationEnabled", { enabled: true });
    await page.send("Page.bringToFront");
    await page.go(url);
    return page;
  }

  close(): void {
    this.socket.close();
  }
}

export class Page {
  /** Errors of the page's own scripts, and what it wrote to the console as errors. */
  readonly problems: string[] = [];
  /** Every answer of a server, `200 http://...`. */
  readonly answers: string[] = [];
  /** What came over its WebSockets, as it stands. */
  readonly packets: string[] = [];

  constructor(
    readonly browser: Chromium,
    readonly session: string,
  ) {}

  send(method: string, params: Result = {}): Promise<Result> {
    return this.browser.send(method, params, this.session);
  }

  happened(method: string, params: Result): void {
    // biome-ignore lint/suspicious/noExplicitAny: the protocol's own shapes, looked at field by field
    const about = params as any;
    if (method === "Runtime.exceptionThrown")
      this.problems.push(
        `${about.exceptionDetails.exception?.description ?? about.exceptionDetails.text}`.slice(0, 300),
      );
    if (method === "Network.webSocketFrameReceived") this.packets.push(`${about.response.payloadData}`);
    if (method === "Network.responseReceived")
      this.answers.push(`${about.response.status} ${about.response.url}`);
  }

  async go(url: string): Promise<void> {
    await this.send("Page.navigate", { url });
    await this.until(`${url} to load`, `document.readyState === "complete"`);
  }

  /** @returns what the expression gives, a promise's value included. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = (await this.send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    })) as { result: { value?: unknown }; exceptionDetails?: { exception?: { description?: string } } };
    if (exceptionDetails !== undefined)
      throw new Error(exceptionDetails.exception?.description ?? "the page threw");
    return result.value;
  }

  /** Waits until the expression is true in the page. */
  async until(what: string, expression: string, boundMs = BOUND_MS): Promise<void> {
    try {
      await until(what, async () => (await this.evaluate(expression)) === true, boundMs);
    } catch (error) {
      throw new Error(
        `${error}\nThe page shows:\n${await this.text()}\nProblems: ${this.problems.join("\n")}`,
      );
    }
  }

  /** What a person can read on it. */
  async text(): Promise<string> {
    return `${await this.evaluate("document.body.innerText")}`;
  }

  /** Waits until a person can read it. */
  async shows(words: string, boundMs?: number): Promise<void> {
    const test = `document.body.innerText.includes(${JSON.stringify(words)})`;
    await this.until(`"${words}" on the page`, test, boundMs);
  }

  /** Presses what the expression finds, with the mouse, once it is there. */
  async press(what: string, find: string): Promise<void> {
    const place = `(() => {
      const found = ${find};
      if (!found || found.disabled) return null;
      found.scrollIntoView({ block: "center" });
      const { x, y, width, height } = found.getBoundingClientRect();
      return width > 0 ? [x + width / 2, y + height / 2] : null;
    })()`;
    const [x, y] = await until(
      `${what} to press`,
      async () => ((await this.evaluate(place)) as [number, number] | null) ?? undefined,
      BOUND_MS,
    ).catch(async (error) => {
      throw new Error(`${error}\nThe page shows:\n${await this.text()}`);
    });
    for (const type of ["mouseMoved", "mousePressed", "mouseReleased"])
      await this.send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
  }

  /** A button or link by the words on it or its label. */
  button(words: string): Promise<void> {
    const all = `[...document.querySelectorAll("button, a, [role=button], [role=menuitem], [role=tab], summary")]`;
    const said = `(element.innerText || "").trim() === ${JSON.stringify(words)} || element.getAttribute("aria-label") === ${JSON.stringify(words)} || element.title === ${JSON.stringify(words)}`;
    return this.press(`the button "${words}"`, `${all}.find((element) => ${said})`);
  }

  /** Keys, as if typed, into what has the focus. */
  async type(text: string): Promise<void> {
    await this.send("Input.insertText", { text });
  }

  async key(key: "Enter"): Promise<void> {
    const about = { key, code: key, windowsVirtualKeyCode: 13, nativeVirtualKeyCode: 13, text: "\r" };
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", ...about });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...about });
  }

  async screenshot(path: string): Promise<void> {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    writeFileSync(path, Buffer.from(`${data}`, "base64"));
  }
}

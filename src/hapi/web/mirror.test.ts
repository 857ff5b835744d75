// The web app is copied whole from a hub, or not at all: what differs, leads elsewhere, is too much or cut off fails all of it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { connect, createServer, type Server } from "node:net";
import { type AppHub, appHub, serviceWorker, smallApp } from "../../../test/support/hapi-app.ts";
import { LIMITS, mirror } from "./mirror.ts";

let hub: AppHub;
beforeEach(() => {
  hub = appHub();
});
afterEach(() => hub.stop());

test("everything that the worker lists and files mention, byte for byte", async () => {
  const files = await mirror(hub.url);
  const { app } = hub;
  const page = app.get("index.html") ?? "";
  expect([...files.keys()].sort()).toEqual([...app.keys(), "404.html"].sort());
  for (const [name, content] of app)
    expect(Buffer.from(files.get(name) ?? []).equals(Buffer.from(content as string))).toBe(true);
  // The hub has no such page and answers with the other.
  expect(new TextDecoder().decode(files.get("404.html"))).toBe(page as string);
  // Mentioned, asked for, and answered with a page: it is not there.
  expect(hub.asked).toContain("/assets/gone-5555.js");
  expect(new Set(hub.asked).size).toBe(hub.asked.length);
});

describe("all of it fails", () => {
  const lists = (entry: string) => {
    const app = smallApp();
    app.set("sw.js", serviceWorker(new Map([...app].filter(([name]) => name !== "sw.js")), [entry]));
    hub.app = app;
  };
  const redirect = (to: string) => new Response(null, { status: 302, headers: { location: to } });

  test.each<[string, () => void, string]>([
    ["a redirect to elsewhere", () => bend("/favicon.ico", redirect("http://127.0.0.1:1/x")), "redirect"],
    ["a redirect to itself", () => bend("/favicon.ico", redirect("/index.html")), "redirect"],
    ["another content", () => bend("/favicon.ico", new Response("other")), "not the file that its service"],
    ["another page", () => bend("/index.html", html("other")), "not the file that its service"],
    ["a listed file that is a page", () => bend("/favicon.ico", html("x")), "has no favicon.ico"],
    ["a listed asset that is a page", () => bend("/assets/style-2222.css", html("x")), "has no assets/style"],
    [
      "a listed file that is missing",
      () => bend("/assets/style-2222.css", status(404)),
      "has no assets/style",
    ],
    ["a mentioned file with an error", () => bend("/assets/lazy-4444.js", status(500)), "status 500"],
    ["no worker", () => bend("/sw.js", html("x")), "has no sw.js"],
    ["a worker without a list", () => bend("/sw.js", new Response("self.x=1")), "no list of files"],
    ["a path upwards", () => lists('{"revision":null,"url":"../secret"}'), "no name of a file"],
    [
      "a path upwards inside",
      () => lists('{"revision":null,"url":"assets/../../secret"}'),
      "no name of a file",
    ],
    ["an absolute path", () => lists('{"revision":null,"url":"/etc/passwd"}'), "no name of a file"],
    ["another origin", () => lists('{"revision":null,"url":"https://x.example/a.js"}'), "no name of a file"],
    ["a drive", () => lists('{"revision":null,"url":"c:\\\\x.js"}'), "no name of a file"],
    ["an escape", () => lists('{"revision":null,"url":"\\u002e\\u002e/x"}'), "no name of a file"],
    ["a percent sequence", () => lists('{"revision":null,"url":"%2e%2e/x"}'), "no name of a file"],
    ["something hidden", () => lists('{"revision":null,"url":".gzip/x.js"}'), "no name of a file"],
    ["our own note", () => lists('{"revision":null,"url":"source.json"}'), "no name of a file"],
    ["two contents for one name", () => lists('{"revision":null,"url":"favicon.ico"}'), "twice"],
    ["a revision that is no MD5", () => lists('{"revision":"1","url":"x.js"}'), "no MD5 of x.js"],
  ])("for %s", async (_, make, sentence) => {
    make();
    await expect(mirror(hub.url)).rejects.toThrow(sentence);
  });

  const bend = (path: string, response: Response) => {
    hub.bend = (asked) => (asked === path ? (response.clone() as Response) : undefined);
  };
  const html = (text: string) => new Response(text, { headers: { "content-type": "Text/HTML" } });
  const status = (code: number) => new Response("no", { status: code });

  test("for more files, or more bytes, than there may be", async () => {
    const files = (await mirror(hub.url)).size;
    expect((await mirror(hub.url, { ...LIMITS, files: files + 1 })).size).toBe(files);
    // The one that is mentioned and not there is asked for, too.
    await expect(mirror(hub.url, { ...LIMITS, files })).rejects.toThrow(`more than ${files} files`);
    const bytes = [...(await mirror(hub.url)).values()].reduce((sum, one) => sum + one.byteLength, 0);
    expect((await mirror(hub.url, { ...LIMITS, bytes })).size).toBe(files);
    await expect(mirror(hub.url, { ...LIMITS, bytes: bytes - 1 })).rejects.toThrow("is larger than");
    expect([LIMITS.files, LIMITS.bytes]).toEqual([1_000, 64 * 1024 * 1024]);
  });

  test("for a stream without end", async () => {
    hub.bend = (path) =>
      path !== "/favicon.ico"
        ? undefined
        : new Response(
            new ReadableStream({
              pull: async (controller) => {
                controller.enqueue(new Uint8Array(65_536));
                await Bun.sleep(0);
              },
            }),
          );
    await expect(mirror(hub.url, { ...LIMITS, bytes: 1024 * 1024 })).rejects.toThrow("is larger than 1 MiB");
  });

  test("for a hub that falls silent, before an answer and within it", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    hub.bend = (path) =>
      path !== "/favicon.ico"
        ? undefined
        : new Response(
            new ReadableStream({
              start: async (controller) => {
                controller.enqueue(new Uint8Array(10));
                await promise;
                controller.close();
              },
            }),
          );
    await expect(mirror(hub.url, { ...LIMITS, silenceMs: 300 })).rejects.toThrow(
      "/favicon.ico could not be read whole",
    );
    resolve();
  });

  test("for a connection that is cut in the middle of a file", async () => {
    const proxy = await cutting(hub.url, "GET /assets/style-2222.css");
    await expect(mirror(proxy.url)).rejects.toThrow("/assets/style-2222.css could not be read whole");
    proxy.server.close();
  });

  test.each(["ftp://x", "x", "http://u:p@127.0.0.1", "http://127.0.0.1/hapi", "http://127.0.0.1/?token=x"])(
    "for %s, which is no address of a hub",
    async (url) => {
      await expect(mirror(url)).rejects.toThrow(/address of a hub/);
    },
  );
});

/** A proxy of bytes that ends the connection in the middle of the answer to one request. */
async function cutting(target: string, request: string): Promise<{ url: string; server: Server }> {
  const port = Number(new URL(target).port);
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    let isMarked = false;
    client.on("data", (bytes) => {
      isMarked ||= bytes.toString("latin1").startsWith(request);
      upstream.write(bytes);
    });
    upstream.on("data", (bytes) => {
      if (!isMarked) client.write(bytes);
      else client.end(Buffer.from(bytes).subarray(0, bytes.length - 100));
    });
    client.on("close", () => upstream.destroy());
    client.on("error", () => {});
    upstream.on("error", () => client.destroy());
    upstream.on("close", () => client.destroy());
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`, server };
}

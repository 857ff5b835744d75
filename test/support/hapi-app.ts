// A small web app of our own in the shape of HAPI's (index page, service worker with a list, manifest, assets with a hash in their name),
// and a server that answers with it as a hub does: unknown names get its page. It can have bad days.
import { createHash } from "node:crypto";

export type App = Map<string, string | Uint8Array>;

const md5 = (content: string | Uint8Array) => createHash("md5").update(content).digest("hex");

/** What the list says of 404.html is never true: the hub answers it with its page. */
export function serviceWorker(app: App, more: readonly string[] = []): string {
  const entries = [...app]
    .filter(([name]) => name !== "sw.js" && name !== "assets/lazy-4444.js")
    .map(([name, content]) =>
      name.startsWith("assets/")
        ? `{"revision":null,"url":"${name}"}`
        : `{revision:"${md5(content)}",url:"${name}"}`,
    );
  const list = [...entries, `{url:'404.html',revision:'${"0".repeat(32)}'}`, ...more];
  return `self.skipWaiting();const t=(e,r)=>({revision:e,url:r});store([${list.join(",")}]);`;
}

/** @param version makes another release of it. */
export function smallApp(version = "one", more: readonly string[] = []): App {
  const app: App = new Map<string, string | Uint8Array>([
    [
      "index.html",
      `<!doctype html><title>${version}</title><script type="module" src="/assets/main-${version}.js"></script>`,
    ],
    ["manifest.webmanifest", '{"name":"small"}'],
    ["favicon.ico", new Uint8Array([0, 0, 1, 0])],
    [`assets/main-${version}.js`, `import("/assets/lazy-4444.js");/* ${"padding ".repeat(100)}*/`],
    ["assets/style-2222.css", "body{background:url(/assets/picture-3333.png)}".repeat(20)],
    ["assets/picture-3333.png", crypto.getRandomValues(new Uint8Array(500))],
    // Mentioned by a script only. What it mentions is not there.
    ["assets/lazy-4444.js", 'fetch("/assets/gone-5555.js")'],
  ]);
  app.set("sw.js", serviceWorker(app, more));
  return app;
}

export interface AppHub {
  readonly url: string;
  app: App;
  /** Answers in its place; undefined leaves it as it is. */
  bend: (path: string) => Response | undefined;
  /** Paths that were asked for. */
  readonly asked: string[];
  stop(): Promise<void>;
}

const TYPES: Record<string, string> = { js: "text/javascript", html: "text/html", css: "text/css" };

export function appHub(app: App = smallApp()): AppHub {
  const asked: string[] = [];
  const answer = (path: string): Response => {
    const name = decodeURIComponent(path.slice(1));
    const content = hub.app.get(name);
    const shown = content === undefined ? "index.html" : name;
    const type = TYPES[shown.split(".").at(-1) ?? ""] ?? "application/octet-stream";
    return new Response((content ?? hub.app.get("index.html")) as string, {
      headers: { "content-type": `${type}; charset=utf-8` },
    });
  };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      const { pathname } = new URL(request.url);
      asked.push(pathname);
      return hub.bend(pathname) ?? answer(pathname);
    },
  });
  const hub: AppHub = {
    url: `http://127.0.0.1:${server.port}`,
    app,
    bend: () => undefined,
    asked,
    stop: () => server.stop(true),
  };
  return hub;
}

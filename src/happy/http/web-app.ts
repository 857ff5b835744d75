// The web app of a self-hosted server (HTTP contract 3.4): files of one folder and nothing outside of it, no dotfiles, no symbolic
// link that leads out; unknown pages get index.html, unknown API paths and files stay a JSON 404. The page is told to talk to the
// address that its browser used.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, realpath, stat } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { Logger } from "pino";
import type { Config } from "../../config/settings.ts";
import { clientUrl } from "../../http/client-url.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import { mountedPath } from "./kit/app.ts";
import { refusal } from "./kit/endpoint.ts";

/** Never answered with a page: a client that asks here wants an API. `/v2` is fix 20.17. */
const API_PREFIX = /^\/(v\d|socket|files\/|metrics|health)/;
const INDEX = "index.html";
const CACHE_CONTROL = "public, max-age=0";

interface File {
  readonly path: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

interface Page extends Pick<File, "bytes" | "modifiedMs"> {
  /** Around the place of the injection; without a head there is none. */
  readonly parts: readonly [string, string] | readonly [string];
}

type Settings = Pick<Config, "staticDir" | "injectHtmlConfig" | "publicUrl" | "port">;
type ProxyFacts = Pick<RequestFacts, "trustedProxy">;

export class WebApp {
  #page: Page | undefined;

  private constructor(
    readonly folder: string,
    private readonly settings: Settings,
    /** What the operator wants the web app to be told; undefined when nothing. */
    private readonly told: unknown,
  ) {}

  /** The first of the named folder, `./webapp` and `webapp` beside the executable that has an index.html; else undefined. */
  static open(
    settings: Settings,
    log: Logger,
    otherwise: readonly string[] = ["webapp", join(dirname(process.execPath), "webapp")],
  ): WebApp | undefined {
    const { staticDir } = settings;
    const candidates = [...(staticDir === undefined ? [] : [staticDir]), ...otherwise];
    const folder = candidates
      .map((path) => resolve(path))
      .find((candidate) => existsSync(join(candidate, INDEX)));
    if (staticDir !== undefined && folder !== resolve(staticDir)) {
      log.warn({ staticDir }, "the folder of the web app has no index.html and is not served");
    }
    if (folder === undefined) return undefined;
    return new WebApp(folder, settings, toldBy(settings.injectHtmlConfig, log));
  }

  /** index.html with the injection. Pages that only the web app knows get it as plain `text/html`, as the original sends it. */
  async page(
    request: Request,
    facts: ProxyFacts,
    contentType = "text/html; charset=utf-8",
  ): Promise<Response> {
    const page = await this.#currentPage();
    if (page === undefined) return notFound();
    const html = page.parts.join(scriptOf(this.#configFor(request, facts)));
    const etag = `W/"${createHash("sha256").update(html).digest("base64url").slice(0, 27)}"`;
    const headers = {
      "content-type": contentType,
      "content-length": String(Buffer.byteLength(html)),
      "cache-control": CACHE_CONTROL,
      etag,
      "last-modified": new Date(page.modifiedMs).toUTCString(),
      // The banner lives at the same address (3.1).
      vary: "accept",
    };
    // The injection can change without the file, so only the tag decides.
    if (matches(request.headers.get("if-none-match"), etag)) return unchanged(headers);
    return new Response(request.method === "HEAD" ? null : html, { headers });
  }

  /** What no endpoint answers. */
  async answer(request: Request, facts: ProxyFacts): Promise<Response> {
    const { method } = request;
    if (method !== "GET" && method !== "HEAD") return notFound();
    const path = decodeURIComponent(mountedPath(request).path);
    const segments = segmentsOf(path);
    if (segments === undefined) return notFound();
    if (segments.length === 1 && segments[0] === INDEX) return this.page(request, facts);
    const file = await this.#find(segments);
    if (file !== undefined) return send(request, file);
    const isPage = method === "GET" && !API_PREFIX.test(path) && !namesFile(path);
    return isPage ? this.page(request, facts, "text/html") : notFound();
  }

  /** The operator's word counts; where it says nothing about the server, that is the one that the browser asked. */
  #configFor(request: Request, facts: ProxyFacts): unknown {
    const { told } = this;
    const isObject = typeof told === "object" && told !== null && !Array.isArray(told);
    if (told !== undefined && (!isObject || "serverUrl" in told)) return told;
    const serverUrl = clientUrl(request, facts, this.settings) + mountedPath(request).mount;
    return isObject ? { ...told, serverUrl } : { serverUrl };
  }

  async #find(segments: readonly string[]): Promise<File | undefined> {
    try {
      const root = await realpath(this.folder);
      const path = await realpath(join(root, ...segments));
      if (!path.startsWith(root.endsWith(sep) ? root : root + sep)) return undefined;
      const facts = await stat(path);
      return facts.isFile() ? { path, bytes: facts.size, modifiedMs: facts.mtimeMs } : undefined;
    } catch (error) {
      if (isUnavailable(error)) return undefined;
      throw error;
    }
  }

  async #currentPage(): Promise<Page | undefined> {
    const file = await this.#find([INDEX]);
    if (file === undefined) return undefined;
    const { bytes, modifiedMs } = file;
    if (this.#page?.modifiedMs === modifiedMs && this.#page.bytes === bytes) return this.#page;
    const source = await readFile(file.path, "utf8");
    const head = /<head(\s[^>]*)?>/i.exec(source);
    const at = head === null ? undefined : head.index + head[0].length;
    const parts = at === undefined ? ([source] as const) : ([source.slice(0, at), source.slice(at)] as const);
    this.#page = { parts, bytes, modifiedMs };
    return this.#page;
  }
}

function toldBy(config: string | undefined, log: Logger): unknown {
  if (config === undefined || config === "") return undefined;
  try {
    return JSON.parse(config);
  } catch {
    log.warn("the configuration for index.html is not JSON and is left out");
    return undefined;
  }
}

/** The element that tells the web app its settings. */
function scriptOf(config: unknown): string {
  // Inside a script element `<` could end it, and the two separators were once line ends of JavaScript.
  const value = JSON.stringify(config).replace(
    /[<\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return `<script>window.__HAPPY_CONFIG__=${value};</script>`;
}

/** Whether the last part has an extension: whoever asks for a script or a picture must not get a page for it. */
function namesFile(path: string): boolean {
  return /[^/]\.[^./]+\/*$/.test(path);
}

/** Decoded parts of a path, undefined for what is never served: dotfiles (but `.well-known`, RFC 8615), `..`, NUL, other separators. */
function segmentsOf(path: string): string[] | undefined {
  const segments = path.split("/").slice(1);
  if (segments.at(-1) === "") segments[segments.length - 1] = INDEX;
  const hidden = segments.some((segment) => segment.startsWith(".") && segment !== ".well-known");
  return hidden || /[\0\\]/.test(path) || (sep === "\\" && path.includes(":")) ? undefined : segments;
}

function send(request: Request, { path, bytes, modifiedMs }: File): Response {
  const etag = `W/"${bytes.toString(16)}-${Math.floor(modifiedMs).toString(16)}"`;
  const body = Bun.file(path);
  const headers = {
    "content-type": body.type,
    "cache-control": CACHE_CONTROL,
    "accept-ranges": "bytes",
    etag,
    "last-modified": new Date(modifiedMs).toUTCString(),
  };
  const tags = request.headers.get("if-none-match");
  const since = Date.parse(request.headers.get("if-modified-since") ?? "");
  // A date on the wire has whole seconds.
  const isOld = tags === null ? since >= Math.floor(modifiedMs / 1000) * 1000 : matches(tags, etag);
  if (isOld) return unchanged(headers);
  if (request.method === "HEAD")
    return new Response(null, { headers: { ...headers, "content-length": String(bytes) } });
  return new Response(body, { headers });
}

function unchanged({ etag, ...headers }: Record<string, string> & { etag: string }): Response {
  const kept = ["cache-control", "last-modified", "vary"].flatMap((name) => {
    const value = headers[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return new Response(null, { status: 304, headers: { etag, ...Object.fromEntries(kept) } });
}

/** Weak comparison with a list of tags (RFC 9110, 13.1.2). */
function matches(header: string | null, etag: string): boolean {
  if (header === null) return false;
  return header
    .split(",")
    .some((tag) => tag.trim() === "*" || tag.trim() === etag || `W/${tag.trim()}` === etag);
}

/** In web-app mode without path and method (HTTP contract 1.6). */
const notFound = (): Response => refusal(404, "Not found");

const UNAVAILABLE = new Set(["ENOENT", "ENOTDIR", "EACCES", "ELOOP", "ENAMETOOLONG", "EINVAL"]);
const isUnavailable = (error: unknown): boolean =>
  error instanceof Error && "code" in error && UNAVAILABLE.has(String(error.code));

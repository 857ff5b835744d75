// A web app in a folder: its files and nothing outside of it, no dotfiles, no symbolic link that leads out; its page with what the
// server adds to it. Which paths are files, pages or something else is the protocol's to say.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, realpath, stat } from "node:fs/promises";
import { join, resolve, sep } from "node:path";
import { acceptsGzip } from "./accept-encoding.ts";

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

export interface PageOptions {
  /** Put in right after the opening `<head>`. */
  readonly injected?: string;
  readonly contentType?: string;
  /** What else the answer depends on at this address (`Vary`). */
  readonly vary?: string;
}

/** The first of the folders that has a page to serve. */
export const siteFolder = (candidates: readonly string[]): string | undefined =>
  candidates.map((path) => resolve(path)).find((candidate) => existsSync(join(candidate, INDEX)));

export class StaticSite {
  #page: Page | undefined;

  constructor(
    readonly folder: string,
    /** Of a file, by its decoded path below the folder. */
    private readonly cacheControl: (path: string) => string = () => CACHE_CONTROL,
    /** Name of a hidden folder below with compressed copies of files, under the same names. */
    private readonly gzipFolder?: string,
  ) {}

  /** Whether the decoded path is that of the page itself. */
  isPage(path: string): boolean {
    const segments = segmentsOf(path);
    return segments?.length === 1 && segments[0] === INDEX;
  }

  /** The page as it is now, read again when it has changed; undefined while there is none. */
  async page(
    request: Request,
    { injected = "", contentType = "text/html; charset=utf-8", vary }: PageOptions = {},
  ): Promise<Response | undefined> {
    const page = await this.#currentPage();
    if (page === undefined) return undefined;
    const html = page.parts.join(injected);
    const etag = `W/"${createHash("sha256").update(html).digest("base64url").slice(0, 27)}"`;
    const headers = {
      "content-type": contentType,
      "content-length": String(Buffer.byteLength(html)),
      "cache-control": this.cacheControl(`/${INDEX}`),
      etag,
      "last-modified": new Date(page.modifiedMs).toUTCString(),
      ...(vary !== undefined && { vary }),
    };
    // The injection can change without the file, so only the tag decides.
    if (matches(request.headers.get("if-none-match"), etag)) return unchanged(headers);
    return new Response(request.method === "HEAD" ? null : html, { headers });
  }

  /** The file at a decoded path, for GET and HEAD; undefined where there is none to serve. A path that ends in a slash means its page. */
  async file(request: Request, path: string): Promise<Response | undefined> {
    const segments = segmentsOf(path);
    const file = segments && (await this.#find(segments));
    if (segments === undefined || file === undefined) return undefined;
    const zipped =
      this.gzipFolder === undefined ? undefined : await this.#find([this.gzipFolder, ...segments]);
    return send(request, { file, zipped }, this.cacheControl(path));
  }

  async #find(segments: readonly string[]): Promise<File | undefined> {
    try {
      const root = await realpath(this.folder);
      const path = await realpath(join(root, ...segments));
      // With the separator: a sibling's name may begin like the folder's own.
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

/** An element that gives a page a value as `window.<name>`. */
export function scriptOf(name: string, value: unknown): string {
  // Inside a script element `<` could end it, and the two separators were once line ends of JavaScript.
  const text = JSON.stringify(value).replace(
    /[<\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return `<script>window.${name}=${text};</script>`;
}

/** Whether the last part has an extension: whoever asks for a script or a picture must not get a page for it. */
export function namesFile(path: string): boolean {
  return /[^/]\.[^./]+\/*$/.test(path);
}

/** Whether a decoded path may mean anything at all: what is hidden is answered with nothing, not even the page. */
export const mayBeServed = (path: string): boolean => segmentsOf(path) !== undefined;

/** Decoded parts of a path, undefined for what is never served: dotfiles (but `.well-known`, RFC 8615), `..`, NUL, other separators. */
function segmentsOf(path: string): string[] | undefined {
  const segments = path.split("/").slice(1);
  if (segments.at(-1) === "") segments[segments.length - 1] = INDEX;
  const hidden = segments.some((segment) => segment.startsWith(".") && segment !== ".well-known");
  return hidden || /[\0\\]/.test(path) || (sep === "\\" && path.includes(":")) ? undefined : segments;
}

interface Sent {
  readonly file: File;
  /** The same, compressed. */
  readonly zipped: File | undefined;
}

function send(request: Request, { file, zipped }: Sent, cacheControl: string): Response {
  const { path, bytes, modifiedMs } = file;
  const taken = zipped !== undefined && acceptsGzip(request.headers.get("accept-encoding")) ? zipped : file;
  const etag = `W/"${bytes.toString(16)}-${Math.floor(modifiedMs).toString(16)}${taken === file ? "" : "-gz"}"`;
  const body = Bun.file(taken.path);
  const headers = {
    "content-type": Bun.file(path).type,
    "cache-control": cacheControl,
    ...(taken === file ? { "accept-ranges": "bytes" } : { "content-encoding": "gzip" }),
    etag,
    "last-modified": new Date(modifiedMs).toUTCString(),
    ...(zipped !== undefined && { vary: "accept-encoding" }),
  };
  const tags = request.headers.get("if-none-match");
  const since = Date.parse(request.headers.get("if-modified-since") ?? "");
  // A date on the wire has whole seconds.
  const isOld = tags === null ? since >= Math.floor(modifiedMs / 1000) * 1000 : matches(tags, etag);
  if (isOld) return unchanged(headers);
  if (request.method === "HEAD")
    return new Response(null, { headers: { ...headers, "content-length": String(taken.bytes) } });
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

const UNAVAILABLE = new Set(["ENOENT", "ENOTDIR", "EACCES", "ELOOP", "ENAMETOOLONG", "EINVAL"]);
const isUnavailable = (error: unknown): boolean =>
  error instanceof Error && "code" in error && UNAVAILABLE.has(String(error.code));

// The web app as it is served (HTTP contract, E3, H4 and H8): what is installed now, found anew whenever the pointer changes, so that an
// install or a removal needs no restart. Files of the copy before are still there for browsers that show it.
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { wantsPage } from "../../http/front-page.ts";
import { StaticSite } from "../../http/static-site.ts";
import { isAbsent } from "../../storage/errors.ts";
import type { HapiConfig } from "../settings.ts";
import { copiesIn, GZIP_FOLDER, pointerIn, readPointer } from "./copies.ts";
import { NOTE } from "./names.ts";
import { isAppsPage, isOthers } from "./paths.ts";

const WORKER = "/sw.js";
const NO_STORE = {
  "cache-control": "no-store, no-cache, must-revalidate",
  "cdn-cache-control": "no-store",
  "cloudflare-cdn-cache-control": "no-store",
};
const INDEX = "/index.html";

/** Names below /assets/ carry a hash. */
const cacheControl = (path: string): string =>
  path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache";

interface Shown {
  readonly site: StaticSite;
  /** Of the copy before. */
  readonly before: StaticSite | undefined;
}

export class WebAppSite {
  readonly #copies: string;
  readonly #named: Shown | undefined;
  #seen: { readonly mark: string; readonly shown: Shown | undefined } | undefined;

  constructor({ dataDir, hapiWebDir: named }: Pick<HapiConfig, "dataDir" | "hapiWebDir">) {
    this.#copies = copiesIn(dataDir);
    this.#named =
      named === undefined
        ? undefined
        : { site: new StaticSite(resolve(named), cacheControl), before: undefined };
  }

  /** Whether there is an app to serve. */
  async isThere(): Promise<boolean> {
    return (await this.#indexOf(await this.#shown(), new Request("http://app/"))) !== undefined;
  }

  /** The app's page, with status 200 at any path; undefined while none is installed. */
  async index(request: Request): Promise<Response | undefined> {
    return this.#indexOf(await this.#shown(), request);
  }

  /** For paths that nobody else claims. `isAlone`: its page answers there whoever asks (E3). Undefined leaves it to others. */
  async answer(request: Request, path: string, isAlone = false): Promise<Response | undefined> {
    if ((request.method !== "GET" && request.method !== "HEAD") || path.startsWith("/api")) return undefined;
    const decoded = decode(path);
    const shown = await this.#shown();
    if (shown === undefined || decoded === undefined) return undefined;
    const file = await this.#file(shown, request, decoded);
    if (file !== undefined) return file;
    if (isOthers(path)) return undefined;
    return isAlone || isAppsPage(path) || wantsPage(request) ? this.#indexOf(shown, request) : undefined;
  }

  async #file({ site, before }: Shown, request: Request, path: string): Promise<Response | undefined> {
    if (path.toLowerCase() === `/${NOTE}`) return undefined;
    const found =
      (await site.file(request, path)) ??
      (path.startsWith("/assets/") ? await before?.file(request, path) : undefined);
    if (found !== undefined && path === WORKER)
      for (const [name, value] of Object.entries(NO_STORE)) found.headers.set(name, value);
    return found;
  }

  async #indexOf(shown: Shown | undefined, request: Request): Promise<Response | undefined> {
    return shown?.site.file(request, INDEX);
  }

  async #shown(): Promise<Shown | undefined> {
    if (this.#named !== undefined) return this.#named;
    const mark = await markOf(pointerIn(this.#copies));
    if (this.#seen?.mark !== mark) {
      const pointer = readPointer(this.#copies);
      const siteOf = (name: string) => new StaticSite(join(this.#copies, name), cacheControl, GZIP_FOLDER);
      const shown =
        pointer === undefined
          ? undefined
          : {
              site: siteOf(pointer.current),
              before: pointer.previous === undefined ? undefined : siteOf(pointer.previous),
            };
      this.#seen = { mark, shown };
    }
    return this.#seen.shown;
  }
}

/** Says whether a file is still the one that was read: every install writes a new one. */
async function markOf(path: string): Promise<string> {
  try {
    const { ino, mtimeMs, size } = await stat(path);
    return `${ino} ${mtimeMs} ${size}`;
  } catch (error) {
    if (isAbsent(error)) return "";
    throw error;
  }
}

function decode(path: string): string | undefined {
  try {
    return decodeURIComponent(path).replace(/\/{2,}/g, "/");
  } catch {
    return undefined;
  }
}

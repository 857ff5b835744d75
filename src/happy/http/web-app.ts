// The web app of a self-hosted server (HTTP contract 3.4): unknown pages get index.html, unknown API paths and files stay a JSON 404.
// The page is told to talk to the address that its browser used.
import { dirname, join, resolve } from "node:path";
import type { Logger } from "pino";
import { clientUrl } from "../../http/client-url.ts";
import { mayBeServed, namesFile, StaticSite, scriptOf, siteFolder } from "../../http/static-site.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import type { HappyConfig } from "../settings.ts";
import { refusal } from "./kit/endpoint.ts";
import { mountedPath } from "./kit/mount.ts";

/** Never answered with a page: a client that asks here wants an API. `/v2` is fix 20.17. */
const API_PREFIX = /^\/(v\d|socket|files\/|metrics|health)/;

type Settings = Pick<HappyConfig, "happyStaticDir" | "happyInjectHtmlConfig" | "publicUrl" | "port">;
type ProxyFacts = Pick<RequestFacts, "trustedProxy" | "isSecure">;

export class WebApp {
  readonly #site: StaticSite;

  private constructor(
    readonly folder: string,
    private readonly settings: Settings,
    /** What the operator wants the web app to be told; undefined when nothing. */
    private readonly told: unknown,
  ) {
    this.#site = new StaticSite(folder);
  }

  static open(settings: Settings, log: Logger, otherwise?: readonly string[]): WebApp | undefined {
    const { happyStaticDir: staticDir } = settings;
    const folder = webAppFolder(settings, otherwise);
    if (staticDir !== undefined && folder !== resolve(staticDir)) {
      log.warn({ staticDir }, "the folder of the web app has no index.html and is not served");
    }
    if (folder === undefined) return undefined;
    return new WebApp(folder, settings, toldBy(settings.happyInjectHtmlConfig, log));
  }

  /** index.html with the injection. Pages that only the web app knows get it as plain `text/html`, as the original sends it. */
  async page(
    request: Request,
    facts: ProxyFacts,
    contentType = "text/html; charset=utf-8",
  ): Promise<Response> {
    const injected = scriptOf("__HAPPY_CONFIG__", this.#configFor(request, facts));
    // The banner lives at the same address (3.1).
    return (await this.#site.page(request, { injected, contentType, vary: "accept" })) ?? notFound();
  }

  /** What no endpoint answers. */
  async answer(request: Request, facts: ProxyFacts): Promise<Response> {
    const { method } = request;
    if (method !== "GET" && method !== "HEAD") return notFound();
    const path = decodeURIComponent(mountedPath(request).path);
    if (!mayBeServed(path)) return notFound();
    if (this.#site.isPage(path)) return this.page(request, facts);
    const file = await this.#site.file(request, path);
    if (file !== undefined) return file;
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
}

/** The first of the named folder, `./webapp` and `webapp` beside the executable that has an index.html; else undefined. */
export function webAppFolder(
  { happyStaticDir: named }: Pick<Settings, "happyStaticDir">,
  otherwise: readonly string[] = ["webapp", join(dirname(process.execPath), "webapp")],
): string | undefined {
  return siteFolder([...(named === undefined ? [] : [named]), ...otherwise]);
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

/** In web-app mode without path and method (HTTP contract 1.6). */
const notFound = (): Response => refusal(404, "Not found");

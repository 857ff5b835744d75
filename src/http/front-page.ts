// What belongs to no protocol alone: `/`, `/start`, `/health`, and paths that nobody claims. Protocols contribute in the order of their
// list; what no contribution takes, the default protocol answers in its own way, as if it had the listener for itself.
import type { Logger } from "pino";
import { pathOf } from "../server/http-routes.ts";
import type { RequestFacts } from "../server/request-facts.ts";
import type { Fetch, Served } from "../server/served.ts";
import { type Section, startPage } from "./start-page.ts";

/** Undefined leaves the request to the next contribution. Asked whatever the method is. */
export type Page = (
  request: Request,
  facts: RequestFacts,
) => Response | undefined | Promise<Response | undefined>;

export interface HealthShare {
  /** Stand beside those of the others in one object. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Why it cannot do its work: then the server is not healthy. */
  readonly problem?: string;
}

export interface FrontPageShare {
  /** Of `/`, what a client accepts: a web app, a page. */
  readonly root?: Page;
  readonly health?: () => HealthShare | Promise<HealthShare>;
  /** Of paths that nobody claims: files and pages of a web app. */
  readonly unclaimed?: Page;
  /** What the page at /start says of it, which browsers also get at / where no web app has it. */
  readonly section?: (
    request: Request,
    facts: RequestFacts,
  ) => Section | undefined | Promise<Section | undefined>;
  /** Paths of pages that it has, for when they are not there: the page of /start says so in their place. */
  readonly standsInAt?: (path: string) => boolean;
  /** For what nobody took: banner, preflights, unknown paths. The first protocol that has it is the default one. */
  readonly otherwise?: Fetch;
}

export interface NamedShare {
  readonly protocol: string;
  readonly share: FrontPageShare;
}

export class FrontPage {
  constructor(
    private readonly shares: readonly NamedShare[],
    private readonly log: Logger,
  ) {}

  /** For a listener. */
  served(): Served {
    return {
      name: "the front page",
      http: [{ prefixes: ["/"], fetch: (request, facts) => this.answer(request, facts) }],
      sockets: [],
    };
  }

  async answer(request: Request, facts: RequestFacts): Promise<Response> {
    const path = pathOf(request.url);
    if (path === "/health" && (request.method === "GET" || request.method === "HEAD"))
      return this.#health(request, facts);
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (isRead && path === "/start") {
      const page = await this.#startPage(request, facts);
      if (page !== undefined) return page;
    }
    for (const { share } of this.shares) {
      const answer = await (path === "/" ? share.root : share.unclaimed)?.(request, facts);
      if (answer !== undefined) return answer;
    }
    if (isRead && (path === "/" ? wantsPage(request) : this.#standsInAt(path))) {
      const page = await this.#startPage(request, facts);
      if (page !== undefined) return page;
    }
    for (const { share } of this.shares)
      if (share.otherwise !== undefined) return share.otherwise(request, facts);
    return Response.json({ error: "Not found" }, { status: 404, headers: EVERY_PAGE });
  }

  #standsInAt(path: string): boolean {
    return this.shares.some(({ share }) => share.standsInAt?.(path) === true);
  }

  /** Undefined where no protocol has anything to say. */
  async #startPage(request: Request, facts: RequestFacts): Promise<Response | undefined> {
    const all = await Promise.all(this.shares.map(({ share }) => share.section?.(request, facts)));
    const sections = all.filter((section) => section !== undefined);
    if (sections.length === 0) return undefined;
    facts.route = "/start";
    return startPage(request, sections);
  }

  async #health(request: Request, facts: RequestFacts): Promise<Response> {
    facts.route = "/health";
    const shares = await Promise.all(this.shares.map((named) => this.#healthOf(named)));
    const page = healthPage(shares.filter((share) => share !== undefined));
    for (const [name, value] of Object.entries(EVERY_PAGE)) page.headers.set(name, value);
    return request.method === "HEAD" ? new Response(null, page) : page;
  }

  async #healthOf({ protocol, share }: NamedShare): Promise<HealthShare | undefined> {
    try {
      return await share.health?.();
    } catch (error) {
      this.log.error({ err: error, protocol }, "a protocol cannot say how it is");
      return { fields: {}, problem: `${protocol} does not answer` };
    }
  }
}

/** Whether it says so. Programs that take anything do not. */
export function wantsPage({ headers }: Request): boolean {
  return headers.get("accept")?.toLowerCase().includes("text/html") === true;
}

const EVERY_PAGE = { "access-control-allow-origin": "*" };

/** All fields in one object, of a name that several have the first one's; 503 with the first problem where there is one. */
export function healthPage(shares: readonly HealthShare[]): Response {
  const problem = shares.find((share) => share.problem !== undefined)?.problem;
  const status = problem === undefined ? "ok" : "error";
  const health: Record<string, unknown> = { status, timestamp: new Date().toISOString() };
  for (const { fields } of shares)
    for (const [name, value] of Object.entries(fields))
      if (!Object.hasOwn(health, name)) health[name] = value;
  const body = JSON.stringify({ ...health, error: problem });
  return new Response(body, {
    status: problem === undefined ? 200 : 503,
    // The length is said outright, so that HEAD says it too.
    headers: {
      "content-type": "application/json; charset=utf-8",
      "content-length": String(Buffer.byteLength(body)),
    },
  });
}

// The pages for whoever watches the server: `/metrics` and `/ready` on the main port, and `/metrics`, `/ready` and `/health` on a port
// of their own (HTTP contract 3.5). Whatever goes wrong here is an answer here; the API never notices.

import type { Logger } from "pino";
import { bearerToken, isToken } from "../auth/bearer.ts";
import type { Metrics } from "../observability/metrics.ts";
import { pathOf } from "../server/http-routes.ts";
import { sayWhatIsOwed } from "../server/owed.ts";
import type { Served } from "../server/served.ts";
import { StorageError } from "../storage/errors.ts";
import { within } from "../within.ts";

export interface Check {
  readonly name: string;
  /** @throws when this part cannot do its work. */
  run(): void | Promise<void>;
}

export interface Watched {
  readonly metrics: Metrics;
  readonly checks: readonly Check[];
  /** Opens `/metrics`; undefined leaves that page to nobody on the main port. */
  readonly token: string | undefined;
  readonly log: Logger;
}

const CHECK_MS = 2_000;
const TEXT = { "content-type": "text/plain; charset=utf-8" };

/** The pages on the main port. */
export function pages({ metrics, checks, token, log }: Watched): Served[] {
  const ready = page("/ready", () => readiness(checks, log));
  if (token === undefined) return [ready];
  const scrape = page("/metrics", (request) => {
    if (!isToken(bearerToken(request.headers.get("authorization")), token))
      return new Response("Unauthorized\n", {
        status: 401,
        headers: { ...TEXT, "www-authenticate": "Bearer" },
      });
    return metricsPage(metrics, log);
  });
  return [ready, scrape];
}

function page(path: string, answer: (request: Request) => Response | Promise<Response>): Served {
  return {
    name: `the page ${path}`,
    http: [
      {
        prefixes: [path],
        fetch: (request, facts) => {
          const pathname = pathOf(request.url);
          if (pathname !== path || (request.method !== "GET" && request.method !== "HEAD"))
            return Response.json(
              { error: "Not found", path: pathname, method: request.method },
              { status: 404, headers: { "access-control-allow-origin": "*" } },
            );
          facts.route = path;
          return answer(request);
        },
      },
    ],
    sockets: [],
  };
}

export async function metricsPage(metrics: Metrics, log: Logger): Promise<Response> {
  try {
    return new Response(await metrics.page(), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8", "cache-control": "no-store" },
    });
  } catch (error) {
    log.error({ err: error }, "the metrics page could not be made");
    return new Response("Internal Server Error", { status: 500, headers: TEXT });
  }
}

/** 200 when every part can do its work, else 503, with a sentence for each part that cannot; the error itself is in the log only. */
async function readiness(checks: readonly Check[], log: Logger): Promise<Response> {
  const results: Record<string, "ok" | "failed"> = {};
  const problems: Record<string, string> = {};
  await Promise.all(
    checks.map(async ({ name, run }) => {
      try {
        await within(CHECK_MS, run(), () => new NoAnswer(`No answer within ${CHECK_MS} ms.`));
        results[name] = "ok";
      } catch (error) {
        results[name] = "failed";
        problems[name] = sentenceOf(error);
        if (toBeLogged(name, problems[name]))
          log.error({ err: error, check: name }, "the server is not ready");
      }
    }),
  );
  const ready = Object.values(results).every((result) => result === "ok");
  return Response.json(
    { status: ready ? "ready" : "not ready", checks: results, ...(!ready && { problems }) },
    { status: ready ? 200 : 503, headers: { "cache-control": "no-store" } },
  );
}

/** Sentences of the storage are for people; what anything else says may name more than a stranger should read. */
function sentenceOf(error: unknown): string {
  if (error instanceof StorageError || error instanceof NoAnswer) return error.message;
  return "It cannot do its work; the log says why.";
}

class NoAnswer extends Error {}

/** Probes ask every few seconds; the log is told of a change, and once a minute. */
const REPEAT_MS = 60_000;
const logged = new Map<string, { readonly problem: string; readonly at: number }>();

function toBeLogged(check: string, problem: string): boolean {
  const last = logged.get(check);
  const now = performance.now();
  if (last?.problem === problem && now - last.at < REPEAT_MS) return false;
  logged.set(check, { problem, at: now });
  return true;
}

export interface PagesPort {
  readonly port: number;
  stop(): Promise<void>;
}

/** A port that cannot be opened is a warning: figures are no reason not to serve. The token, where there is one, counts here too. */
export function openPagesPort(host: string, port: number, watched: Watched): PagesPort | undefined {
  const { metrics, checks, token, log } = watched;
  const answerTo = async (request: Request): Promise<Response> => {
    const pathname = pathOf(request.url);
    if (request.method !== "GET" && request.method !== "HEAD")
      return new Response("Not found\n", { status: 404, headers: TEXT });
    if (pathname === "/health") return Response.json({ status: "ok", timestamp: new Date().toISOString() });
    if (pathname === "/ready") return await readiness(checks, log);
    if (pathname !== "/metrics") return new Response("Not found\n", { status: 404, headers: TEXT });
    if (token !== undefined && !isToken(bearerToken(request.headers.get("authorization")), token))
      return new Response("Unauthorized\n", {
        status: 401,
        headers: { ...TEXT, "www-authenticate": "Bearer" },
      });
    return await metricsPage(metrics, log);
  };
  try {
    const server = Bun.serve({
      hostname: host,
      port,
      idleTimeout: 30,
      fetch: async (request) => {
        const answer = await answerTo(request);
        sayWhatIsOwed(request, answer);
        return answer;
      },
      error: (error) => {
        log.error({ err: error }, "a page for watching failed");
        return new Response("Internal Server Error", { status: 500, headers: TEXT });
      },
    });
    log.info({ port: server.port }, "metrics are served");
    return { port: server.port ?? port, stop: () => server.stop(true) };
  } catch (error) {
    log.warn({ port, err: error }, "the port for metrics cannot be opened; the server goes on without it");
    return undefined;
  }
}

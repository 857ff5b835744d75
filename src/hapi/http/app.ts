// The Hono app of the hub: everything below /api and /cli, in the order of the contract (HTTP contract, 1): CORS, gzip, logins, bearer,
// route. So an unknown path without a token is a 401, and with one a 404.
import { Hono } from "hono";
import { routeName } from "../../http/route-name.ts";
import { routedPath } from "../../http/target.ts";
import type { Fetch } from "../../server/served.ts";
import type { HapiContext } from "../context.ts";
import { type AllowedPages, corsOf } from "./kit/cors.ts";
import type { OpenEnv } from "./kit/env.ts";
import { failure, notFound } from "./kit/failure.ts";
import { budget, cliBearer, protocolVersion, webBearer } from "./kit/guards.ts";
import { gzipAnswers } from "./kit/gzip.ts";
import { jsonType } from "./kit/json-type.ts";
import { loginRoutes } from "./login.ts";

/** Takes apps that know as much of their environment (kit/env.ts) as they need. */
export type Mounting = Pick<Hono<OpenEnv>, "route">;

export interface HapiRoutes {
  /** Behind a login; each names its whole paths. */
  readonly api: (app: Mounting) => void;
  /** Behind the access token. */
  readonly cli: (app: Mounting) => void;
  /** Of a path below /cli that there is not, as the web app answers it; undefined: not found. */
  readonly unknownCli?: (request: Request) => Response | undefined | Promise<Response | undefined>;
}

/** A browser sets no header for a stream of events: its address may carry the login. */
const TOKEN_IN_ADDRESS: ReadonlySet<string> = new Set(["/api/events"]);

export function hapiApp(
  context: HapiContext,
  pages: AllowedPages,
  { api, cli, unknownCli }: HapiRoutes,
): Fetch {
  const { config, log, bounds } = context;
  const parts = { ...context, limits: context };
  const app = new Hono<OpenEnv>({ getPath: routedPath });
  const cors = corsOf(pages);
  const bodies = budget({ limits: context, config });
  const login = webBearer(parts, (path) => TOKEN_IN_ADDRESS.has(path));
  app.use("/api/*", cors, routeName, gzipAnswers, jsonType, bodies);
  app.route(
    "/",
    loginRoutes({
      ...context,
      ownerId: context.home.ownerId,
      telegramBotToken: context.inEffect.telegramBotToken,
    }),
  );
  app.use("/api/*", login);
  api(app);
  app.use("/cli/*", cors, routeName, protocolVersion, jsonType, bodies, cliBearer(parts));
  cli(app);
  app.notFound(async (c) => {
    if (!["GET", "HEAD"].includes(c.req.method) || c.req.path.startsWith("/api")) return notFound();
    return (await unknownCli?.(c.req.raw)) ?? notFound();
  });
  app.onError((error, { env: { route, id } }) => failure(error, { bounds, log }, { route, request: id }));
  return (request, facts) => app.fetch(request, facts);
}

// The Hono app of the topics protocol: every answer under its prefixes has the envelope, also the refusals.
import { Hono } from "hono";
import { BodyRefused } from "../../http/request-body.ts";
import { routeName } from "../../http/route-name.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import type { TopicsContext } from "../context.ts";
import { notFound, problemOf } from "../problem.ts";
import { documentRoutes } from "./documents.ts";
import { failure } from "./envelope.ts";
import { guards, type TopicsEnv } from "./guards.ts";
import { bodyProblem } from "./input.ts";
import { allowedOrigins } from "./origins.ts";
import { sessionRoutes } from "./session.ts";
import { websiteRoutes } from "./websites.ts";

export function topicsApp(context: TopicsContext) {
  const app = new Hono<TopicsEnv>();
  const guarded = guards(context);
  app.use(allowedOrigins(context.config.topicsAllowedOrigins), routeName);
  app.route("/api/v1", sessionRoutes(context, guarded));
  app.route("/api/v1", websiteRoutes(context, guarded));
  for (const topic of context.documents) app.route("/api/v1", documentRoutes(context, guarded, topic));
  app.notFound(() => failure(notFound("route")));
  app.onError((error, { env: { route, id } }) =>
    failure(
      error instanceof BodyRefused
        ? bodyProblem(error)
        : problemOf(error, context.log, { route, request: id }),
    ),
  );
  return (request: Request, facts: RequestFacts): Response | Promise<Response> => app.fetch(request, facts);
}

// The hub's share of what belongs to no protocol alone: its fields of /health, its web app, and at a port of its own the preflights of
// that page and the text for unknown paths (HTTP contract, A3, E1, H4 to H6 and H9).
import { Hono } from "hono";
import type { FrontPageShare } from "../http/front-page.ts";
import { type AllowedPages, corsOf } from "./http/kit/cors.ts";
import type { OpenEnv } from "./http/kit/env.ts";
import { notFound } from "./http/kit/failure.ts";
import { appAlone, appWithHub, type WebShareParts } from "./web/share.ts";

const FIELDS = {
  protocolVersion: 1,
  // What a web app may ask for beside the core.
  capabilities: { workGraph: true, titleSuggestion: false },
};

export interface FrontPages {
  /** Beside other protocols. */
  readonly shared: FrontPageShare;
  /** At a port of its own. */
  readonly own: FrontPageShare;
  /** At the web app's port. */
  readonly web: FrontPageShare;
}

export function frontPageOf(pages: AllowedPages, web: WebShareParts): FrontPages {
  const health: FrontPageShare["health"] = () => ({ fields: FIELDS });
  const app = new Hono<OpenEnv>().use("/health", corsOf(pages)).all("*", notFound);
  const alone: FrontPageShare = { health, otherwise: (request, facts) => app.fetch(request, facts) };
  return {
    shared: { health, ...appWithHub(web, true) },
    own: { ...alone, ...appWithHub(web, false) },
    web: { ...alone, ...appAlone(web) },
  };
}

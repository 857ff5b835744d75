// The hub's share of what belongs to no protocol alone: its fields of /health, and at a port of its own the preflights of that page and
// the text for unknown paths (HTTP contract, A3, E1 and H9).
import { Hono } from "hono";
import type { FrontPageShare } from "../http/front-page.ts";
import { type AllowedPages, corsOf } from "./http/kit/cors.ts";
import type { OpenEnv } from "./http/kit/env.ts";
import { notFound } from "./http/kit/failure.ts";

const FIELDS = {
  protocolVersion: 1,
  // What a web app may ask for beside the core.
  capabilities: { workGraph: false, titleSuggestion: false },
};

export function frontPageOf(pages: AllowedPages): {
  /** Beside other protocols. */
  readonly shared: FrontPageShare;
  /** At a port of its own. */
  readonly own: FrontPageShare;
} {
  const shared: FrontPageShare = { health: () => ({ fields: FIELDS }) };
  const app = new Hono<OpenEnv>().use("/health", corsOf(pages)).all("*", notFound);
  return { shared, own: { ...shared, otherwise: (request, facts) => app.fetch(request, facts) } };
}

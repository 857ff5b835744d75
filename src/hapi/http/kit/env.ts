// What Hono hands to every handler of the hub: facts about the request, its body, and who asks.

import type { RequestBody } from "../../../http/request-body.ts";
import type { RequestFacts } from "../../../server/request-facts.ts";
import type { WebClaims } from "../../auth/web-tokens.ts";

/** Of a path that asks for no token. */
export interface OpenEnv {
  Bindings: RequestFacts;
  Variables: {
    body: RequestBody;
    /** Set by a handler whose answer is written piece by piece, or encoded already: it is not put together in memory. */
    isStream?: true;
  };
}

/** Of `/api`: a login. */
export interface ApiEnv extends OpenEnv {
  Variables: OpenEnv["Variables"] & { claims: WebClaims };
}

/** Of `/cli`: the access token. */
export interface CliEnv extends OpenEnv {
  Variables: OpenEnv["Variables"] & { claims: Pick<WebClaims, "ns"> };
}

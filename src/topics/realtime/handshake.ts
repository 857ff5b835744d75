// Who may connect: a token in the HTTP request is checked before a session is opened, the one in the CONNECT packet decides
// (topics contract, section 6).
import { Hono } from "hono";
import type { Socket } from "socket.io";
import { bearerToken } from "../../auth/bearer.ts";
import type { TopicsContext } from "../context.ts";
import { failure } from "../http/envelope.ts";
import { allowedOrigins } from "../http/origins.ts";
import { Problem, problemOf } from "../problem.ts";
import type { Claims } from "../tokens.ts";

/** Gives the refusal of a request whose own token is missing or wrong; undefined lets it pass. */
export function requestGuard({ config, tokens, log }: TopicsContext) {
  const refusals = new Hono<{ Bindings: { problem: Problem } }>();
  refusals.use(allowedOrigins(config.topicsAllowedOrigins)).get("*", (c) => failure(c.env.problem));
  return async (request: Request): Promise<Response | undefined> => {
    if (request.method !== "GET") return undefined;
    const { searchParams } = new URL(request.url);
    const required = config.topicsRequireHttpToken;
    // A session that is open proved itself when it was opened.
    if (!required && searchParams.has("sid")) return undefined;
    const token = searchParams.get("token") || bearerToken(request.headers.get("authorization"));
    try {
      if (token !== undefined) await tokens.verify(token);
      else if (required) throw new Problem(1001, "not logged in");
      return undefined;
    } catch (error) {
      return refusals.fetch(request, { problem: problemOf(error, log, { event: "handshake" }) });
    }
  };
}

/** Only clients of topics put one there. */
export const hasQueryToken = ({ url }: Request): boolean => new URL(url).searchParams.get("token") !== null;

/** Whose socket it is. The user must still be there and active. @throws Problem 1001 to 1004 */
export async function connecting(
  context: TopicsContext,
  { auth, query, headers }: Socket["handshake"],
): Promise<Claims> {
  const given: unknown = auth.token;
  const token = given === undefined || given === null || given === "" ? carried(query, headers) : given;
  if (token === undefined) throw new Problem(1001, "not logged in");
  if (typeof token !== "string") throw new Problem(1002, "token invalid");
  const claims = await context.tokens.verify(token);
  if (!(await context.store.isActiveUser(claims.uid))) throw new Problem(1004, "user inactive");
  return claims;
}

/** The token of the request that opened the session. */
function carried(query: Socket["handshake"]["query"], headers: Socket["handshake"]["headers"]) {
  const inQuery = query.token;
  return (typeof inQuery === "string" && inQuery) || bearerToken(headers.authorization ?? null);
}

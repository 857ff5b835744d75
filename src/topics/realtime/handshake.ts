// Who may connect: a token in the HTTP request is checked before a session is opened, the one in the CONNECT packet decides
// (topics contract, section 6).
import type { Socket } from "socket.io";
import { bearerToken } from "../../auth/bearer.ts";
import type { TopicsContext } from "../context.ts";
import { corsHeaders } from "../http/kit/cors.ts";
import { failure, problemOf } from "../http/kit/envelope.ts";
import { Problem } from "../problem.ts";
import { isActiveUser } from "../store/users.ts";
import type { Claims } from "../tokens.ts";

/** The refusal of a request whose own token is missing or wrong; undefined lets it pass. */
export async function refusedRequest(
  context: TopicsContext,
  request: Request,
): Promise<Response | undefined> {
  if (request.method !== "GET") return undefined;
  const { searchParams } = new URL(request.url);
  const required = context.config.realtimeRequireHttpToken;
  // A session that is open proved itself when it was opened.
  if (!required && searchParams.has("sid")) return undefined;
  const token = searchParams.get("token") || bearerToken(request.headers.get("authorization"));
  try {
    if (token !== undefined) await context.tokens.verify(token);
    else if (required) throw new Problem(1001, "not logged in");
    return undefined;
  } catch (error) {
    const refused = failure(problemOf(error, context.log, { event: "handshake" }));
    for (const [name, value] of corsHeaders(request, context.config.realtimeAllowedOrigins)) {
      refused.headers.set(name, value);
    }
    return refused;
  }
}

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
  if (!isActiveUser(context.database.reads, claims.uid)) throw new Problem(1004, "user inactive");
  return claims;
}

/** The token of the request that opened the session. */
function carried(query: Socket["handshake"]["query"], headers: Socket["handshake"]["headers"]) {
  const inQuery = query.token;
  return (typeof inQuery === "string" && inQuery) || bearerToken(headers.authorization ?? null);
}

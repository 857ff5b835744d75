// Hono middleware: nothing behind it runs without a token that its protocol accepts. Comes after the body budget, and before the body is
// read: a stranger's body is not.
import type { MiddlewareHandler } from "hono";
import { bearerToken } from "../auth/bearer.ts";
import type { RequestFacts } from "../server/request-facts.ts";
import type { RequestBody } from "./request-body.ts";

export interface BearerEnv<Claims> {
  Bindings: RequestFacts;
  Variables: { body: RequestBody; claims: Claims };
}

export interface BearerParts<Claims> {
  /** @throws the protocol's own refusal of a token that it does not accept. */
  readonly verify: (token: string) => Claims | Promise<Claims>;
  /** The account that the claims prove, by the name under which limits and addresses know it. */
  readonly accountOf: (claims: Claims) => string;
  /** What is thrown without an `Authorization` header, and for one that has no token. */
  readonly refused: (why: "missing" | "malformed") => Error;
  /** For a protocol that reads the header in another way, or a token from elsewhere. */
  readonly tokenOf?: (request: Request) => string | undefined;
}

/** Sets `c.var.claims`. */
export function bearer<Claims>({
  verify,
  accountOf,
  refused,
  tokenOf = ({ headers }) => bearerToken(headers.get("authorization")),
}: BearerParts<Claims>): MiddlewareHandler<BearerEnv<Claims>> {
  return async (c, next) => {
    const token = tokenOf(c.req.raw);
    if (token === undefined) throw refused(c.req.raw.headers.has("authorization") ? "malformed" : "missing");
    const claims = await verify(token);
    c.var.body.authenticated(accountOf(claims));
    c.set("claims", claims);
    await next();
  };
}

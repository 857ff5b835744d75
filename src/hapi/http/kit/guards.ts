// What stands before the hub's routes (HTTP contract, A2): a share of the body budget and the bearer, a login for /api and the access
// token for /cli. A stranger's body is not read there, and wrong tokens cost their sender.
import type { MiddlewareHandler } from "hono";
import { bearerToken } from "../../../auth/bearer.ts";
import { bearer } from "../../../http/bearer.ts";
import { type BodyEnv, bodyBudget } from "../../../http/body-budget.ts";
import type { RequestBody } from "../../../http/request-body.ts";
import type { Limits } from "../../../limits/limits.ts";
import type { LimitsConfig } from "../../../limits/settings.ts";
import type { RequestFacts } from "../../../server/request-facts.ts";
import type { AccessToken } from "../../auth/access-token.ts";
import { accountOf, type WebClaims, type WebTokens, webClaims } from "../../auth/web-tokens.ts";
import type { WrongTokens } from "../../auth/wrong-tokens.ts";
import { bodyLimit } from "./body.ts";
import { ComeLater, Refused } from "./failure.ts";

export interface GuardParts {
  readonly limits: Limits;
  readonly config: Pick<LimitsConfig, "maxAnonymousBodyBytes" | "rateLimits">;
  readonly access: AccessToken;
  readonly webTokens: WebTokens;
  readonly wrongTokens: WrongTokens;
}

const PROTOCOL_VERSION = "1";
/** About what the check of a token costs. */
const TOKEN_WORK_MS = 0.2;

type Env = { Bindings: RequestFacts; Variables: { body: RequestBody } };

/** Before whatever reads a body. */
export function budget({
  limits,
  config,
}: Pick<GuardParts, "limits" | "config">): MiddlewareHandler<BodyEnv> {
  return (c, next) =>
    bodyBudget({
      limits,
      accountBytes: () => bodyLimit(c.req.path),
      strangerBytes: () => config.maxAnonymousBodyBytes,
      areStrangersLimited: () => config.rateLimits,
    })(c, next);
}

/** A login: the header wins, and where a browser can set none the address may carry it. */
export function webBearer(
  { webTokens }: Pick<GuardParts, "webTokens">,
  inAddress: (path: string) => boolean,
) {
  return bearer<WebClaims>({
    tokenOf: (request) =>
      bearerToken(request.headers.get("authorization")) ?? tokenInAddress(request, inAddress),
    refused: () => new Refused(401, "Missing authorization token"),
    verify: (token) => {
      const payload = webTokens.verify(token);
      if (payload === undefined) throw new Refused(401, "Invalid token");
      const claims = webClaims(payload);
      if (claims === undefined) throw new Refused(401, "Invalid token payload");
      return claims;
    },
    accountOf,
  });
}

function tokenInAddress({ url }: Request, inAddress: (path: string) => boolean): string | undefined {
  const { pathname, searchParams } = new URL(url);
  return inAddress(pathname) ? searchParams.get("token") || undefined : undefined;
}

/** The access token; every answer says the protocol's version, refusals too. */
export function cliBearer({ access, wrongTokens }: GuardParts): MiddlewareHandler<CliGuardEnv> {
  return async (c, next) => {
    const header = c.req.header("authorization");
    if (header === undefined || header === "") throw new Refused(401, "Missing Authorization header");
    const token = /^bearer\s+(.+)$/i.exec(header)?.[1];
    if (token === undefined) throw new Refused(401, "Invalid Authorization header");
    const ns = proven(token, c.env.caller.address, { access, wrongTokens });
    if (ns === undefined) {
      c.var.body.charge({ workMs: TOKEN_WORK_MS });
      throw new Refused(401, "Invalid token");
    }
    c.var.body.authenticated(accountOf({ ns }));
    c.set("claims", { ns });
    await next();
  };
}

type CliGuardEnv = Env & { Variables: { claims: Pick<WebClaims, "ns"> } };

export const protocolVersion: MiddlewareHandler = async (c, next) => {
  await next();
  c.res.headers.set("x-hapi-protocol-version", PROTOCOL_VERSION);
};

/** The namespace that an access token proves; undefined for a wrong one. @throws ComeLater where too many were wrong. */
export function proven(
  token: string,
  address: string,
  { access, wrongTokens }: Pick<GuardParts, "access" | "wrongTokens">,
): string | undefined {
  const waitMs = wrongTokens.waitMs(address);
  if (waitMs !== undefined) throw new ComeLater(waitMs);
  const ns = access.namespaceOf(token);
  if (ns === undefined) wrongTokens.note(address, token);
  return ns;
}

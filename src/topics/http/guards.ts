// What stands before a route: a share of the body budget, and where it is a user's, the token. A stranger's body is not read there.
import { type BearerEnv, bearer } from "../../http/bearer.ts";
import { bodyBudget } from "../../http/body-budget.ts";
import type { TopicsContext } from "../context.ts";
import { Problem } from "../problem.ts";
import { accountOf, type Claims } from "../tokens.ts";

export type TopicsEnv = BearerEnv<Claims>;

const MAX_BODY_BYTES = 1024 * 1024;

export type Guards = ReturnType<typeof guards>;

export function guards(context: TopicsContext) {
  const { config, tokens } = context;
  const budget = bodyBudget({
    limits: context,
    accountBytes: () => MAX_BODY_BYTES,
    strangerBytes: () => Math.min(MAX_BODY_BYTES, config.maxAnonymousBodyBytes),
    areStrangersLimited: () => config.rateLimits,
  });
  /** Case-sensitive "Bearer" and one space (topics contract, 3.2). */
  const token = bearer({
    verify: (text) => tokens.verify(text),
    accountOf,
    refused: (why) =>
      new Problem(1001, why === "missing" ? "not logged in" : "authorization header malformed"),
  });
  return { anybody: [budget], user: [budget, token] } as const;
}

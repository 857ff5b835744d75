// Login, and who am I (topics contract, section 3).
import { Hono } from "hono";
import { z } from "zod";
import type { Standing } from "../../limits/addresses.ts";
import { FixedWindow } from "../../limits/fixed-window.ts";
import { identifier } from "../../limits/identifier.ts";
import { networkOf } from "../../limits/network.ts";
import type { TopicsContext } from "../context.ts";
import { passwordMatches } from "../passwords.ts";
import { Problem } from "../problem.ts";
import { accountOf } from "../tokens.ts";
import { success } from "./envelope.ts";
import type { Guards, TopicsEnv } from "./guards.ts";
import { jsonBody } from "./input.ts";

/** That one network may make in a minute: enough for forgetting, not for guessing. An address that many share has more. */
const FAILED_LOGINS: Readonly<Record<Standing, number>> = { unknown: 20, known: 20, shared: 200 };

export const failedLogins = () => new FixedWindow(FAILED_LOGINS.unknown, 60_000);

const credentials = z.object({ username: identifier.min(1), password: identifier.min(1) });

export function sessionRoutes(context: TopicsContext, { anybody, user }: Guards) {
  const { store, tokens, failedLogins, addresses, bounds } = context;
  return new Hono<TopicsEnv>()
    .get("/ping", ...anybody, () => success({ pong: true }, context))
    .get("/me", ...user, ({ var: { claims } }) => {
      const { uid, username, role } = claims;
      return success({ uid, username, role }, context);
    })
    .post("/auth/login", ...anybody, async (c) => {
      const { caller } = c.env;
      const { username, password } = await jsonBody(c, credentials);
      const network = networkOf(caller.address);
      const limit = FAILED_LOGINS[addresses.standing(caller.address)];
      // Counted before the slow check and given back on success, so that guesses sent all at once count as well.
      if (failedLogins?.exceeded(network, limit) !== undefined) {
        bounds.refused("anonymous-work", { network, limit });
        throw tooMany();
      }
      const found = await store.findUser(username);
      // The password first: whoever does not know it learns nothing about the account, not even by the time it takes.
      const matches = await passwordMatches(password, found?.passwordHash).catch((busy: unknown) => {
        failedLogins?.refund(network);
        throw busy;
      });
      if (found === undefined || !matches) throw new Problem(1002, "invalid credentials");
      failedLogins?.refund(network);
      if (found.status !== "active") throw new Problem(1004, "user inactive");
      const { id, role } = found;
      caller.authenticated(accountOf({ uid: id }));
      const { token, expiresAt } = await tokens.issue({ uid: id, username, role });
      const expireAt = expiresAt.toISOString();
      return success({ token, expireAt, user: { id, username, role } }, context);
    });
}

/** The code is that of too many requests on a socket (topics contract, section 10); the contract has none for HTTP. */
const tooMany = () => new Problem(2003, "too many failed logins, try again in a minute", 429);

// Login, and who am I (topics contract, section 3).
import { z } from "zod";
import type { Standing } from "../../limits/addresses.ts";
import { FixedWindow } from "../../limits/fixed-window.ts";
import { identifier } from "../../limits/identifier.ts";
import { networkOf } from "../../limits/network.ts";
import { passwordMatches } from "../passwords.ts";
import { Problem } from "../problem.ts";
import { findUser } from "../store/users.ts";
import { accountOf } from "../tokens.ts";
import { endpoint } from "./kit/endpoint.ts";

/** That one network may make in a minute: enough for forgetting, not for guessing. An address that many share has more. */
const FAILED_LOGINS: Readonly<Record<Standing, number>> = { unknown: 20, known: 20, shared: 200 };

export const failedLogins = () => new FixedWindow(FAILED_LOGINS.unknown, 60_000);

const login = endpoint(
  {
    method: "POST",
    path: "/auth/login",
    open: true,
    body: z.object({ username: identifier.min(1), password: identifier.min(1) }),
  },
  async ({ context, facts: { caller }, body: { username, password } }) => {
    const network = networkOf(caller.address);
    const limit = FAILED_LOGINS[context.addresses.standing(caller.address)];
    // Counted before the slow check and given back on success, so that guesses sent all at once count as well.
    if (context.failedLogins?.exceeded(network, limit) !== undefined) {
      context.bounds.refused("anonymous-work", { network, limit });
      throw tooMany();
    }
    const user = findUser(context.database.reads, username);
    // The password first: whoever does not know it learns nothing about the account, not even by the time it takes.
    const matches = await passwordMatches(password, user?.passwordHash).catch((busy: unknown) => {
      context.failedLogins?.refund(network);
      throw busy;
    });
    if (user === undefined || !matches) throw new Problem(1002, "invalid credentials");
    context.failedLogins?.refund(network);
    if (user.status !== "active") throw new Problem(1004, "user inactive");
    const { id, role } = user;
    caller.authenticated(accountOf({ uid: id }));
    const { token, expiresAt } = await context.tokens.issue({ uid: id, username, role });
    return { token, expireAt: expiresAt.toISOString(), user: { id, username, role } };
  },
);

/** The code is that of too many requests on a socket (topics contract, section 10); the contract has none for HTTP. */
const tooMany = () => new Problem(2003, "too many failed logins, try again in a minute", 429);

const me = endpoint({ method: "GET", path: "/me" }, ({ claims: { uid, username, role } }) => ({
  uid,
  username,
  role,
}));

const ping = endpoint({ method: "GET", path: "/ping", open: true }, () => ({ pong: true }));

export const sessionEndpoints = [login, me, ping];

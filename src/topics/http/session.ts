// Login, and who am I (topics contract, section 3).
import { z } from "zod";
import { identifier } from "../../limits/identifier.ts";
import { passwordMatches } from "../passwords.ts";
import { Problem } from "../problem.ts";
import { findUser } from "../store/users.ts";
import { endpoint } from "./kit/endpoint.ts";

const login = endpoint(
  {
    method: "POST",
    path: "/auth/login",
    open: true,
    body: z.object({ username: identifier.min(1), password: identifier.min(1) }),
  },
  async ({ room, facts: { clientAddress }, body: { username, password } }) => {
    // Counted before the slow check and given back on success, so that guesses sent all at once count as well.
    if (room.failedLogins?.exceeded(clientAddress) !== undefined) throw tooMany();
    const user = findUser(room.database.reads, username);
    // The password first: whoever does not know it learns nothing about the account, not even by the time it takes.
    const matches = await passwordMatches(password, user?.passwordHash);
    if (user === undefined || !matches) throw new Problem(1002, "invalid credentials");
    room.failedLogins?.giveBack(clientAddress);
    if (user.status !== "active") throw new Problem(1004, "user inactive");
    const { id, role } = user;
    const { token, expiresAt } = await room.tokens.issue({ uid: id, username, role });
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

// Login, and who am I (topics contract, section 3).
import { z } from "zod";
import { passwordMatches } from "../passwords.ts";
import { Problem } from "../problem.ts";
import { findUser } from "../store/users.ts";
import { endpoint } from "./kit/endpoint.ts";

const login = endpoint(
  {
    method: "POST",
    path: "/auth/login",
    open: true,
    body: z.object({ username: z.string().min(1), password: z.string().min(1) }),
  },
  async ({ room, body: { username, password } }) => {
    const user = findUser(room.database.reads, username);
    // The password first: whoever does not know it learns nothing about the account, not even by the time it takes.
    const matches = await passwordMatches(password, user?.passwordHash);
    if (user === undefined || !matches) throw new Problem(1002, "invalid credentials");
    if (user.status !== "active") throw new Problem(1004, "user inactive");
    const { id, role } = user;
    const { token, expiresAt } = await room.tokens.issue({ uid: id, username, role });
    return { token, expireAt: expiresAt.toISOString(), user: { id, username, role } };
  },
);

const me = endpoint({ method: "GET", path: "/me" }, ({ claims: { uid, username, role } }) => ({
  uid,
  username,
  role,
}));

const ping = endpoint({ method: "GET", path: "/ping", open: true }, () => ({ pong: true }));

export const sessionEndpoints = [login, me, ping];
